"""A job in a thread of its own, which ends the job whatever happens."""

from __future__ import annotations

import tempfile
import threading
from abc import ABC, abstractmethod
from pathlib import Path

from chest_xray.emulator.jobs.cluster import Cluster
from chest_xray.emulator.runtime import Runtime
from chest_xray.emulator.storage import MissingDataError


class JobThread(ABC):
    """What every kind of job does: begin, be closed with the emulator, and leave no process and no file."""

    def __init__(self, name: str, runtime: Runtime, cluster: Cluster) -> None:
        self._runtime, self._cluster = runtime, cluster
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._closing = threading.Event()

    def start(self) -> None:
        """Begin; the job's states tell the rest."""
        self._thread.start()

    def close(self) -> None:
        """End the job's processes with the emulator."""
        self._closing.set()
        self._thread.join()

    @abstractmethod
    def _run(self, folder: Path) -> None:
        """Take the job to its last state; `folder` is deleted afterwards."""

    @abstractmethod
    def _fail(self, reason: str) -> None:
        """End the job as failed."""

    def _terminate(self) -> None:
        """Ask the containers to end; less patiently when the emulator itself ends."""
        self._cluster.terminate(1.0 if self._closing.is_set() else self._runtime.pace.grace)

    def _live(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._runtime.folder, prefix="job-", ignore_cleanup_errors=True) as folder:
            try:
                self._run(Path(folder))
            except MissingDataError as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001 (a job that nobody ends would be waited for without end)
                self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            finally:
                self._cluster.kill()
