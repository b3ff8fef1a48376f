"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chest_xray.errors import ChestXrayError, SettingsError

WAIT_SECONDS = 120.0


@contextmanager
def only_one(path: Path, otherwise: ChestXrayError, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lock file `path` for the block; raise `otherwise` when another keeps it longer.

    The lock is the system's own and ends with its process, however that ends; where a file system has none, no lock is
    given, because a mere file would stay after a kill.

    Raises:
        SettingsError: the lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size:
            raise FileExistsError("it holds something that is no lock")
        lock.acquire()
    except Timeout as error:
        raise otherwise from error
    except OSError as error:
        raise SettingsError(
            f"The lock file {path} cannot be written ({error}): make its folder writable, or choose another."
        ) from error
    try:
        yield
    finally:
        lock.release()
