"""Checkpoints copied to S3 while a container runs."""

from __future__ import annotations

import os
from pathlib import Path

from chest_xray.emulator.storage import Storage


class CheckpointSync:
    """Files of one host's checkpoint folder that changed since they were last copied. Nothing is deleted in S3."""

    def __init__(self, folder: Path, uri: str, storage: Storage, kms_key: str | None) -> None:
        self._folder, self._uri, self._storage, self._kms_key = folder, uri.rstrip("/"), storage, kms_key
        self._copied: dict[Path, tuple[int, int]] = self._states()

    def copy(self) -> None:
        """Copy what is new. A file that goes away meanwhile is left out."""
        for path, state in self._states().items():
            if self._copied.get(path) == state:
                continue
            name = path.relative_to(self._folder).as_posix()
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            self._storage.upload(content, f"{self._uri}/{name}", self._kms_key)
            self._copied[path] = state

    def _states(self) -> dict[Path, tuple[int, int]]:
        found: dict[Path, tuple[int, int]] = {}
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                found[path] = status.st_mtime_ns, status.st_size
        return found
