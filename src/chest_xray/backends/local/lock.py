"""One process at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chest_xray.errors import ChestXrayError

WAIT_SECONDS = 120.0


@contextmanager
def only_one(path: Path, otherwise: ChestXrayError) -> Iterator[None]:
    """Hold the lock file `path` for the block; raise `otherwise` when another process keeps it too long.

    SQLite's own file lock, because it exists on every system and ends with its process, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise otherwise from error
        yield
