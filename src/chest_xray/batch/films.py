"""The films of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chest_xray.errors import DataError

# DICOM files often have no suffix; a UID as a name ends in digits.
_SUFFIXES: Final = frozenset((".png", ".jpg", ".jpeg", ".dcm", ".dicom", ""))


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A file that may be a film. `key` is its name below the folder; size and time tell it from a later one."""

    key: str
    path: Path
    bytes: int
    modified_ns: int


def find_films(source: Path) -> tuple[list[FilmFile], int]:
    """Every file below `source` whose name may be a film's, in the order of their names; and how many others there are.

    Hidden files and folders are passed over.

    Raises:
        DataError: `source` is no folder, or holds no film.
    """
    if not source.is_dir():
        raise DataError(f"{source} is {'a file' if source.exists() else 'not there'}; expected a folder of films.")
    films, others = [], 0
    for path in _files(source):
        if not _may_be_film(path):
            others += 1
            continue
        status = path.stat()
        films.append(FilmFile(path.relative_to(source).as_posix(), path, status.st_size, status.st_mtime_ns))
    if not films:
        raise DataError(f"{source} holds no film: {others} files, none of them DICOM, PNG or JPEG by its name.")
    return sorted(films, key=lambda film: film.key), others


def _files(source: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(folder) / name for name in names if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _may_be_film(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or path.suffix[1:].isdigit()
