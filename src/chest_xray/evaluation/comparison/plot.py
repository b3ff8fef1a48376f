"""The differences of a comparison with their intervals, one line each, as a PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from chest_xray.evaluation.comparison.results import Comparison, Difference, MeanDifference
from chest_xray.notices import describe_source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#888888"  # Okabe and Ito's colour-blind-safe set


def plot_comparison(comparison: Comparison) -> bytes:
    """Findings and mean at the left, groups of patients at the right; right of 0 is where B is better."""
    from matplotlib.figure import Figure

    rows = max(len(comparison.findings) + 1, len(comparison.groups))
    figure = Figure(figsize=(11, 1.6 + 0.3 * rows), layout="constrained")
    source = f"{comparison.images} {describe_source(comparison.label_version)} of the test list"
    figure.suptitle(f"B = {comparison.b.name}, A = {comparison.a.name}: {source}", fontsize=10)
    left, right = figure.subplots(1, 2)
    _draw(left, [("mean", comparison.mean), *comparison.findings.items()], "Findings")
    _draw(right, [(group.name, group.mean) for group in comparison.groups], "Mean in groups of patients")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def _draw(axes: Axes, rows: list[tuple[str, Difference | MeanDifference]], title: str) -> None:
    axes.axvline(0, color=_GREY, linewidth=0.8)
    for place, (_, row) in enumerate(rows):
        if row.difference is None:
            axes.text(0, place, "  too few images", va="center", fontsize=7.5, color=_GREY)
            continue
        low, high = row.ci95 or (row.difference, row.difference)
        colour = _BLUE if low > 0 else _ORANGE if high < 0 else _GREY
        axes.plot([low, high], [place, place], color=colour, linewidth=1.5)
        axes.plot([row.difference], [place], color=colour, marker="o", markersize=4)
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("AUROC of B less that of A, 95% interval", fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
