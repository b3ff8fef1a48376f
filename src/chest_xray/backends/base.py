"""The two seams: `Predictor` (images in, predictions out) and `Backend` (where the commands run).

Names are SageMaker's: ModelPackageGroup, ModelPackage, Endpoint, and the approval states verbatim.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from chest_xray.bundle import Manifest
    from chest_xray.training.config import TrainConfig

ApprovalStatus = Literal["PendingManualApproval", "Approved", "Rejected"]
APPROVAL_STATUSES: tuple[ApprovalStatus, ...] = get_args(ApprovalStatus)


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model answered. `version` is None for a bundle that was never registered."""

    name: str
    version: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class FindingScore:
    """One finding of one film.

    `probability` is calibrated, 0..1. `operating_point` is the probability from which the finding is flagged; it and
    `flag` are None when validation had too few cases to choose one.
    """

    finding: str
    probability: float
    operating_point: float | None
    flag: bool | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one film.

    `findings` are in the order of `FINDINGS`. `heat_maps` has the class activation map of each finding asked for:
    float32 (h, w), the logit's share of each cell, so that a map's mean plus the classifier's bias is the logit.
    `timings_ms` are milliseconds by stage.
    """

    model: ModelIdentity
    findings: tuple[FindingScore, ...]
    heat_maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)


class Predictor(Protocol):
    """Answers for one deployed model."""

    @property
    def identity(self) -> ModelIdentity:
        """The model that answers."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What the model's bundle says of it."""
        ...

    def predict(self, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
        """Score one image file's bytes; `explain` names the findings whose heat maps come back.

        Raises:
            ImageError: the bytes are not an image that can be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A bundle in the registry, with who registered it and who decided on it. Times are UTC."""

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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployed model version."""

    name: str
    model: ModelIdentity
    deployed_at: datetime
    bundle: Path


class Backend(Protocol):
    """Where the steps run: one implementation for a laptop, one for SageMaker."""

    def prepare(self, source: Path, output: Path, *, image_size: int, workers: int | None) -> Path:
        """Make shards of an NIH-format folder; returns the shard folder."""
        ...

    def train(self, data: Path, output: Path, config: TrainConfig) -> Path:
        """Train on a shard folder, or go on from the run's checkpoint; returns the run folder."""
        ...

    def register(self, bundle: Path, *, model_name: str, by: str) -> ModelVersion:
        """Add a bundle as the next version of `model_name`, PendingManualApproval."""
        ...

    def models(self, model_name: str | None = None) -> list[ModelVersion]:
        """Every version of one model or of all, newest last."""
        ...

    def set_approval(
        self, model_name: str, version: int, status: ApprovalStatus, *, by: str, reason: str | None
    ) -> ModelVersion:
        """Decide on a version."""
        ...

    def deploy(self, model_name: str, *, version: int | None, endpoint: str) -> Endpoint:
        """Deploy an Approved version (the newest one when `version` is None).

        Raises:
            NotApprovedError: that version, or every version, is not Approved.
        """
        ...

    def predictor(self, endpoint: str) -> Predictor:
        """The predictor of a deployed endpoint."""
        ...
