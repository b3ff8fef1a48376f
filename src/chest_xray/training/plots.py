"""Plots as PNG bytes: training curves and ROC curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chest_xray.training.run import Epoch

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#888888"  # Okabe and Ito's colour-blind-safe set


class RocCurve(NamedTuple):
    """False and true positive rates, and what the title says of the curve."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    auroc: float
    ci95: tuple[float, float] | None
    positives: int


def plot_curves(history: Sequence[Epoch]) -> bytes:
    """Losses and validation AUROC by epoch."""
    from matplotlib.figure import Figure

    epochs = [row.epoch for row in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    losses.plot(epochs, [row.train_loss for row in history], color=_GREY, label="training (weighted)")
    losses.plot(epochs, [row.val_loss for row in history], color=_BLUE, label="validation")
    losses.set(xlabel="epoch", ylabel="binary cross-entropy", title="Loss")
    losses.legend(frameon=False)
    auroc = [np.nan if row.val_auroc is None else row.val_auroc for row in history]
    scores.plot(epochs, auroc, color=_BLUE, marker="o", markersize=3)
    scores.set(xlabel="epoch", ylabel="mean AUROC", title="Validation mean AUROC")
    for axes in (losses, scores):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return _png(figure)


def plot_roc(curves: Mapping[str, RocCurve | None], title: str) -> bytes:
    """One small ROC plot a finding; a finding with one class only says so in its place."""
    from matplotlib.figure import Figure

    columns = 5
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.4), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for axes, (finding, curve) in zip(grid.flat, curves.items(), strict=False):
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.set_title(finding.replace("_", " "), fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
        if curve is None:
            axes.text(0.5, 0.5, "one class only", ha="center", va="center", fontsize=8)
            continue
        axes.plot(curve.fpr, curve.tpr, color=_BLUE, linewidth=1.5)
        interval = "" if curve.ci95 is None else f"\n{curve.ci95[0]:.2f} to {curve.ci95[1]:.2f}"
        text = f"AUROC {curve.auroc:.2f}{interval}\n{curve.positives} positive"
        axes.text(0.97, 0.05, text, ha="right", va="bottom", fontsize=7.5)
    figure.supxlabel("false positive rate", fontsize=9)
    figure.supylabel("true positive rate", fontsize=9)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()
