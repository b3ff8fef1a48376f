"""The plots of an evaluation, from its figures and the scores that they were made of; report.html has the curves."""

from __future__ import annotations

from typing import Final

import numpy as np

from chest_xray.evaluation.drawings import ForestRow, Points, Reliability, plot_forest, plot_reliability
from chest_xray.evaluation.performance import Scored, measurable, scored_finding
from chest_xray.evaluation.results import Evaluation, FindingMetrics, GroupFigure, Profiles, Subgroup, Subgroups
from chest_xray.evaluation.results.groups import REAL
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.notices import describe_source
from chest_xray.statistics import Floats
from chest_xray.statistics.calibration_error import reliability

PLOTS: Final = ("reliability.png", "subgroups.png")


def plot_evaluation(evaluation: Evaluation, profiles: Profiles, test: ScoredImages) -> dict[str, bytes]:
    """PNG by file name: `PLOTS`, without the groups where there are none."""
    images = f"Test list, {evaluation.images} {describe_source(evaluation.label_version)}"
    names = test.findings
    scored = {names[k]: scored_finding(test, k, profiles.findings[names[k]]) for k in measurable(test)}
    reliabilities = {name: _reliability(evaluation.findings[name], scored.get(name)) for name in names}
    plots = {
        "reliability.png": plot_reliability(
            reliabilities, f"{images}: orange before calibration, blue after, 15 bins of equally many images"
        ),
    }
    panels = {} if evaluation.subgroups is None else forest_panels(evaluation.subgroups)
    if panels:
        plots["subgroups.png"] = plot_forest(panels, f"{images}, by group; orange: q < {REAL:g} against the rest")
    return plots


def _reliability(metrics: FindingMetrics, scored: Scored | None) -> Reliability | None:
    found = metrics.calibration
    if scored is None or found is None:
        return None
    text = f"{found.method.replace('_', ' ')}\nECE {found.before.ece.value:.3f} to {found.after.ece.value:.3f}"
    return Reliability(_points(scored, scored.before), _points(scored, scored.after), text)


def _points(scored: Scored, probability: Floats) -> Points:
    bins = reliability(scored.positive, probability)
    return Points(
        x=np.array([one.probability for one in bins]),
        y=np.array([one.observed for one in bins]),
        ci95=np.array([one.ci95 for one in bins]),
    )


def forest_panels(subgroups: Subgroups) -> dict[str, list[ForestRow]]:
    """Mean AUROC, and being called healthy or ill wrongly, by group; without a figure that no group has."""
    panels = {
        "mean AUROC": [_row(group, group.mean_auroc) for group in subgroups.groups],
        "underdiagnosis: ill, nothing flagged": [
            _row(group, group.no_finding.underdiagnosis) for group in subgroups.groups
        ],
        "overdiagnosis: healthy, something flagged": [
            _row(group, group.no_finding.overdiagnosis) for group in subgroups.groups
        ],
    }
    drawn = {name: [row for row in rows if row is not None] for name, rows in panels.items()}
    return {name: rows for name, rows in drawn.items() if rows}


def _row(group: Subgroup, figure: GroupFigure | None) -> ForestRow | None:
    if figure is None:
        return None
    return ForestRow(group.name, figure.value, figure.ci95, figure.gap is not None and figure.gap.real)
