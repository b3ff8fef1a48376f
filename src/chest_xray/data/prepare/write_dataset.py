"""What makes finished shards a data set: rejected.csv, index.parquet and, last of all, dataset.json."""

import csv
import io
import json
from collections import Counter
from typing import Any

import PIL

import chest_xray
from chest_xray.data.index import INDEX_FILE, content_hash, encode_index, read_index
from chest_xray.data.nih import Manifest
from chest_xray.data.nih_tables import Entry
from chest_xray.data.prepare.pack_source import PackedSource, PackSettings
from chest_xray.data.prepare.packing import Packed
from chest_xray.data.shards import DATASET_FILE, FORMAT_VERSION
from chest_xray.data.split import SPLITS
from chest_xray.errors import DataError
from chest_xray.files import write_atomically

REJECTED_FILE = "rejected.csv"


def write_dataset(manifest: Manifest, source: PackedSource, settings: PackSettings, validation_fraction: float) -> None:
    """Write rejected.csv and index.parquet, and dataset.json as the last of all.

    Raises:
        DataError: no image is left.
    """
    output = settings.output
    columns, rejected = _columns(manifest, source)
    present = len(columns["image"]) + len(rejected)
    if not columns["image"]:
        raise DataError(_nothing_left(manifest, rejected))
    write_atomically(output / REJECTED_FILE, _csv([("image", "reason"), *rejected]))
    write_atomically(output / INDEX_FILE, encode_index(columns, manifest.findings))
    hashes = [finished.sha256 for _, finished in source.shards]
    splits = Counter(columns["split"])
    dataset = {
        "version": FORMAT_VERSION,
        "image_size": settings.image_size,
        "label_version": manifest.label_version,
        "findings": list(manifest.findings),
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
        for row, packed in enumerate(finished.packed):
            if packed.rejected:
                rejected.append((packed.image, packed.rejected))
            else:
                place = {"shard": plan.number, "row": row}
                rows.append(place | _cells(manifest, entries[packed.image], packed))
    return {name: [cells[name] for cells in rows] for name in rows[0]} if rows else {"image": []}, rejected


def _cells(manifest: Manifest, entry: Entry, packed: Packed) -> dict[str, Any]:
    """The line of the index for an image, but for the place of its pixels."""
    boxes = [
        {
            "finding": box.finding,
            "x": box.x / packed.width,
            "y": box.y / packed.height,
            "width": box.width / packed.width,
            "height": box.height / packed.height,
        }
        for box in manifest.boxes.get(entry.image, [])
    ]
    return {
        "image": entry.image,
        "patient": entry.patient,
        "age": entry.age,
        "sex": entry.sex,
        "view": entry.view,
        "split": manifest.splits[entry.image],
        **dict(zip(manifest.findings, entry.labels, strict=True)),
        "boxes": boxes,
        "height": packed.height,
        "width": packed.width,
        "pixel_mean": packed.mean,
        "pixel_std": packed.std,
    }


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
