"""A folder as .tar.gz, as SageMaker keeps models: regular files, named from the root, the same bytes each time."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import BinaryIO

from chest_xray.errors import ArchiveError

_LEVEL = 1  # weights hardly compress: more effort costs minutes and gains nothing


def pack(folders: Iterable[Path], to: BinaryIO) -> None:
    """Write the files below `folders` as one archive; of two with the same name the first folder's stays.

    Nothing of the machine is in it: no owner, no time, mode 0644, names in order. Links, sockets and devices are left
    out, links to regular files are followed.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files.setdefault(path.relative_to(folder).as_posix(), path)
    with (
        gzip.GzipFile(fileobj=to, mode="wb", compresslevel=_LEVEL, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = files[name].stat().st_size
            with files[name].open("rb") as content:
                archive.addfile(member, content)


def unpack(archive: Path, into: Path, *, must_hold: str | None = None) -> list[Path]:
    """Unpack an archive of regular files below `into`; returns them. Nothing is written where one member is refused.

    Args:
        archive: a .tar.gz file.
        into: the folder, made if need be.
        must_hold: a file that is expected at the root.

    Raises:
        ArchiveError: it is no such archive, or it holds a link, an absolute name, a name that leads out of `into`, or
            not the file that it must hold.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            members = list(_regular_files(opened, archive))
            if must_hold is not None:
                _check_root({str(name) for name, _ in members}, must_hold, archive)
            return [_extract(opened, member, into / name) for name, member in members]
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{archive} is no .tar.gz archive that can be read: {error}.") from error


def _regular_files(opened: tarfile.TarFile, archive: Path) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    for member in opened:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise ArchiveError(f"{archive} holds {member.name!r}, which leads out of the archive: it is not unpacked.")
        if member.isdir():
            continue
        if not member.isreg():
            raise ArchiveError(f"{archive} holds {member.name!r}, a link or a device: expected regular files only.")
        yield name, member


def _check_root(names: set[str], wanted: str, archive: Path) -> None:
    if wanted in names:
        return
    deeper = next((name for name in sorted(names) if PurePosixPath(name).name == wanted), None)
    if deeper is not None:
        folder = PurePosixPath(deeper).parent
        raise ArchiveError(f"{archive}: found directory {folder} with {wanted} inside, expected {wanted} at the root.")
    raise ArchiveError(f"{archive} holds no {wanted}: found {', '.join(sorted(names)[:5]) or 'nothing'}.")


def _extract(opened: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    content = opened.extractfile(member)
    if content is None:
        raise ArchiveError(f"{member.name!r} cannot be read.")
    part = to.with_name(f"{to.name}.part")
    with content, part.open("wb") as file:
        copyfileobj(content, file, 1 << 20)
    part.replace(to)
    return to
