"""An NIH-format folder -> shards that training reads without decoding.

    cxr prepare-data --source NIH_FOLDER --output DATASET --image-size 256

Every image passes through `images.decode` and `images.preprocess`, as a request to the endpoint does. The result
depends on the source and the options alone, not on the number of workers or on interruptions. A run that was killed
goes on where it was.
"""

import csv
import io
import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

import chest_xray
from chest_xray.console import progress, say
from chest_xray.data.atomic import DISK_FULL, write_atomically
from chest_xray.data.index import INDEX_FILE, content_hash, encode_index, read_index
from chest_xray.data.nih import Manifest, read_nih
from chest_xray.data.pool import available_cpus
from chest_xray.data.shards import DATASET_FILE, FORMAT_VERSION, Shards
from chest_xray.data.split import SPLITS
from chest_xray.errors import DataError, SettingsError
from chest_xray.findings import FINDINGS
from chest_xray.training.pack_source import PackedSource, PackSettings, pack_archives, pack_unpacked
from chest_xray.training.shard_files import PROGRESS_FOLDER, remove_parts

CLAIM_FILE = "prepare.json"
REJECTED_FILE = "rejected.csv"
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
    found = json.loads(path.read_bytes())
    if found != claim:
        names = [name for name in claim if found.get(name) != claim[name]]
        differences = ", ".join(f"{name} {found.get(name)!r} there, {claim[name]!r} here" for name in names)
        raise DataError(f"{output} was begun with another source or other options ({differences}): give a new folder.")
    if (output / DATASET_FILE).is_file():
        Shards.open(output)
        return True
    remove_parts(output)
    return False


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
    _write_dataset(manifest, packed, settings, validation_fraction)
    shutil.rmtree(settings.output / PROGRESS_FOLDER)
    return _report(settings.output, packed.decoded / (time.monotonic() - started))


def _write_dataset(
    manifest: Manifest, source: PackedSource, settings: PackSettings, validation_fraction: float
) -> None:
    """Write rejected.csv and index.parquet, and dataset.json as the last of all."""
    output = settings.output
    columns, rejected = _columns(manifest, source)
    present = len(columns["image"]) + len(rejected)
    if not columns["image"]:
        raise DataError(_nothing_left(manifest, rejected))
    write_atomically(output / REJECTED_FILE, _csv([("image", "reason"), *rejected]))
    write_atomically(output / INDEX_FILE, encode_index(columns))
    hashes = [finished.sha256 for _, finished in source.shards]
    splits = Counter(columns["split"])
    dataset = {
        "version": FORMAT_VERSION,
        "image_size": settings.image_size,
        "label_version": manifest.label_version,
        "split_source": manifest.split_source,
        "validation_fraction": validation_fraction,
        "data_hash": content_hash(hashes, read_index(output / INDEX_FILE)),
        "counts": {
            "images": len(columns["image"]),
            **{split: splits[split] for split in SPLITS},
            "patients": len(set(columns["patient"])),
            "rejected": len(rejected),
            "absent": len(manifest.entries) - present,
            "unlisted": source.unlisted,
            "boxes": sum(map(len, columns["boxes"])),
            "boxes_without_image": sum(map(len, manifest.boxes.values())) - sum(map(len, columns["boxes"])),
            **{f"unknown_{kind}": manifest.unknown[kind] for kind in ("ages", "sexes", "views")},
        },
        "shards": [
            {"file": plan.file, "rows": len(plan.images), "sha256": finished.sha256} for plan, finished in source.shards
        ],
        "software": {"chest_xray": chest_xray.__version__, "pillow": PIL.__version__},
    }
    write_atomically(output / DATASET_FILE, json.dumps(dataset, indent=2).encode() + b"\n")


def _columns(manifest: Manifest, source: PackedSource) -> tuple[dict[str, list[Any]], list[tuple[str, str]]]:
    """The columns of the index, and (image, reason) of what was rejected; a rejected image's row stays unused."""
    entries = {entry.image: entry for entry in manifest.entries}
    rows: list[dict[str, Any]] = []
    rejected: list[tuple[str, str]] = []
    for plan, finished in source.shards:
        for number, packed in enumerate(finished.packed):
            if packed.rejected:
                rejected.append((packed.image, packed.rejected))
                continue
            entry = entries[packed.image]
            rows.append(
                {
                    "shard": plan.number,
                    "row": number,
                    "image": entry.image,
                    "patient": entry.patient,
                    "age": entry.age,
                    "sex": entry.sex,
                    "view": entry.view,
                    "split": manifest.splits[entry.image],
                    **dict(zip(FINDINGS, entry.labels, strict=True)),
                    "boxes": [
                        box._replace(
                            x=box.x / packed.width,
                            y=box.y / packed.height,
                            width=box.width / packed.width,
                            height=box.height / packed.height,
                        )._asdict()
                        for box in manifest.boxes.get(entry.image, [])
                    ],
                    "height": packed.height,
                    "width": packed.width,
                    "pixel_mean": packed.mean,
                    "pixel_std": packed.std,
                }
            )
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {"image": []}, rejected


def _nothing_left(manifest: Manifest, rejected: list[tuple[str, str]]) -> str:
    if rejected:
        return f"All {len(rejected)} images were rejected; the first is {rejected[0][0]}: {rejected[0][1]}"
    return (
        f"None of the {len(manifest.entries)} images of the CSV is there (the first is {manifest.entries[0].image}): "
        "take the CSV and the images from the same place."
    )


def _csv(rows: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


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
