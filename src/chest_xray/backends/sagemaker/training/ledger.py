"""Which run folder of this machine a job's results belong in."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from chest_xray.errors import SettingsError
from chest_xray.files import write_atomically
from chest_xray.training.config import TrainConfig


class JobEntry(BaseModel):
    """What this machine keeps of a job that it started."""

    model_config = ConfigDict(frozen=True)

    name: str
    region: str
    run: Path
    data_hash: str
    config: TrainConfig


class Ledger:
    """A folder with a file for each job, and the job of a run folder in the folder itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, entry: JobEntry) -> None:
        """Keep a job; its run folder's earlier job is no longer the one that the folder waits for."""
        content = entry.model_dump_json(indent=2).encode()
        write_atomically(self._folder / f"{entry.name}.json", content)
        write_atomically(entry.run / "job.json", content)

    def remove(self, entry: JobEntry) -> None:
        """Forget a job that AWS refused."""
        for path in (self._folder / f"{entry.name}.json", entry.run / "job.json"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            entry.run.rmdir()

    def find(self, name: str) -> JobEntry | None:
        """A job by its name; None for one that another machine started."""
        return _read(self._folder / f"{name}.json")

    def of_run(self, run: Path) -> JobEntry | None:
        """The job whose results belong in a folder; None where there is none."""
        return _read(run / "job.json")


def _read(path: Path) -> JobEntry | None:
    if not path.is_file():
        return None
    try:
        return JobEntry.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SettingsError(f"{path} cannot be read ({error.errors()[0]['msg']}): delete it.") from error
