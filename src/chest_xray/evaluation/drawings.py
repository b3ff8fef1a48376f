"""The drawings of an evaluation as PNG bytes: reliability, groups of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chest_xray.training.plots import BLUE, GREY, ORANGE, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Points(NamedTuple):
    """Probabilities and observed shares (n,) with their intervals (n, 2)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    ci95: NDArray[np.float64]


class Reliability(NamedTuple):
    """A finding's bins before and after calibration, and what is written beside them."""

    before: Points
    after: Points
    text: str


class ForestRow(NamedTuple):
    """One line of a forest plot; `gap` marks a difference from the rest that is not chance."""

    name: str
    value: float
    ci95: tuple[float, float] | None
    gap: bool


def plot_reliability(findings: Mapping[str, Reliability | None], title: str) -> bytes:
    """One small reliability diagram a finding: orange before calibration, blue after, with intervals."""
    figure, places = _small_multiples(len(findings), title, "probability", "share of images with the finding")
    for axes, (finding, found) in zip(places, findings.items(), strict=True):
        _dress(axes, finding)
        if found is None:
            axes.text(0.5, 0.5, "not measured", ha="center", va="center", fontsize=8)
            continue
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for points, colour, label in ((found.before, ORANGE, "before"), (found.after, BLUE, "after")):
            # A Wilson interval holds the share, but for the last bit of rounding.
            spread = np.maximum(np.abs(points.ci95.T - points.y), 0)
            axes.errorbar(
                points.x, points.y, yerr=spread, color=colour, fmt="o", markersize=2.5, linewidth=0.8, label=label
            )
        axes.text(0.05, 0.97, found.text, ha="left", va="top", fontsize=7)
    return png(figure)


def plot_forest(panels: Mapping[str, Sequence[ForestRow]], title: str) -> bytes:
    """One panel a figure, one line a group with its interval; orange where the gap to the rest is not chance."""
    from matplotlib.figure import Figure

    longest = max(len(rows) for rows in panels.values())
    figure = Figure(figsize=(4.2 * len(panels), 1.4 + 0.24 * longest), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, (name, rows) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        for place, row in enumerate(rows):
            colour = ORANGE if row.gap else BLUE
            low, high = row.ci95 or (row.value, row.value)
            axes.plot([low, high], [place, place], color=colour, linewidth=1.5)
            axes.plot([row.value], [place], color=colour, marker="o", markersize=3.5)
        axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(name, fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
        axes.grid(axis="x", linewidth=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _small_multiples(count: int, title: str, across: str, up: str) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = 5
    rows = -(-count // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.4), layout="constrained")
    figure.suptitle(title)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_axis_off()
    figure.supxlabel(across, fontsize=9)
    figure.supylabel(up, fontsize=9)
    return figure, grid[:count]


def _dress(axes: Axes, finding: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.set_title(finding.replace("_", " "), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
