"""The two seams: `Predictor` (images in, predictions out) and `Backend` (where the commands run).

Names are SageMaker's: ModelPackageGroup, ModelPackage, Endpoint, and the approval states verbatim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from chest_xray.locations import Location, S3Prefix
from chest_xray.prediction import ModelIdentity, Predictor

if TYPE_CHECKING:
    from chest_xray.bundle import Variant
    from chest_xray.data.prepare.prepare import PrepareReport
    from chest_xray.training.config import TrainConfig

ApprovalStatus = Literal["PendingManualApproval", "Approved", "Rejected"]
GateOutcome = Literal["passed", "failed", "not_run"]
APPROVAL_STATUSES: tuple[ApprovalStatus, ...] = get_args(ApprovalStatus)


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What the promotion gate found when a version was registered.

    `champion` is the Approved version that it was compared with, None for the first version of a model. `summary` and
    `forced` have at most 256 characters; `forced` is the reason of the person who registered it although it had not
    passed. `reasons` say why it had not.
    """

    outcome: GateOutcome
    champion: int | None
    summary: str
    forced: str | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A bundle in the registry, with who registered it and who decided on it. Times are UTC.

    `gate` is None for a version that was registered before there was a gate.
    """

    model_name: str
    version: int
    status: ApprovalStatus
    digest: str
    label_version: str
    mean_auroc: float | None
    registered_by: str
    registered_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    gate: GateRecord | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployed model version."""

    name: str
    model: ModelIdentity
    deployed_at: datetime
    bundle: Path


class TrainingJobs(Protocol):
    """Training that runs elsewhere, under a name, whether or not anybody watches it."""

    def plan(self, data: Location, run: Path, config: TrainConfig) -> list[dict[str, Any]]:
        """The requests that training would make, as JSON; nothing is asked for."""
        ...

    def attach(self, name: str, run: Path | None) -> Path:
        """Follow a job to its end and fetch its results into `run`, or into the folder it was started for."""
        ...

    def stop(self, name: str) -> str:
        """Ask a job to save a checkpoint and stop; returns its status."""
        ...

    def resume(self, name: str, run: Path | None, *, on_demand: bool = False) -> Path:
        """Go on from a stopped job's checkpoints, under a name of its own, and follow it to its end."""
        ...


class Preparer(Protocol):
    """Preparation of films that runs elsewhere."""

    def plan(self, source: S3Prefix, output: S3Prefix, *, image_size: int) -> list[dict[str, Any]]:
        """The requests that preparing would make, as JSON; nothing is written."""
        ...


class Backend(Protocol):
    """Where the steps run: one implementation for a laptop, one for SageMaker."""

    def prepare(self, source: Location, output: Location, *, image_size: int, workers: int | None) -> PrepareReport:
        """Make shards of an NIH-format folder, or prefix of S3, in `output`."""
        ...

    def train(self, data: Location, output: Path, config: TrainConfig) -> Path:
        """Train on a shard folder, or go on from the run's checkpoint; returns the run folder."""
        ...

    def register(
        self, bundle: Path, *, model_name: str, by: str, data: Sequence[Path] = (), force: str | None = None
    ) -> ModelVersion:
        """Add a bundle as the next version of `model_name`, PendingManualApproval, if the promotion gate lets it in.

        Args:
            bundle: its folder.
            model_name: the model that it becomes a version of.
            by: who registers it.
            data: shards on whose test images it is compared with the champion, the newest Approved version.
            force: why it is registered even if the gate does not let it in, in at most 256 characters.

        Raises:
            GateError: it does not pass, or there is a champion and no data; nothing was registered.
        """
        ...

    def fetch(self, model_name: str, version: int, into: Path) -> Path:
        """Copy a version's bundle below the folder `into`; returns where."""
        ...

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Every version of one model or of all, newest last."""
        ...

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Decide on a version.

        Raises:
            GateError: it is to be approved without a reason, and was not compared with today's champion or did not
                pass the gate.
        """
        ...

    def deploy(
        self, model_name: str, *, version: int | None, endpoint: str, variant: Variant | None = None
    ) -> Endpoint:
        """Deploy an Approved version (the newest one when `version` is None), or the variant of it in its bundle.

        Raises:
            NotApprovedError: that version, or every version, is not Approved.
            BundleError: its bundle has no such variant.
        """
        ...

    def predictor(self, endpoint: str) -> Predictor:
        """The predictor of a deployed endpoint."""
        ...
