"""robustness.png: one small plot a perturbation, AUROC above, and below it what a user would be told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np

from chest_xray.evaluation.robustness.report import Curve, Robustness
from chest_xray.notices import RESEARCH_USE_ONLY, describe_source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREY, _LIGHT = "#0072B2", "#D55E00", "#555555", "#B5B5B5"  # Okabe and Ito's colour-blind-safe set
_COLUMNS: Final = 5
_CHANCE: Final = 0.5

Range = tuple[float, float]


def plot_robustness(found: Robustness) -> bytes:
    """All curves, with one scale of AUROC that holds every finding, and one legend."""
    from matplotlib.figure import Figure

    rows = -(-len(found.curves) // _COLUMNS)
    figure = Figure(figsize=(2.5 * _COLUMNS, 3.5 * rows + 1), layout="constrained")
    figure.suptitle(
        f"Perturbed films: {found.images} {describe_source(found.label_version)} of the test list, {found.patients} "
        f"patients. {RESEARCH_USE_ONLY}",
        fontsize=10,
    )
    grid = figure.subplots(2 * rows, _COLUMNS, squeeze=False, gridspec_kw={"height_ratios": [2, 1] * rows})
    for axes in grid.flat:
        axes.set_axis_off()
    limits = auroc_limits(found)
    for place, curve in enumerate(found.curves):
        row, column = divmod(place, _COLUMNS)
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        _draw_auroc(above, found, curve, limits)
        _draw_warned(below, found, curve)
        if column == 0:
            above.set_ylabel("AUROC", fontsize=8)
            below.set_ylabel("share", fontsize=8)
    keys = [key for axes in (grid[0, 0], grid[1, 0]) for key in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles, labels = zip(*keys, strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def auroc_limits(found: Robustness) -> Range:
    """A scale to twentieths around every value and interval that is drawn."""
    levels = [level for curve in found.curves for level in curve.levels]
    values = [*found.clean.values(), *(row.auroc for level in levels for row in level.findings.values()), _CHANCE]
    values += [found.clean_mean + end for level in levels for end in level.mean.ci95 or ()]
    low, high = np.floor(min(values) * 20) / 20, np.ceil(max(values) * 20) / 20
    return float(low), float(high)


def _draw_auroc(axes: Axes, found: Robustness, curve: Curve, limits: Range) -> None:
    at = range(1 + len(curve.levels))
    for place, (name, clean) in enumerate(found.clean.items()):
        values = [clean, *(level.findings[name].auroc for level in curve.levels)]
        axes.plot(at, values, color=_LIGHT, linewidth=0.7, label=None if place else "AUROC of each finding")
    axes.axhline(_CHANCE, color=_GREY, linewidth=0.7, linestyle=(0, (1, 3)), label="chance")
    axes.axhline(found.clean_mean, color=_BLUE, linewidth=0.8, linestyle=":", label="their mean, films as they are")
    means = [found.clean_mean, *(level.mean.auroc for level in curve.levels)]
    label = "their mean, with the 95% interval of its change"
    axes.plot(at, means, color=_BLUE, marker="o", markersize=3.5, linewidth=1.5, label=label)
    for place, level in enumerate(curve.levels, start=1):
        if level.mean.ci95 is not None:
            low, high = (found.clean_mean + end for end in level.mean.ci95)
            axes.plot([place, place], [low, high], color=_BLUE, linewidth=1.5)
    axes.set_ylim(*limits)
    _dress(axes, curve)
    axes.set_xticklabels([])
    axes.set_title(curve.name, fontsize=9)


def _draw_warned(axes: Axes, found: Robustness, curve: Curve) -> None:
    at = range(1 + len(curve.levels))
    changed = [level.flags_changed for level in curve.levels if level.flags_changed is not None]
    if changed:
        axes.plot(at, [0.0, *changed], color=_GREY, marker="^", markersize=3, label="flags that changed")
    either = [found.clean_warned.either, *(level.warned.either for level in curve.levels)]
    axes.plot(at, either, color=_ORANGE, marker="s", markersize=3, label="films that guard or quality checks warn of")
    axes.set_ylim(-0.04, 1.04)
    _dress(axes, curve)
    axes.set_xticklabels(["as is", *(f"{level.setting:.3g}" for level in curve.levels)])
    axes.set_xlabel(curve.unit, fontsize=7)


def _dress(axes: Axes, curve: Curve) -> None:
    axes.set_axis_on()
    axes.set_xticks(range(1 + len(curve.levels)))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
