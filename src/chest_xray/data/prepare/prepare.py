"""An NIH-format folder -> shards that training reads without decoding.

    cxr prepare-data --source NIH_FOLDER --output DATASET --image-size 256

Every image passes through `images.decode` and `images.preprocess`, as a request to the endpoint does. The result
depends on the source and the options alone, not on the number of workers or on interruptions. A run that was killed
goes on where it was.
"""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chest_xray.console import progress, say
from chest_xray.cpus import available_cpus
from chest_xray.data.nih import Manifest, read_nih
from chest_xray.data.prepare.pack_source import PackSettings, pack_archives, pack_unpacked
from chest_xray.data.prepare.shard_files import PROGRESS_FOLDER, remove_parts
from chest_xray.data.prepare.write_dataset import write_dataset
from chest_xray.data.shards import DATASET_FILE, FORMAT_VERSION, Shards
from chest_xray.data.split import SPLITS
from chest_xray.errors import DataError, SettingsError
from chest_xray.files import DISK_FULL, write_atomically
from chest_xray.locations import Location
from chest_xray.lock import only_one

CLAIM_FILE = "prepare.json"
LOCK_FILE = "prepare.lock"
SHARD_BYTES = 128 * 1024 * 1024
IMAGE_SIZES = range(32, 1025)


@dataclass(frozen=True)
class PrepareReport:
    """What prepare-data found and wrote."""

    output: Location
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
        SettingsError: an option out of its range, or an output that cannot be written.
        DataError: a source that contradicts itself, an output that belongs to something else or that another
            prepare-data writes to, or no room on the disk.
    """
    check_options(image_size, workers, validation_fraction)
    manifest = read_nih(source, validation_fraction=validation_fraction)
    settings = PackSettings(output, image_size, shard_bytes, workers or available_cpus())
    claim = make_claim(manifest, settings, validation_fraction)
    if _is_finished(output, claim):
        return _nothing_to_do(output)
    busy = DataError(f"Another prepare-data writes to {output}: run this again when it is done.")
    with only_one(output / LOCK_FILE, busy):
        # Whoever held the lock before may have finished it.
        if _is_finished(output, claim):
            return _nothing_to_do(output)
        report = _go_on(manifest, settings, claim)
    _tidy(output)
    return report


def make_claim(manifest: Manifest, settings: PackSettings, validation_fraction: float) -> dict[str, Any]:
    """What `prepare.json` says: the source and the options that the result depends on."""
    return {
        "version": FORMAT_VERSION,
        "image_size": settings.image_size,
        "validation_fraction": validation_fraction,
        "shard_bytes": settings.shard_bytes,
        "source_sha256": manifest.fingerprint,
    }


def claim_differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """Where two claims differ, in words; None where they do not."""
    names = [name for name in ours if theirs.get(name) != ours[name]]
    return ", ".join(f"{name} {theirs.get(name)!r} there, {ours[name]!r} here" for name in names) or None


def encode_claim(claim: dict[str, Any]) -> bytes:
    """The bytes of `prepare.json`."""
    return json.dumps(claim, indent=2).encode()


def _go_on(manifest: Manifest, settings: PackSettings, claim: dict[str, Any]) -> PrepareReport:
    """Begin the output folder, or go on with it, to its end."""
    output = settings.output
    try:
        remove_parts(output)
        (output / PROGRESS_FOLDER).mkdir(exist_ok=True)
        if not (output / CLAIM_FILE).is_file():
            write_atomically(output / CLAIM_FILE, encode_claim(claim))
        return _prepare(manifest, settings, claim["validation_fraction"])
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DataError(
            f"The disk of {output} is full: make room and run the same command again; finished shards are kept."
        ) from error
    finally:
        remove_parts(output)


def check_options(image_size: int, workers: int | None, validation_fraction: float) -> None:
    """Refuse options out of their range.

    Raises:
        SettingsError: one is.
    """
    if image_size not in IMAGE_SIZES:
        raise SettingsError(f"image_size is {image_size}; expected {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels.")
    if workers is not None and workers < 1:
        raise SettingsError(f"workers is {workers}; expected 1 or more.")
    if not 0 <= validation_fraction <= 0.5:
        raise SettingsError(f"validation_fraction is {validation_fraction}; expected 0 to 0.5.")


def _is_finished(output: Path, claim: dict[str, Any]) -> bool:
    """Whether the output is finished; False when it is new or was begun with this source and these options."""
    path = output / CLAIM_FILE
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file: give a new folder as output.")
    if not path.is_file():
        if _holds_something_else(output):
            raise DataError(f"{output} is not empty and not of prepare-data: give a new folder as output.")
        return False
    found = _read_claim(path)
    if found != claim:
        differences = claim_differences(found, claim)
        raise DataError(f"{output} was begun with another source or other options ({differences}): give a new folder.")
    if (output / DATASET_FILE).is_file():
        Shards.open(output)
        return True
    return False


def _holds_something_else(output: Path) -> bool:
    """Whether a folder without a claim holds more than a run leaves that ended before its claim was whole."""
    if not output.is_dir():
        return False
    progress_folder = output / PROGRESS_FOLDER
    if progress_folder.is_dir() and any(progress_folder.iterdir()):
        return True
    ours = {PROGRESS_FOLDER, LOCK_FILE, f"{CLAIM_FILE}.part"}
    return any(path.name not in ours for path in output.iterdir())


def _nothing_to_do(output: Path) -> PrepareReport:
    say(f"{output} is finished already, from the same source with the same options: nothing to do.")
    _tidy(output)
    return report_on(output, 0.0)


def _tidy(output: Path) -> None:
    """Remove what a finished folder needs no more. Who still waits for the lock finds nothing to do."""
    shutil.rmtree(output / PROGRESS_FOLDER, ignore_errors=True)
    with suppress(OSError):
        (output / LOCK_FILE).unlink(missing_ok=True)


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
    return report_on(settings.output, packed.decoded / (time.monotonic() - started))


def report_on(output: Path, images_per_second: float) -> PrepareReport:
    """What `dataset.json` says of a finished folder."""
    return report_of(json.loads((output / DATASET_FILE).read_bytes()), output, images_per_second)


def report_of(dataset: dict[str, Any], output: Location, images_per_second: float) -> PrepareReport:
    """The same of a parsed `dataset.json`."""
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
