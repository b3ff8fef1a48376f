"""What is asked of a model and what it answers: the words that every room has for a prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from chest_xray.images.film import FileCheck, MediaType, Sex, View

if TYPE_CHECKING:
    from chest_xray.bundle import Manifest

PictureCheck = Literal["blank", "low_contrast", "saturated", "inverted", "rotated", "cropped", "too_small"]
QualityCheck = Literal[FileCheck, PictureCheck]


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
    `flag` are None when validation had too few cases to choose one. `flag` is None for a film whose scores are
    withheld, too.
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

    `findings` are in the order of the logits. `heat_maps` has the class activation map of each finding asked for:
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

    def __post_init__(self) -> None:
        # Here, so that no door can answer with the flag of a film that is not accepted.
        if self.withheld is not None:
            unflagged = tuple(replace(score, flag=None) for score in self.findings)
            object.__setattr__(self, "findings", unflagged)

    @property
    def withheld(self) -> str | None:
        """Why the scores are not to be read: the first quality check that the film fails, or the guard's refusal.

        None for a film that the guard and every quality check accept; the words are those that `strict` refuses with.
        """
        for warning in self.quality:
            return f"quality_{warning.check}"
        return None if self.guard.in_distribution else "out_of_distribution"


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
