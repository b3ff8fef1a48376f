"""An NIH-format folder -> shards that training reads without decoding.

    cxr prepare-data --source NIH_FOLDER --output DATASET --image-size 256

Every image passes through `images.decode` and `images.preprocess`, as a request to the endpoint does. The result
depends on the source and the options alone, not on the number of workers or on interruptions. A run that was killed
goes on where it was.
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chest_xray.console import progress, say
from chest_xray.cpus import available_cpus
from chest_xray.data.nih import Manifest, read_nih
from chest_xray.data.shards import DATASET_FILE, FORMAT_VERSION, Shards
from chest_xray.data.split import SPLITS
from chest_xray.errors import DataError, SettingsError
from chest_xray.files import DISK_FULL, write_atomically
from chest_xray.training.pack_source import PackSettings, pack_archives, pack_unpacked
from chest_xray.training.shard_files import PROGRESS_FOLDER, remove_parts
from chest_xray.training.write_dataset import write_dataset

CLAIM_FILE = "prepare.json"
SHARD_BYTES = 128 * 1024 * 1024
IMAGE_SIZES = range(32, 1025)


@dataclass(frozen=True)
class PrepareReport:
    """What prepare-data found and wrote."""

    output: Path
    splits: dict[str, int]  # images of 'train', 'val' and 'test'
    rejected: int  # files that could not be read: see rejected.csv
    absent: int  # rows of the CSV without a file
    images_per_second: float  # of this run; 0 when everything was there already
    data_hash: str
    label_version: str


def prepare_data(
    source: Path,
    output: Path,
    *,
    image_size: int = 256,
    workers: int | None = None,
    validation_fraction: float = 0.1,
    shard_bytes: int = SHARD_BYTES,
) -> PrepareReport:
    """Prepare a data set; run it again after an interruption and it goes on.

    Args:
        source: an NIH-format folder, unpacked or with its archives (see `data.nih`).
        output: a new folder, or one that the same call has begun or finished.
        image_size: S, the side of the stored images in pixels, 32..1024.
        workers: processes; all available CPUs when None.
        validation_fraction: part of the train_val patients that becomes validation, 0..0.5.
        shard_bytes: size of a shard file.

    Raises:
        SettingsError: an option out of its range.
        DataError: a source that contradicts itself, an output that belongs to something else, or no room on the disk.
    """
    _check_options(image_size, workers, validation_fraction)
    manifest = read_nih(source, validation_fraction=validation_fraction)
    claim = {
        "version": FORMAT_VERSION,
        "image_size": image_size,
        "validation_fraction": validation_fraction,
        "shard_bytes": shard_bytes,
        "source_sha256": manifest.fingerprint,
    }
    if _claim(output, claim):
        say(f"{output} is finished already, from the same source with the same options: nothing to do.")
        return _report(output, 0.0)
    settings = PackSettings(output, image_size, shard_bytes, workers or available_cpus())
    try:
        return _prepare(manifest, settings, validation_fraction)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DataError(
            f"The disk of {output} is full: make room and run the same command again; finished shards are kept."
        ) from error
    finally:
        remove_parts(output)


def _check_options(image_size: int, workers: int | None, validation_fraction: float) -> None:
    if image_size not in IMAGE_SIZES:
        raise SettingsError(f"image_size is {image_size}; expected {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels.")
    if workers is not None and workers < 1:
        raise SettingsError(f"workers is {workers}; expected 1 or more.")
    if not 0 <= validation_fraction <= 0.5:
        raise SettingsError(f"validation_fraction is {validation_fraction}; expected 0 to 0.5.")


def _claim(output: Path, claim: dict[str, Any]) -> bool:
    """Take the output folder for this source and these options; True when it is finished already."""
    path = output / CLAIM_FILE
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file: give a new folder as output.")
    if not path.is_file():
        if output.is_dir() and any(output.iterdir()):
            raise DataError(f"{output} is not empty and not of prepare-data: give a new folder as output.")
        (output / PROGRESS_FOLDER).mkdir(parents=True)
        write_atomically(path, json.dumps(claim, indent=2).encode())
        return False
    found = _read_claim(path)
    if found != claim:
        names = [name for name in claim if found.get(name) != claim[name]]
        differences = ", ".join(f"{name} {found.get(name)!r} there, {claim[name]!r} here" for name in names)
        raise DataError(f"{output} was begun with another source or other options ({differences}): give a new folder.")
    if (output / DATASET_FILE).is_file():
        Shards.open(output)
        shutil.rmtree(output / PROGRESS_FOLDER, ignore_errors=True)
        return True
    remove_parts(output)
    return False


def _read_claim(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is not what prepare-data wrote ({error}): give a new folder as output.") from error


def _prepare(manifest: Manifest, settings: PackSettings, validation_fraction: float) -> PrepareReport:
    started = time.monotonic()
    wanted = frozenset(entry.image for entry in manifest.entries)
    if manifest.images.archives:
        with progress("prepare-data", len(manifest.images.archives), "archives") as advance:
            packed = pack_archives(manifest.images, wanted, settings, advance)
    else:
        listed = len(wanted & manifest.images.files.keys())
        with progress("prepare-data", listed) as advance:
            packed = pack_unpacked(manifest.images, wanted, settings, advance)
    write_dataset(manifest, packed, settings, validation_fraction)
    shutil.rmtree(settings.output / PROGRESS_FOLDER)
    return _report(settings.output, packed.decoded / (time.monotonic() - started))


def _report(output: Path, images_per_second: float) -> PrepareReport:
    dataset = json.loads((output / DATASET_FILE).read_bytes())
    counts = dataset["counts"]
    return PrepareReport(
        output=output,
        splits={split: counts[split] for split in SPLITS},
        rejected=counts["rejected"],
        absent=counts["absent"],
        images_per_second=images_per_second,
        data_hash=dataset["data_hash"],
        label_version=dataset["label_version"],
    )


if __name__ == "__main__":
    import sys

    from chest_xray.cli import main

    main(["prepare-data", *sys.argv[1:]])
