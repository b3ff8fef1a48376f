"""Every image of a source -> finished shards, from unpacked files or from archives; both give the same bytes.

The rows of the shards are dealt out in the order of the image names, before anything is decoded or, for archives,
after. So neither the number of workers nor an interruption nor the order inside an archive shows in the result.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.nih import ImageFiles
from chest_xray.data.prepare.packing import (
    ArchiveTask,
    FileTask,
    Packed,
    pack_archive,
    pack_files,
)
from chest_xray.data.prepare.pool import run_tasks
from chest_xray.data.prepare.shard_files import (
    PROGRESS_FOLDER,
    Finished,
    ShardPlan,
    find_finished,
    finish_part,
    plan_shards,
    start_part,
    write_record,
    write_shard,
)
from chest_xray.errors import DataError

# Images of a task: half a second of work, small beside a shard, large beside the cost of handing it over.
_TASK_IMAGES = 32

Advance = Callable[[int], None]


@dataclass(frozen=True)
class PackSettings:
    """What the shards are made with."""

    output: Path
    image_size: int
    shard_bytes: int
    workers: int


@dataclass(frozen=True)
class Rows:
    """A file of rows: what it was made of, its pixels (N, S, S), and what became of each image."""

    source: str
    pixels: NDArray[np.uint8]
    finished: Finished


@dataclass(frozen=True)
class PackedSource:
    """The shards of a source, in order."""

    shards: list[tuple[ShardPlan, Finished]]
    decoded: int  # images, by this run; the rest was found finished
    unlisted: int  # image files without a row in the CSV


def pack_unpacked(images: ImageFiles, wanted: frozenset[str], settings: PackSettings, advance: Advance) -> PackedSource:
    """Shards from unpacked files. Holds a task's rows a worker in memory, however many images there are."""
    plans = plan_shards(sorted(wanted & images.files.keys()), settings.image_size, settings.shard_bytes)
    done: dict[int, Finished] = {}
    for plan in plans:
        finished = find_finished(settings.output, plan.file, settings.output / plan.file)
        if finished:
            done[plan.number] = finished
            advance(len(plan.images))
    missing = [plan for plan in plans if plan.number not in done]
    _check_room(settings, sum(len(plan.images) for plan in missing))

    open_shards: dict[int, dict[int, list[Packed]]] = {}
    for task, packed in run_tasks(pack_files, _file_tasks(missing, images, settings), settings.workers):
        pieces = open_shards.setdefault(task.shard, {})
        pieces[task.start] = packed
        plan = plans[task.shard]
        advance(len(packed))
        if sum(map(len, pieces.values())) == len(plan.images):
            rows = [row for start in sorted(pieces) for row in pieces[start]]
            done[plan.number] = finish_part(settings.output, plan, rows)
            del open_shards[task.shard]
    return PackedSource(
        shards=[(plan, done[plan.number]) for plan in plans],
        decoded=sum(len(plan.images) for plan in missing),
        unlisted=len(images.files.keys() - wanted),
    )


def _file_tasks(plans: list[ShardPlan], images: ImageFiles, settings: PackSettings) -> Iterator[FileTask]:
    for plan in plans:
        part, offset = start_part(settings.output, plan, settings.image_size)
        for start in range(0, len(plan.images), _TASK_IMAGES):
            yield FileTask(
                part=part,
                offset=offset + start * settings.image_size**2,
                image_size=settings.image_size,
                files=tuple(images.files[name] for name in plan.images[start : start + _TASK_IMAGES]),
                shard=plan.number,
                start=start,
            )


def pack_archives(images: ImageFiles, wanted: frozenset[str], settings: PackSettings, advance: Advance) -> PackedSource:
    """Shards from archives, each streamed once by one worker and never unpacked.

    Which images there are is only known when all archives have been read. So a worker writes its rows to a file of
    its own, and the shards are put together from these files, which takes their size once more on the disk for the
    time being.
    """
    streamed, decoded = stream_archives(images, wanted, settings, advance)
    parts = [
        Rows(str(archive), open_rows(rows_path(settings, archive), settings.image_size), finished)
        for archive, finished in zip(images.archives, streamed, strict=True)
    ]
    return PackedSource(put_together(parts, settings), decoded, sum(finished.unlisted for finished in streamed))


def put_together(parts: Sequence[Rows], settings: PackSettings) -> list[tuple[ShardPlan, Finished]]:
    """Shards from rows that lie in several files, in the order of the image names.

    Raises:
        DataError: an image is in two of them.
    """
    places: dict[str, tuple[Rows, int]] = {}
    for part in parts:
        for row, packed in enumerate(part.finished.packed):
            if packed.image in places:
                other = places[packed.image][0]
                raise DataError(f"{packed.image} is there twice, in {other.source} and in {part.source}: remove one.")
            places[packed.image] = part, row
    shards = []
    for plan in plan_shards(sorted(places), settings.image_size, settings.shard_bytes):
        found = [places[name] for name in plan.images]
        finished = find_finished(settings.output, plan.file, settings.output / plan.file) or write_shard(
            settings.output,
            plan,
            (part.pixels[row] for part, row in found),
            [part.finished.packed[row] for part, row in found],
            settings.image_size,
        )
        shards.append((plan, finished))
    return shards


def stream_archives(
    images: ImageFiles, wanted: frozenset[str], settings: PackSettings, advance: Advance
) -> tuple[list[Finished], int]:
    """What each archive gave, in the order of the archives, and how many images this run decoded."""
    done: dict[Path, Finished] = {}
    for archive in images.archives:
        finished = find_finished(settings.output, archive.name, rows_path(settings, archive))
        if finished:
            done[archive] = finished
            advance(1)
    tasks = [
        ArchiveTask(archive, rows_path(settings, archive), settings.image_size, wanted)
        for archive in images.archives
        if archive not in done
    ]
    decoded = 0
    for task, (sha256, packed, unlisted) in run_tasks(pack_archive, tasks, settings.workers):
        done[task.archive] = Finished(sha256, packed, unlisted)
        write_record(settings.output, task.archive.name, done[task.archive])
        decoded += len(packed)
        advance(1)
    return [done[archive] for archive in images.archives], decoded


def rows_path(settings: PackSettings, archive: Path) -> Path:
    """Where an archive's rows lie while the data set is unfinished."""
    return settings.output / PROGRESS_FOLDER / f"{archive.name}.rows"


def open_rows(path: Path, image_size: int) -> NDArray[np.uint8]:
    """The rows (N, S, S) of a file of rows, with or without a header, mapped and not read."""
    if path.suffix == ".npy":
        return np.asarray(np.load(path, mmap_mode="r"))
    if path.stat().st_size == 0:
        return np.empty((0, image_size, image_size), np.uint8)
    return np.asarray(np.memmap(path, np.uint8, "r").reshape(-1, image_size, image_size))


def _check_room(settings: PackSettings, rows: int) -> None:
    needed = rows * settings.image_size**2
    free = shutil.disk_usage(settings.output).free
    if needed > free:
        raise DataError(
            f"{settings.output} needs {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free: "
            "make room, or choose another folder or a smaller image size."
        )
