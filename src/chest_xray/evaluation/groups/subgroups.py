"""The model in groups of patients: by sex, by age band, by view and by two of them.

Underdiagnosis is the share of images with a finding in which it is not flagged, overdiagnosis that of images without it
in which it is (Seyyed-Kalantari et al., Nature Medicine 2021). Each figure is compared with that of all other images.
Intervals and p-values are in closed form, clustered by patient: a bootstrap of 2,000 rounds knows no p-value below
1/1000, which hundreds of tests make 0.2 and more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import FindingProfile
from chest_xray.console import progress
from chest_xray.evaluation.calibration.calibrate import FEWEST_CASES, enough_cases
from chest_xray.evaluation.groups.tags import groups_of
from chest_xray.evaluation.performance import Scored, measurable, scored_finding
from chest_xray.evaluation.results import (
    Estimate,
    GapReport,
    GroupFigure,
    GroupFinding,
    NoFinding,
    Subgroup,
    Subgroups,
)
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.statistics.calibration_error import (
    calibration_columns,
    chance_calibration_error,
    error_interval,
    expected_calibration_error,
    rounds_of,
)
from chest_xray.statistics.clustered import (
    Clustered,
    Gap,
    auroc_interval,
    clustered_auroc,
    clustered_mean,
    clustered_share,
    gap_between,
    mean_interval,
    mean_of,
    share_interval,
)
from chest_xray.statistics.intervals import benjamini_hochberg
from chest_xray.statistics.metrics import PatientDraws

FEWEST_PATIENTS: Final = 50
METHOD: Final = (
    "Intervals and p-values are clustered by patient, in closed form: AUROC by DeLong's variance as Obuchowski (1997) "
    "extends it, on the logit scale; rates by Wilson's interval with the effective number of images. The interval of "
    "the ECE is of the patient bootstrap. q is Benjamini and Hochberg's (1995), taken over all groups and findings of "
    "one figure."
)
Mask = NDArray[np.bool_]
# Group, finding (or none, for all together) and figure of a gap.
GapKey = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class PatientGroup:
    """A group of images; `members` (N,)."""

    kind: str
    value: str
    members: Mask

    @property
    def name(self) -> str:
        """For people: `sex F`, `sex and view F, PA`."""
        return f"{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Audience:
    """All test images under all findings that can be measured, by patient."""

    test: ScoredImages
    scored: Mapping[str, Scored]
    draws: PatientDraws

    def flagged_anything(self) -> Mask | None:
        """Images (N,) in which any finding is flagged; None where no finding can be."""
        flags = [one.flagged for one in self.scored.values() if one.flagged is not None]
        return np.any(flags, axis=0) if flags else None


def measure_subgroups(
    test: ScoredImages, profiles: Mapping[str, FindingProfile], draws: PatientDraws
) -> Subgroups | None:
    """Every group with at least `FEWEST_PATIENTS` patients; None where no image has a tag."""
    groups = patient_groups(test)
    if not groups:
        return None
    names = test.findings
    scored = {names[k]: scored_finding(test, k, profiles[names[k]]) for k in measurable(test)}
    audience = Audience(test, scored, draws)
    kept, left_out = _large_enough(groups, draws)
    found: list[Subgroup] = []
    gaps: dict[GapKey, Gap] = {}
    with progress("Groups of patients", len(kept), "groups") as advance:
        for place, group in enumerate(kept):
            measured = _Measured(audience, group.members)
            found.append(measured.report(group))
            gaps |= {(place, *key): gap for key, gap in measured.gaps.items()}
            advance(1)
    return Subgroups(
        fewest_patients=FEWEST_PATIENTS,
        fewest_cases=FEWEST_CASES,
        method=METHOD,
        groups=_with_gaps(found, gaps),
        left_out=left_out,
    )


def patient_groups(test: ScoredImages) -> list[PatientGroup]:
    """Groups by one tag, then by two; only those that hold an image and leave one out."""
    single = [
        PatientGroup(group.kind, group.value, group.members) for group in groups_of(test.ages, test.sexes, test.views)
    ]
    double = [
        PatientGroup(f"{a.kind} and {b.kind}", f"{a.value}, {b.value}", a.members & b.members)
        for a, b in combinations(single, 2)
        if a.kind != b.kind
    ]
    kinds = sorted({group.kind for group in double}, key=[group.kind for group in double].index)
    ordered = single + [group for kind in kinds for group in double if group.kind == kind]
    return [group for group in ordered if group.members.any() and not group.members.all()]


def _large_enough(groups: list[PatientGroup], draws: PatientDraws) -> tuple[list[PatientGroup], dict[str, str]]:
    kept, left_out = [], {}
    for group in groups:
        patients = len(np.unique(draws.index[group.members]))
        if patients >= FEWEST_PATIENTS:
            kept.append(group)
        else:
            left_out[group.name] = f"{patients} patients, fewer than {FEWEST_PATIENTS}"
    return kept, left_out


class _Measured:
    """One group's figures; the gaps to the rest are kept aside, because their q needs all groups."""

    def __init__(self, audience: Audience, members: Mask) -> None:
        self._audience = audience
        self._sides = members, ~members
        self._patients = audience.draws.index
        self.gaps: dict[tuple[str, str], Gap] = {}

    def report(self, group: PatientGroup) -> Subgroup:
        """The group without its gaps."""
        errors = self._calibration_errors()
        findings, in_group, in_rest = {}, [], []
        names = []
        for name, scored in self._audience.scored.items():
            aurocs = [self._auroc(scored, side) for side in self._sides]
            findings[name] = self._finding(name, scored, aurocs, errors.get(name))
            if aurocs[0] is not None and aurocs[1] is not None:
                names.append(name)
                in_group.append(aurocs[0])
                in_rest.append(aurocs[1])
        return Subgroup(
            kind=group.kind,
            group=group.value,
            images=int(group.members.sum()),
            patients=len(np.unique(self._patients[group.members])),
            mean_auroc=self._auroc_figure("", "mean_auroc", mean_of(in_group), mean_of(in_rest)) if names else None,
            mean_findings=names,
            no_finding=self._no_finding(),
            findings=findings,
        )

    def _finding(self, name: str, scored: Scored, aurocs: list[Clustered | None], ece: Estimate | None) -> GroupFinding:
        inside = self._sides[0]
        positives = int((scored.positive & inside).sum())
        flagged = scored.flagged
        return GroupFinding(
            positives=positives,
            negatives=int(inside.sum()) - positives,
            auroc=self._auroc_figure(name, "auroc", *aurocs),
            ece=ece,
            ece_by_chance=None if ece is None else chance_calibration_error(scored.after[inside]),
            excess=None if ece is None else self._excess(name, scored),
            underdiagnosis=None if flagged is None else self._rate(name, "underdiagnosis", ~flagged, scored.positive),
            overdiagnosis=None if flagged is None else self._rate(name, "overdiagnosis", flagged, ~scored.positive),
        )

    def _auroc(self, scored: Scored, side: Mask) -> Clustered | None:
        positive = scored.positive[side]
        if not enough_cases(positive):
            return None
        return clustered_auroc(positive, scored.logits[side], self._patients[side], self._audience.draws.count)

    def _auroc_figure(
        self, name: str, figure: str, group: Clustered | None, rest: Clustered | None
    ) -> GroupFigure | None:
        if group is None:
            return None
        self._keep_gap(name, figure, group, rest)
        return GroupFigure(value=group.value, ci95=auroc_interval(group), gap=None)

    def _rate(self, name: str, figure: str, hits: Mask, of: Mask) -> GroupFigure | None:
        """Share of the images `of` that are `hits`."""
        group, rest = (self._share(hits, side & of) for side in self._sides)
        if group is None:
            return None
        self._keep_gap(name, figure, group, rest)
        patients = len(np.unique(self._patients[self._sides[0] & of]))
        return GroupFigure(value=group.value, ci95=share_interval(group, patients), gap=None)

    def _share(self, hits: Mask, of: Mask) -> Clustered | None:
        if np.count_nonzero(of) < FEWEST_CASES:
            return None
        return clustered_share(hits[of], self._patients[of], self._audience.draws.count)

    def _excess(self, name: str, scored: Scored) -> GroupFigure:
        excess = scored.after - scored.positive
        group, rest = (
            clustered_mean(excess[side], self._patients[side], self._audience.draws.count) for side in self._sides
        )
        self._keep_gap(name, "excess", group, rest)
        return GroupFigure(value=group.value, ci95=mean_interval(group), gap=None)

    def _calibration_errors(self) -> dict[str, Estimate]:
        """The calibration error of each finding with enough cases, from one set of draws of the group's patients."""
        inside = self._sides[0]
        kept = {name: one for name, one in self._audience.scored.items() if enough_cases(one.positive[inside])}
        if not kept:
            return {}
        columns = [calibration_columns(one.positive[inside], one.after[inside]) for one in kept.values()]
        draws = PatientDraws(self._patients[inside], rounds=self._audience.draws.rounds, seed=0)
        sums = np.split(draws.sums(np.concatenate(columns, axis=1)), len(kept), axis=1)
        found = {}
        for (name, one), rounds in zip(kept.items(), sums, strict=True):
            error = expected_calibration_error(one.positive[inside], one.after[inside])
            found[name] = Estimate(value=error, ci95=error_interval(error, rounds_of(rounds)[1]))
        return found

    def _no_finding(self) -> NoFinding:
        flagged = self._audience.flagged_anything()
        if flagged is None:
            return NoFinding(underdiagnosis=None, overdiagnosis=None)
        ill = np.any([scored.positive for scored in self._audience.scored.values()], axis=0)
        return NoFinding(
            underdiagnosis=self._rate("", "no_finding_underdiagnosis", ~flagged, ill),
            overdiagnosis=self._rate("", "no_finding_overdiagnosis", flagged, ~ill),
        )

    def _keep_gap(self, name: str, figure: str, group: Clustered, rest: Clustered | None) -> None:
        gap = None if rest is None else gap_between(group, rest)
        if gap is not None:
            self.gaps[name, figure] = gap


