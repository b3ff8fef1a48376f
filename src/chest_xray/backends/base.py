"""The two seams: `Predictor` (images in, predictions out) and `Backend` (where the commands run).

Names are SageMaker's: ModelPackageGroup, ModelPackage, Endpoint, and the approval states verbatim.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from chest_xray.images.film import MediaType, Sex, View

if TYPE_CHECKING:
    from chest_xray.bundle import Manifest, Variant
    from chest_xray.training.config import TrainConfig

ApprovalStatus = Literal["PendingManualApproval", "Approved", "Rejected"]
GateOutcome = Literal["passed", "failed", "not_run"]
QualityCheck = Literal["blank", "inverted", "rotated", "cropped", "too_small"]
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
class FilmFacts:
    """What is kept of an image file besides its pixels: no identifier, no date, no free text.

    `width` and `height` are pixels as the film is looked at. `view`, `age` (years) and `sex` come from DICOM tags and
    are None where the file does not say.
    """

    media_type: MediaType
    width: int
    height: int
    view: View | None = None
    age: int | None = None
    sex: Sex | None = None


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """Whether a film is like the training data.

    `distance` is that of the film's embedding from the training films', 1 for a typical one of them. The film is
    `in_distribution` when it is at most `threshold`, which a film from where the validation films came exceeds with a
    probability of at most `false_refusal_rate`.
    """

    in_distribution: bool
    distance: float
    threshold: float
    false_refusal_rate: float


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """Something about the picture itself that makes its scores doubtful; `detail` is one sentence."""

    check: QualityCheck
    detail: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one film.

    `findings` are in the order of `FINDINGS`. `heat_maps` has the class activation map of each finding asked for:
    float32 (h, w), the logit's share of each cell, so that a map's mean plus the classifier's bias is the logit.
    `timings_ms` are milliseconds by stage. `event_id` is a UUID made with the prediction; what a reader says of it
    later is joined to it by that.
    """

    model: ModelIdentity
    film: FilmFacts
    findings: tuple[FindingScore, ...]
    guard: GuardVerdict
    quality: tuple[QualityWarning, ...] = ()
    heat_maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: str(uuid4()), compare=False)


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
        """Score one image file's bytes.

        `explain` names the findings whose heat maps come back; `top` is the most probable of the flagged ones (or of
        all, where none is flagged), `all` is each of them.

        Raises:
            ImageError: the bytes are not an image that can be read.
        """
        ...


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


class Backend(Protocol):
    """Where the steps run: one implementation for a laptop, one for SageMaker."""

    def prepare(self, source: Path, output: Path, *, image_size: int, workers: int | None) -> Path:
        """Make shards of an NIH-format folder; returns the shard folder."""
        ...

    def train(self, data: Path, output: Path, config: TrainConfig) -> Path:
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
