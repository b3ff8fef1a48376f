"""Files that appear whole or not at all."""

import errno
import hashlib
import os
import secrets
from itertools import count
from pathlib import Path
from typing import Final

# What a disk, a quota or a limit on file sizes answers when there is no room.
DISK_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def write_atomically(path: Path, content: bytes | memoryview, *, mode: int = 0o666) -> None:
    """Write a file so that a reader, a full disk or a power cut finds the old content or the new, never a part.

    The folder is made if need be. `mode` is the file's at every moment, less the process's umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_beside(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Write a file that was not there, and return it: STEM and SUFFIX, or STEM-2, STEM-3 and so on where it was.

    The folder is made if need be. Of several processes each gets a file of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{stem}{'' if number == 1 else f'-{number}'}{suffix}" for number in count(1))
    path = next(folder / name for name in names if _take(folder / name))
    try:
        write_atomically(path, content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _take(path: Path) -> bool:
    """Take a name by an empty file; False where somebody has it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True


def write_once(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 if it is not there: of several processes the first one's stays, whole on the disk.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails where another process was first.
        path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)


def append_line(path: Path, line: bytes, *, sync: bool = False) -> None:
    """Append a line, which ends in a newline, to a file of mode 0600 that several processes may append to.

    The line is there whole or not at all; with `sync` it is on the disk once this returns. What a power cut left of an
    earlier line is ended first, so that this one stands on its own.

    Raises:
        OSError: the file cannot be opened or written; ENOSPC where only a part of the line went in.
    """
    import fcntl  # POSIX only, and only a server appends

    # Opened for each line, so that a file that was rotated away is not written into.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # Another process's line grows page by page; unlocked, its middle would look like a torn line.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            _write_whole(descriptor, b"\n" + line if torn else line)
            if sync:
                _sync(descriptor, path.parent)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, content: bytes) -> None:
    if os.write(descriptor, content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync(descriptor: int, folder: Path) -> None:
    """Bring a file to the disk, and its name, which may be new."""
    os.fsync(descriptor)
    names = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(names)
    finally:
        os.close(names)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
