"""`python -m chest_xray.data.prepare.container STEP`: `cxr prepare-data` as a SageMaker processing container runs it.

SageMaker fills the folders below /opt/ml/processing/input, writes /opt/ml/config/resourceconfig.json, copies
/opt/ml/processing/output to S3 at the end, and shows the first kilobyte of /opt/ml/output/message with the job.
`decode` makes parts of this host's films, `assemble` the shards of all hosts' parts, and `all` does both on one host.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from chest_xray.console import progress, say
from chest_xray.cpus import available_cpus
from chest_xray.data.nih import Manifest, choose_images, find_images, read_nih
from chest_xray.data.prepare.pack_source import PackSettings
from chest_xray.data.prepare.parts import assemble, write_parts
from chest_xray.data.prepare.prepare import SHARD_BYTES, check_options
from chest_xray.errors import DataError
from chest_xray.job import run_job

Step = Literal["decode", "assemble", "all"]
STEPS: Final = ("decode", "assemble", "all")
TABLES: Final = "tables"  # CSVs and lists, whole on every host
FILMS: Final = "films"  # this host's share
PARTS: Final = "parts"
LISTING_FOLDER: Final = "listing"
LISTING: Final = "films.json"  # in it: every film of the source, by its name below it, with its bytes
_MESSAGE_CHARACTERS: Final = 1000


def run_container(root: Path, step: Step, *, image_size: int, validation_fraction: float, shard_bytes: int) -> int:
    """Carry out a step under the contract in `root`; returns the exit code: 0 Completed, 1 Failed."""

    def act() -> None:
        check_options(image_size, None, validation_fraction)
        settings = PackSettings(root / "processing" / "output", image_size, shard_bytes, available_cpus())
        _run(root, step, settings, validation_fraction)

    return run_job(act, root / "output" / "message", _MESSAGE_CHARACTERS)


def _run(root: Path, step: Step, settings: PackSettings, validation_fraction: float) -> None:
    given = root / "processing" / "input"
    manifest = read_source(given, validation_fraction)
    if step == "decode":
        _decode(root, manifest, settings)
        return
    parts = given / PARTS
    if step == "all":
        parts = root / "processing" / "work"
        _decode(root, manifest, replace(settings, output=parts))
    report = assemble(manifest, parts, settings, validation_fraction)
    if step == "all":
        shutil.rmtree(parts)
    say(f"{sum(report.splits.values())} images, {report.rejected} rejected, data {report.data_hash[:12]}.")


def read_source(given: Path, validation_fraction: float) -> Manifest:
    """The whole source as its tables and the listing of its films tell it.

    Raises:
        DataError: the tables contradict themselves, or there is no listing.
    """
    listing = given / LISTING_FOLDER / LISTING
    try:
        listed = json.loads(listing.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{listing} cannot be read ({error}).") from error
    images = choose_images(listed, "the source")
    return read_nih(given / TABLES, validation_fraction=validation_fraction, images=images)


def _decode(root: Path, manifest: Manifest, settings: PackSettings) -> None:
    films = root / "processing" / "input" / FILMS
    host = _host(root)
    if not any(path.is_file() for path in films.rglob("*")):
        say("No films for this host.")
        return
    images = find_images(films)
    wanted = frozenset(entry.image for entry in manifest.entries)
    total = len(images.archives) or len(wanted & images.files.keys())
    with progress("Decoding", total, "archives" if images.archives else "images") as advance:
        decoded = write_parts(images, wanted, settings, host, advance)
    say(f"{decoded} films decoded.")


def _host(root: Path) -> str:
    """This host's name; alone it needs none."""
    path = root / "config" / "resourceconfig.json"
    return str(json.loads(path.read_bytes())["current_host"]) if path.is_file() else "host"


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """Read the job's arguments and run the step."""
    parser = argparse.ArgumentParser(description="Prepare data as a SageMaker processing container.")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--root", type=Path, default=root or Path("/opt/ml"), help="default: /opt/ml")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--validation-fraction", type=float, default=0.1)
    parser.add_argument("--shard-bytes", type=int, default=SHARD_BYTES)
    given = parser.parse_args(arguments)
    return run_container(
        given.root.resolve(),
        given.step,
        image_size=given.image_size,
        validation_fraction=given.validation_fraction,
        shard_bytes=given.shard_bytes,
    )


if __name__ == "__main__":
    sys.exit(main())
