"""Groups of patients, and what could be guessed without looking at the lungs."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Probability
from chest_xray.evaluation.results.base import Count, Estimate

REAL: Final = 0.05


class GapReport(Frozen):
    """The group less all other test images."""

    difference: float = Field(description="The group's value less that of the rest.")
    ci95: Interval = Field(description="95% interval, clustered by patient.")
    p: Probability = Field(description="Two-sided, clustered by patient.")
    q: Probability = Field(
        description="`p` adjusted for all groups and findings of this figure (Benjamini and Hochberg 1995): below "
        "0.05, one in twenty of the gaps called real is expected not to be."
    )

    @property
    def real(self) -> bool:
        """Whether `q` is below 0.05."""
        return self.q < REAL


class GroupFigure(Frozen):
    """A figure in a group."""

    value: float = Field(description="The value in the group.")
    ci95: Interval | None = Field(description="95% interval, clustered by patient; null where there are too few.")
    gap: GapReport | None = Field(description="Against the rest; null where the rest has too few images.")


class GroupFinding(Frozen):
    """One finding in a group. A figure is null where its images are fewer than `Subgroups.fewest_cases`."""

    positives: Count = Field(description="Images of the group with the finding.")
    negatives: Count = Field(description="Images of the group without it.")
    auroc: GroupFigure | None = Field(description="Area under the ROC curve.")
    ece: Estimate | None = Field(
        description="Expected calibration error, 15 bins. Not compared with the rest: it grows as a group shrinks."
    )
    ece_by_chance: float | None = Field(description="The error expected of so many images with true probabilities.")
    excess: GroupFigure | None = Field(
        description="Mean probability less share of positives: above 0 where the finding is overestimated."
    )
    underdiagnosis: GroupFigure | None = Field(
        description="Share of images with the finding that are not flagged, at the operating point."
    )
    overdiagnosis: GroupFigure | None = Field(
        description="Share of images without the finding that are flagged, at the operating point."
    )


class NoFinding(Frozen):
    """Over all findings together (Seyyed-Kalantari et al., Nature Medicine 2021)."""

    underdiagnosis: GroupFigure | None = Field(
        description="Share of images with any finding in which nothing is flagged: the ill who are called healthy."
    )
    overdiagnosis: GroupFigure | None = Field(
        description="Share of images without a finding in which something is flagged."
    )


class Subgroup(Frozen):
    """The test images of one group of patients."""

    kind: str = Field(description="sex, age, view, or two of them: `sex and view`.")
    group: str = Field(description="F, 40-60, PA, or two of them: `F, PA`.")
    images: Count = Field(description="Test images in it.")
    patients: Count = Field(description="Their patients; one with both views is in two groups.")
    mean_auroc: GroupFigure | None = Field(
        description="Unweighted mean over the findings that have enough cases in the group and in the rest."
    )
    mean_findings: list[str] = Field(description="Those findings.")
    no_finding: NoFinding = Field(description="Over all findings together.")
    findings: dict[str, GroupFinding] = Field(description="By finding.")

    @property
    def name(self) -> str:
        """For people: `sex F`, `sex and view F, PA`."""
        return f"{self.kind} {self.group}"

    @property
    def misjudged(self) -> dict[str, float]:
        """`excess` of the findings in which it differs from other images': too high or too low for this group."""
        excesses = {name: row.excess for name, row in self.findings.items() if row.excess is not None}
        return {name: excess.value for name, excess in excesses.items() if excess.gap is not None and excess.gap.real}

    @property
    def judged(self) -> int:
        """Findings whose `excess` is known."""
        return sum(row.excess is not None for row in self.findings.values())


class Subgroups(Frozen):
    """Every group with enough patients."""

    fewest_patients: Count = Field(description="Groups with fewer patients are left out.")
    fewest_cases: Count = Field(description="A figure needs so many images of each class that it rests on.")
    method: str = Field(description="How intervals and p-values were made.")
    groups: list[Subgroup] = Field(description="By sex, by age, by view, then by two of them.")
    left_out: dict[str, str] = Field(description="Groups that are not measured, with the reason.")

    @property
    def not_measured(self) -> str:
        """For people: the groups that are left out, in one sentence; empty where there is none."""
        if not self.left_out:
            return ""
        names = "; ".join(f"{name}: {why.partition(',')[0]}" for name, why in self.left_out.items())
        return f"Not measured, fewer than {self.fewest_patients} patients: {names}."


class Shortcut(Frozen):
    """What a logistic regression that never sees the lungs makes of something beside them."""

    inputs: str = Field(description="What it was given.")
    mean_auroc: Probability | None = Field(description="Unweighted mean over the findings below.")
    findings: dict[str, Estimate] = Field(description="AUROC by finding, on test images.")


class WithinView(Frozen):
    """The model among images of one view, where the view tells nothing."""

    view: Literal["PA", "AP"] = Field(description="Of the images.")
    images: Count = Field(description="Test images of this view.")
    mean_auroc: Probability | None = Field(description="Unweighted mean over the findings below.")
    mean_auroc_all: Probability | None = Field(description="The same findings' mean over images of both views.")
    findings: dict[str, Estimate] = Field(description="AUROC by finding.")


class Shortcuts(Frozen):
    """Fitted on training images, measured on the test images."""

    training_images: Count = Field(description="Images that the regressions were fitted to.")
    alone: dict[Literal["view", "border", "size"], Shortcut] = Field(description="What each input alone can predict.")
    within_view: list[WithinView] = Field(description="The model within PA and within AP.")