def _with_gaps(groups: list[Subgroup], gaps: Mapping[GapKey, Gap]) -> list[Subgroup]:
    """Put each gap into its figure, with q over all gaps of the same figure."""
    adjusted: dict[GapKey, float] = {}
    for figure in {key[2] for key in gaps}:
        adjusted |= benjamini_hochberg({key: gap.p for key, gap in gaps.items() if key[2] == figure})
    reports = {
        key: GapReport(difference=gap.difference, ci95=gap.ci95, p=gap.p, q=adjusted[key]) for key, gap in gaps.items()
    }
    return [_group_with_gaps(group, place, reports) for place, group in enumerate(groups)]


def _group_with_gaps(group: Subgroup, place: int, gaps: Mapping[GapKey, GapReport]) -> Subgroup:
    def filled(figure: GroupFigure | None, name: str, what: str) -> GroupFigure | None:
        return None if figure is None else figure.model_copy(update={"gap": gaps.get((place, name, what))})

    findings = {
        name: row.model_copy(update={what: filled(getattr(row, what), name, what) for what in _FIGURES})
        for name, row in group.findings.items()
    }
    together = group.no_finding
    no_finding = NoFinding(
        underdiagnosis=filled(together.underdiagnosis, "", "no_finding_underdiagnosis"),
        overdiagnosis=filled(together.overdiagnosis, "", "no_finding_overdiagnosis"),
    )
    mean = filled(group.mean_auroc, "", "mean_auroc")
    return group.model_copy(update={"findings": findings, "no_finding": no_finding, "mean_auroc": mean})


_FIGURES: Final = ("auroc", "excess", "underdiagnosis", "overdiagnosis")


def unfair_gaps(subgroups: Subgroups, level: float = 0.05) -> Iterator[tuple[Subgroup, str, str, GroupFigure]]:
    """Yield (group, finding or '', figure, value) of each gap that is to the group's harm with q below `level`.

    To its harm: a lower AUROC, or more underdiagnosis or overdiagnosis, than in the rest.
    """
    for group in subgroups.groups:
        rows = [("", "mean_auroc", group.mean_auroc)]
        rows += [("", name, getattr(group.no_finding, name)) for name in ("underdiagnosis", "overdiagnosis")]
        for finding, row in group.findings.items():
            rows += [(finding, what, getattr(row, what)) for what in ("auroc", "underdiagnosis", "overdiagnosis")]
        for finding, what, figure in rows:
            if figure is None or figure.gap is None or figure.gap.q >= level:
                continue
            if (figure.gap.difference < 0) == ("auroc" in what):
                yield group, finding, what, figure
