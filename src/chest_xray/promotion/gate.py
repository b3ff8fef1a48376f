"""The promotion gate: a challenger becomes a candidate only if it is not worse than the champion by a margin.

The champion is the newest Approved version. Compared are the mean AUROC of all test images, each common finding, and
the mean in each group of patients. A finding is common, and a group is judged, with `fewest` images with and without.
Where the paired 95% interval is no wider than twice the margin, its lower end must lie above minus the margin: the
challenger is shown to be not worse (non-inferiority). Where it is wider, no model could be shown that with so few
cases, and the estimate itself must lie above minus the margin; the verdict says on how many estimates it rests. The
first version of a model has no champion: it must reach a floor.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Sha256
from chest_xray.evaluation.comparison.results import Comparison, Difference, MeanDifference

SHORT = 256  # characters of a CustomMetadataProperties value of SageMaker's registry
_MOST_REASONS = 3


class GateRules(Frozen):
    """What "not worse" means, in AUROC."""

    margin: float = Field(default=0.01, gt=0, lt=1)
    group_margin: float = Field(default=0.03, gt=0, lt=1)
    floor: float = Field(default=0.5, ge=0, le=1)
    fewest: int = Field(default=30, ge=10)


class GateCheck(Frozen):
    """One difference, challenger less champion, held to its margin."""

    scope: str = Field(description="`mean`, a finding, or a group such as `sex F`.")
    difference: float
    ci95: Interval | None
    margin: float
    basis: Literal["interval", "estimate"]
    passed: bool

    @property
    def sentence(self) -> str:
        """`Effusion -0.041 (-0.060 to -0.021), margin 0.03`."""
        interval = "" if self.ci95 is None else f" ({self.ci95[0]:+.3f} to {self.ci95[1]:+.3f})"
        return f"{self.scope} {self.difference:+.3f}{interval}, margin {self.margin:g}"


class GateVerdict(Frozen):
    """What the gate found. `not_run` is a registration without data although there is a champion."""

    format: Literal["cxr-gate/1"] = "cxr-gate/1"
    outcome: Literal["passed", "failed", "not_run"]
    champion: int | None = Field(description="Version that it was compared with; None for a first version.")
    champion_digest: Sha256 | None = None
    data_hash: Sha256 | None = None
    rules: GateRules
    checks: list[GateCheck] = Field(default=[])
    not_judged: dict[str, str] = Field(default={}, description="Findings and groups with too few images, and why.")
    reasons: list[str] = Field(description="Why it failed or was not run; empty when passed.")
    notes: list[str] = Field(default=[])
    forced: str | None = Field(default=None, description="The reason given for registering it all the same.")

    @property
    def summary(self) -> str:
        """One line of at most `SHORT` characters."""
        return shortened(self._summary())

    def _summary(self) -> str:
        if self.champion is None:
            found = "floor reached" if self.outcome == "passed" else "; ".join(self.reasons)
            return f"{self.outcome}: first version, {found}"
        against = f"against version {self.champion}"
        if self.outcome != "passed":
            return f"{self.outcome.replace('_', ' ')} {against}: {'; '.join(self.reasons)}"
        estimates = sum(check.basis == "estimate" for check in self.checks)
        rests = f", {estimates} of them on the estimate alone" if estimates else ""
        too_few = f"; {len(self.not_judged)} not judged" if self.not_judged else ""
        return f"passed {against}: {self.checks[0].sentence}; {len(self.checks)} checks{rests}{too_few}"


def shortened(text: str, most: int = SHORT) -> str:
    """At most `most` characters, with an ellipsis where some are missing."""
    return text if len(text) <= most else text[: most - 3] + "..."


def judge_first(mean_auroc: float | None, rules: GateRules) -> GateVerdict:
    """A model's first version against the floor; the AUROC is the one that its own evaluation gave."""
    if mean_auroc is not None and mean_auroc >= rules.floor:
        return GateVerdict(outcome="passed", champion=None, rules=rules, reasons=[])
    found = "it has no mean AUROC" if mean_auroc is None else f"mean AUROC {mean_auroc:.3f}"
    return GateVerdict(outcome="failed", champion=None, rules=rules, reasons=[f"{found}, the floor is {rules.floor:g}"])


def not_run(champion: int, champion_digest: str, rules: GateRules) -> GateVerdict:
    """A registration that was not compared with the champion."""
    return GateVerdict(
        outcome="not_run",
        champion=champion,
        champion_digest=champion_digest,
        rules=rules,
        reasons=["no data were given to compare on"],
    )


def judge(comparison: Comparison, champion: int, rules: GateRules) -> GateVerdict:
    """Hold a comparison, of the champion as A and the challenger as B, to the rules."""
    checks, not_judged = _checks(comparison, rules)
    reasons = [check.sentence for check in checks if not check.passed]
    if not any(check.scope == "mean" for check in checks):
        reasons.insert(0, f"the mean cannot be judged: {not_judged['mean']}")
    return GateVerdict(
        outcome="failed" if reasons else "passed",
        champion=champion,
        champion_digest=comparison.a.digest,
        data_hash=comparison.b.data_hash,
        rules=rules,
        checks=checks,
        not_judged=not_judged,
        reasons=reasons,
        notes=comparison.notes,
    )


def refusal(verdict: GateVerdict) -> str:
    """The reasons in one line, for the person whose bundle is refused."""
    shown = verdict.reasons[:_MOST_REASONS]
    more = len(verdict.reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _checks(comparison: Comparison, rules: GateRules) -> tuple[list[GateCheck], dict[str, str]]:
    rows: list[tuple[str, Difference | MeanDifference, float]] = [("mean", comparison.mean, rules.margin)]
    rows += [(name, row, rules.group_margin) for name, row in comparison.findings.items()]
    rows += [(group.name, group.mean, rules.group_margin) for group in comparison.groups]
    checks, not_judged = [], dict(comparison.groups_left_out)
    for scope, row, margin in rows:
        if row.difference is None or min(row.positives, row.negatives) < rules.fewest:
            not_judged[scope] = f"{row.positives} images with, {row.negatives} without; {rules.fewest} of each needed"
        else:
            checks.append(_check(scope, row.difference, row.ci95, margin))
    return checks, not_judged


def _check(scope: str, difference: float, ci95: Interval | None, margin: float) -> GateCheck:
    resolved = ci95 is not None and ci95[1] - ci95[0] <= 2 * margin
    lowest = ci95[0] if ci95 is not None and resolved else difference
    basis: Literal["interval", "estimate"] = "interval" if resolved else "estimate"
    return GateCheck(
        scope=scope, difference=difference, ci95=ci95, margin=margin, basis=basis, passed=lowest > -margin
    )  # fmt: skip
