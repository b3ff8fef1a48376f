"""Shard files while they are being written: a part, then the finished file with a record of what is in it.

A record (`.progress/shard-00000.json`) is written after its shard. A run that was killed finds by it what need not be
done again.
"""

import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray

from chest_xray.data.prepare.packing import Packed
from chest_xray.files import sha256_of, write_atomically

PROGRESS_FOLDER = ".progress"


class ShardPlan(NamedTuple):
    """A shard before it exists: its number and the images of its rows, in order."""

    number: int
    images: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of the shard's file."""
        return f"shard-{self.number:05d}.npy"


@dataclass(frozen=True)
class Finished:
    """A file of rows and what is in each of them."""

    sha256: str
    packed: list[Packed]
    unlisted: int = 0  # images of an archive that have no row in the CSV


def plan_shards(images: Sequence[str], image_size: int, shard_bytes: int) -> list[ShardPlan]:
    """Cut the images, in order, into shards of about `shard_bytes`. Depends on nothing else."""
    rows = max(1, shard_bytes // image_size**2)
    return [ShardPlan(n, tuple(images[start : start + rows])) for n, start in enumerate(range(0, len(images), rows))]


def start_part(output: Path, plan: ShardPlan, image_size: int) -> tuple[Path, int]:
    """Create the part of a shard, header and zeros; returns its path and where the first row begins, in bytes."""
    part = output / f"{plan.file}.part"
    header = _npy_header(len(plan.images), image_size)
    with part.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + len(plan.images) * image_size**2)
    return part, len(header)


def finish_part(output: Path, plan: ShardPlan, packed: list[Packed]) -> Finished:
    """Give the part of a shard its final name, safely on disk, and record what is in it."""
    part = output / f"{plan.file}.part"
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    finished = Finished(sha256_of(part), packed)
    part.replace(output / plan.file)
    write_record(output, plan.file, finished)
    return finished


def write_shard(
    output: Path, plan: ShardPlan, rows: Iterable[NDArray[np.uint8]], packed: list[Packed], image_size: int
) -> Finished:
    """Write a whole shard from rows that are decoded already."""
    part, offset = start_part(output, plan, image_size)
    with part.open("r+b") as file:
        file.seek(offset)
        for row in rows:
            file.write(row.data)
    return finish_part(output, plan, packed)


def write_record(output: Path, file: str, finished: Finished) -> None:
    """Record a finished file of rows."""
    content = {
        "sha256": finished.sha256,
        "pillow": PIL.__version__,
        "packed": finished.packed,
        "unlisted": finished.unlisted,
    }
    write_atomically(record_path(output, file), json.dumps(content).encode())


def find_finished(output: Path, file: str, path: Path) -> Finished | None:
    """What an earlier run recorded of a file, if the file at `path` still has the recorded hash.

    Rows decoded by another Pillow do not count: their bytes may differ.
    """
    record = record_path(output, file)
    if not record.is_file() or not path.is_file():
        return None
    if json.loads(record.read_bytes())["pillow"] != PIL.__version__:
        return None
    finished = read_record(record)
    return finished if finished.sha256 == sha256_of(path) else None


def read_record(record: Path) -> Finished:
    """What `write_record` wrote."""
    content = json.loads(record.read_bytes())
    return Finished(content["sha256"], [Packed(*row) for row in content["packed"]], content["unlisted"])


def record_path(output: Path, file: str) -> Path:
    """Where the record of a file is kept while the data set is unfinished."""
    return output / PROGRESS_FOLDER / f"{file}.json"


def remove_parts(output: Path) -> None:
    """Remove what a run left half-written."""
    for folder in (output, output / PROGRESS_FOLDER):
        for part in folder.glob("*.part"):
            part.unlink(missing_ok=True)


def _npy_header(rows: int, image_size: int) -> bytes:
    header = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (rows, image_size, image_size)}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()
