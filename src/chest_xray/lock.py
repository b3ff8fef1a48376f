"""One process at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chest_xray.errors import ChestXrayError, SettingsError

WAIT_SECONDS = 120.0


@contextmanager
def only_one(path: Path, otherwise: ChestXrayError, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lock file `path` for the block; raise `otherwise` when another keeps it longer.

    SQLite's own file lock, because it exists on every system and ends with its process, however that ends.

    Raises:
        SettingsError: the lock file cannot be written.
    """
    with closing(_locked(path, otherwise, WAIT_SECONDS if wait_seconds is None else wait_seconds)):
        yield


def _locked(path: Path, otherwise: ChestXrayError, wait_seconds: float) -> sqlite3.Connection:
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
        # A journal on the disk would need room there, and stay after a kill; nothing is ever written that needs one.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN EXCLUSIVE")
    except (OSError, sqlite3.Error) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise otherwise from error
        raise SettingsError(
            f"The lock file {path} cannot be written ({error}): make its folder writable, or choose another."
        ) from error
    return connection
