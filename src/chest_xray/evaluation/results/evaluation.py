"""The document itself, and the profiles that a bundle takes from the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from chest_xray.bundle import AIM_PATTERN, FindingProfile, Frozen, Sha256
from chest_xray.errors import TrainingError
from chest_xray.evaluation.localise.results import LocalisationReport
from chest_xray.evaluation.results.base import Count
from chest_xray.evaluation.results.groups import Shortcuts, Subgroups
from chest_xray.evaluation.results.performance import FindingMetrics, Issue, MeanMetrics
from chest_xray.evaluation.results.shift import PriorCorrection, Shift
from chest_xray.notices import RESEARCH_USE_ONLY

ListSource = Literal["official", "lists", "patient hash"]


class Bootstrap(Frozen):
    """How the intervals were made."""

    unit: Literal["patient"] = Field(default="patient", description="What is drawn, with replacement.")
    level: float = Field(default=0.95, description="Of all intervals in this document.")
    rounds: Count = Field(description="Resamples.")
    seed: int = Field(description="Of the draws; the same seed gives the same intervals.")


class Evaluation(Frozen):
    """evaluation.json: what was measured, on which images, with which weights."""

    format: Literal["cxr-evaluation/1"] = Field(default="cxr-evaluation/1", description="Of this document.")
    notice: str = Field(default=RESEARCH_USE_ONLY, description="What the figures may not be used for.")
    split: Literal["test"] = Field(default="test", description="The images measured.")
    split_source: ListSource | None = Field(
        default=None,
        description="official: NIH's lists with all their 25,596 test images of 2,797 patients; lists: other lists in "
        "the source folder, or a part of NIH's; patient hash: drawn by patient, because there were no lists.",
    )
    images: Count = Field(description="Test images measured.")
    patients: Count = Field(description="Their patients.")
    validation_images: Count | None = Field(default=None, description="For calibration and operating points.")
    label_version: str = Field(description="v2020, 2017 or phantom: no figure of phantoms says anything of patients.")
    data_hash: Sha256 = Field(description="Of the pixels and the index of the prepared data.")
    weights_sha256: Sha256 = Field(description="Of the weights measured.")
    aim: Annotated[str, Field(pattern=AIM_PATTERN)] = Field(
        default="youden", description="What the operating points were chosen for, on validation images."
    )
    bootstrap: Bootstrap = Field(description="Rounds, seed and level of the intervals.")
    mean: MeanMetrics = Field(description="Over findings.")
    findings: dict[str, FindingMetrics] = Field(description="By finding, in the order of the logits.")
    issues: list[Issue] = Field(default=[], description="What is not in a figure, or should be known of one.")
    shift: Shift | None = Field(default=None, description="Test list against validation; null without validation.")
    prior: PriorCorrection | None = Field(default=None, description="Correction for prevalence.")
    subgroups: Subgroups | None = Field(default=None, description="Groups of patients; null where tags are missing.")
    shortcuts: Shortcuts | None = Field(
        default=None, description="Shortcut audit; null when only predictions were at hand, or one class of image."
    )
    localisation: LocalisationReport | None = Field(
        default=None, description="Heat maps against boxes; null where no test image has one."
    )

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before the figures, one a line."""
        findings: dict[str, list[str]] = {}
        for issue in self.issues:
            findings.setdefault(issue.reason, []).extend([issue.finding] if issue.finding else [])
        shifts = self.shift.warnings if self.shift else []
        return [*shifts, *(f"{', '.join(names)}: {reason}" if names else reason for reason, names in findings.items())]


class Profiles(Frozen):
    """The content of profiles.json: each finding's calibration and operating point, from validation images."""

    images: Count
    weights_sha256: Sha256
    findings: dict[str, FindingProfile]

    def with_auroc(self, evaluation: Evaluation) -> dict[str, FindingProfile]:
        """The profiles as a manifest has them: each with its AUROC on the test images."""
        return {
            name: profile.model_copy(
                update={"auroc": evaluation.findings[name].auroc, "auroc_ci95": evaluation.findings[name].ci95}
            )
            for name, profile in self.findings.items()
        }


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
