"""What a finished job left, as a run folder, and what it cost."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.archives import unpack
from chest_xray.errors import TrainingError
from chest_xray.training.run import RunFolder

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.store import Store

RECORD = "training.json"


@dataclass(frozen=True, slots=True)
class Bill:
    """Times of a job in seconds. `saved` is 1 - billable / training, 0 to 1; `usd` is None without a price."""

    training_seconds: int
    billable_seconds: int
    saved: float
    usd: float | None

    def __str__(self) -> str:
        """One line for people."""
        cost = "give --usd-per-hour for its cost" if self.usd is None else f"{self.usd:.2f} USD"
        return (
            f"{self.training_seconds} s of training, {self.billable_seconds} s billed: "
            f"{self.saved:.0%} saved by spot instances; {cost}."
        )


def bill(job: dict[str, Any], usd_per_hour: float | None) -> Bill:
    """What DescribeTrainingJob says of time, and what it costs at an on-demand price an instance."""
    training = int(job.get("TrainingTimeInSeconds", 0))
    billable = int(job.get("BillableTimeInSeconds", training))
    hours = billable * job["ResourceConfig"].get("InstanceCount", 1) / 3600
    return Bill(
        training_seconds=training,
        billable_seconds=billable,
        saved=1 - billable / training if training else 0.0,
        usd=None if usd_per_hour is None else hours * usd_per_hour,
    )


def fetch_run(store: Store, job: dict[str, Any], run: Path) -> None:
    """Bring a finished job's results into a run folder, as training on this machine leaves it.

    `training.json`, which says that a run is finished, comes last.

    Raises:
        TrainingError: the job left nothing.
        ArchiveError: what is in S3 is no run.
    """
    folder = RunFolder(run)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    if not store.exists(uri):
        raise TrainingError(f"Training job {job['TrainingJobName']} is Completed and left no model at {uri}.")
    run.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run, prefix=".fetch-") as name:
        here = Path(name)
        store.download(uri, here / "model.tar.gz")
        unpack(here / "model.tar.gz", here / "model", must_hold=RECORD)
        output = uri.rsplit("/", 1)[0] + "/output.tar.gz"
        if store.exists(output):
            store.download(output, here / "output.tar.gz")
            unpack(here / "output.tar.gz", here / "output")
            _move(here / "output", folder.output)
        _move(here / "model", folder.model, last=RECORD)
    folder.checkpoints.mkdir(exist_ok=True)


def _move(source: Path, to: Path, last: str | None = None) -> None:
    files = sorted((path for path in source.rglob("*") if path.is_file()), key=lambda path: path.name == last)
    for path in files:
        target = to / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
