"""What a worker of prepare-data does: image files or an archive -> rows of preprocessed pixels in a file.

Imports no more than decoding needs, because every worker process pays for it.
"""

import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.data.nih import is_image_name
from chest_xray.errors import DataError, ImageError
from chest_xray.images.decode import decode_image
from chest_xray.images.limits import DEFAULT_LIMITS
from chest_xray.images.preprocess import preprocess


class Packed(NamedTuple):
    """What became of one image file. A rejected one has a reason, and zeros for everything else."""

    image: str
    height: int = 0  # of the source file, in pixels
    width: int = 0
    mean: float = 0.0  # of the stored pixels, 0..255
    std: float = 0.0
    rejected: str = ""


@dataclass(frozen=True)
class FileTask:
    """Image files whose rows are neighbours in one shard."""

    part: Path  # the shard being written; its header is there already
    offset: int  # of the first row, in bytes
    image_size: int
    files: tuple[str, ...]  # paths
    shard: int
    start: int  # row of the first file


@dataclass(frozen=True)
class ArchiveTask:
    """A tar.gz of images, and the file that its rows go to in the order of its members."""

    archive: Path
    part: Path
    image_size: int
    wanted: frozenset[str]


class PackedArchive(NamedTuple):
    """What one archive gave."""

    sha256: str  # of the file of rows
    images: list[Packed]
    unlisted: int  # image members without a row in the CSV


def pack_files(task: FileTask) -> list[Packed]:
    """Decode the files and write their rows; the row of a rejected file stays zero."""
    rows = np.zeros((len(task.files), task.image_size, task.image_size), np.uint8)
    packed = [_pack_file(Path(path), row) for path, row in zip(task.files, rows, strict=True)]
    with task.part.open("r+b") as file:
        file.seek(task.offset)
        file.write(rows.data)
    return packed


def pack_archive(task: ArchiveTask) -> PackedArchive:
    """Stream an archive once, decoding the wanted images as they come by.

    Raises:
        DataError: the archive is cut off, damaged, or holds an image twice.
    """
    packed: list[Packed] = []
    unlisted = 0
    digest = hashlib.sha256()
    try:
        with tarfile.open(task.archive, "r|gz") as archive, task.part.open("wb") as file:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if not member.isreg() or name.startswith(".") or not is_image_name(name):
                    continue
                if name not in task.wanted:
                    unlisted += 1
                    continue
                row = np.zeros((task.image_size, task.image_size), np.uint8)
                packed.append(_pack_member(archive, member, name, row))
                file.write(row.data)
                digest.update(row.data)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{task.archive} is damaged ({error}): remove it and download it again.") from error
    return PackedArchive(digest.hexdigest(), packed, unlisted)


def _pack_file(path: Path, row: NDArray[np.uint8]) -> Packed:
    try:
        size = path.stat().st_size
        DEFAULT_LIMITS.check_bytes(size)
        return _pack(path.name, path.read_bytes(), row)
    except ImageError as error:
        return Packed(path.name, rejected=str(error))
    except OSError as error:
        return Packed(path.name, rejected=f"The file cannot be read: {error.strerror}.")


def _pack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, row: NDArray[np.uint8]) -> Packed:
    try:
        DEFAULT_LIMITS.check_bytes(member.size)
        content = archive.extractfile(member)
        return _pack(name, content.read() if content else b"", row)
    except ImageError as error:
        return Packed(name, rejected=str(error))


def _pack(name: str, data: bytes, row: NDArray[np.uint8]) -> Packed:
    grey = decode_image(data)
    row[:] = preprocess(grey, len(row))
    mean, std = _mean_std(row)
    return Packed(name, grey.shape[0], grey.shape[1], mean, std)


def _mean_std(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """From whole-number sums, so that every machine gets the same bits."""
    counts = np.array(Image.fromarray(pixels).histogram())
    values = np.arange(256)
    total = int(counts @ values)
    squares = int(counts @ values**2)
    n = pixels.size
    return total / n, ((n * squares - total**2) / n**2) ** 0.5
