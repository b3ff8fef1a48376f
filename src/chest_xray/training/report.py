"""evaluation.json: what was measured, on which images, with which weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chest_xray.bundle import FindingProfile, Probability, Sha256
from chest_xray.errors import TrainingError
from chest_xray.findings import RESEARCH_USE_ONLY
from chest_xray.training.localise.report import LocalisationReport

Interval = tuple[Probability, Probability]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FindingMetrics(_Frozen):
    """One finding on the test images. `ci95` is of the AUROC. None where a class is missing, or nearly so."""

    positives: int
    negatives: int
    auroc: Probability | None
    ci95: Interval | None
    auprc: Probability | None
    auprc_ci95: Interval | None
    few_cases: bool = Field(description="Fewer than 10 images of one class: read the numbers with that in mind.")


class MeanMetrics(_Frozen):
    """Unweighted means over `findings`; those in `left_out` have one class only."""

    auroc: Probability | None
    ci95: Interval | None
    auprc: Probability | None
    auprc_ci95: Interval | None
    findings: list[str]
    left_out: list[str]


class Bootstrap(_Frozen):
    """How the intervals were made."""

    unit: Literal["patient"] = "patient"
    level: float = 0.95
    rounds: int
    seed: int


class Evaluation(_Frozen):
    """The content of evaluation.json."""

    format: Literal["cxr-evaluation/1"] = "cxr-evaluation/1"
    notice: str = RESEARCH_USE_ONLY
    split: Literal["test"] = "test"
    images: int
    patients: int
    label_version: str
    data_hash: Sha256
    weights_sha256: Sha256
    bootstrap: Bootstrap
    mean: MeanMetrics
    findings: dict[str, FindingMetrics]
    localisation: LocalisationReport | None = Field(
        default=None, description="Heat maps against boxes; None where no test image has one."
    )


class Profiles(_Frozen):
    """The content of profiles.json: each finding's calibration and operating point, from validation images."""

    images: int
    weights_sha256: Sha256
    findings: dict[str, FindingProfile]


def read_evaluation(directory: Path) -> tuple[Evaluation, Profiles]:
    """Read what `cxr evaluate` wrote.

    Raises:
        TrainingError: it has not run, or its files cannot be read.
    """
    evaluation, profiles = directory / "evaluation.json", directory / "profiles.json"
    if not (evaluation.is_file() and profiles.is_file()):
        raise TrainingError(f"{directory} holds no evaluation. Make one with `cxr evaluate`.")
    try:
        return (
            Evaluation.model_validate_json(evaluation.read_bytes()),
            Profiles.model_validate_json(profiles.read_bytes()),
        )
    except ValidationError as error:
        raise TrainingError(
            f"{directory} cannot be read: {error.errors()[0]['msg']}. Evaluate again with `cxr evaluate`."
        ) from error
