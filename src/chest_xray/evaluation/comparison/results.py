"""comparison.json: two bundles on the same test images, and how sure one may be that they differ."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Probability, Sha256
from chest_xray.notices import RESEARCH_USE_ONLY

SIGNIFICANT: Final = 0.05


class Difference(Frozen):
    """AUROC of A and B on the same images. None where a class has fewer images than `Comparison.fewest_cases`."""

    positives: int
    negatives: int
    a: Probability | None
    b: Probability | None
    difference: float | None = Field(description="B less A: above 0 where B is better.")
    ci95: Interval | None = Field(description="Percentile interval of the paired difference, over patients.")
    p: Probability | None = Field(description="Two-sided, of the paired bootstrap.")
    p_holm: Probability | None = Field(default=None, description="`p` corrected for the findings compared (Holm 1979).")


class MeanDifference(Frozen):
    """Means over `findings`, those with enough images of both classes; `left_out` has the others with the reason.

    `positives` are the images with any of these findings, `negatives` the images with none.
    """

    positives: int
    negatives: int
    a: Probability | None
    b: Probability | None
    difference: float | None
    ci95: Interval | None
    p: Probability | None
    findings: list[str]
    left_out: dict[str, str]


class GroupComparison(Frozen):
    """The images of one group of patients, for example `sex F`."""

    kind: Literal["sex", "age", "view"]
    group: str
    images: int
    patients: int
    mean: MeanDifference
    findings: dict[str, Difference]

    @property
    def name(self) -> str:
        """For people: `sex F`, `age 40-60`, `view PA`."""
        return f"{self.kind} {self.group}"


class ComparedBundle(Frozen):
    """One side."""

    name: str
    digest: Sha256
    image_size: int
    data_hash: Sha256 = Field(description="Of the prepared data that it was scored on.")


class Comparison(Frozen):
    """The content of comparison.json. A is the one that is there, B the one that wants its place."""

    format: Literal["cxr-comparison/1"] = "cxr-comparison/1"
    notice: str = RESEARCH_USE_ONLY
    a: ComparedBundle
    b: ComparedBundle
    label_version: str
    images: int
    patients: int
    rounds: int
    seed: int
    fewest_cases: int
    mean: MeanDifference
    findings: dict[str, Difference]
    groups: list[GroupComparison]
    groups_left_out: dict[str, str] = Field(description="Groups that are not compared, with the reason.")
    notes: list[str]

    @property
    def verdict(self) -> str:
        """One line: which is better, by how much, and how sure that is."""
        mean = self.mean
        if mean.difference is None:
            return f"No finding has {self.fewest_cases} images of each class: A and B cannot be compared."
        if mean.p is None or mean.p >= SIGNIFICANT:
            relation = "The test list does not tell B from A"
        else:
            relation = "B is better than A" if mean.difference > 0 else "B is worse than A"
        p = "" if mean.p is None else f", {describe_p(mean.p)}"
        told = f"{relation}: mean AUROC {mean.b:.3f} against {mean.a:.3f}, {describe_difference(mean)}{p}."
        return told + self._told_apart(1, " Better in ") + self._told_apart(-1, " Worse in ")

    def _told_apart(self, sign: int, words: str) -> str:
        names = [
            name
            for name, row in self.findings.items()
            if row.p_holm is not None and row.p_holm < SIGNIFICANT and (row.difference or 0) * sign > 0
        ]
        return f"{words}{', '.join(names)}." if names else ""


def describe_difference(row: Difference | MeanDifference) -> str:
    """`+0.012 (-0.003 to +0.027)`."""
    if row.difference is None:
        return "n/a"
    value = f"{row.difference:+.3f}"
    return value if row.ci95 is None else f"{value} ({row.ci95[0]:+.3f} to {row.ci95[1]:+.3f})"


def describe_p(p: float) -> str:
    """`p = 0.03`, and `p < 0.001` below that."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
