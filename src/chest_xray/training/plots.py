"""The training curves as PNG bytes, and what every plot of the project shares."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chest_xray.training.run import Epoch

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#888888"  # Okabe and Ito's colour-blind-safe set


def plot_curves(history: Sequence[Epoch]) -> bytes:
    """Losses and validation AUROC by epoch."""
    from matplotlib.figure import Figure

    epochs = [row.epoch for row in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    losses.plot(epochs, [row.train_loss for row in history], color=GREY, label="training (weighted)")
    losses.plot(epochs, [row.val_loss for row in history], color=BLUE, label="validation")
    losses.set(xlabel="epoch", ylabel="binary cross-entropy", title="Loss")
    losses.legend(frameon=False)
    auroc = [np.nan if row.val_auroc is None else row.val_auroc for row in history]
    scores.plot(epochs, auroc, color=BLUE, marker="o", markersize=3)
    scores.set(xlabel="epoch", ylabel="mean AUROC", title="Validation mean AUROC")
    for axes in (losses, scores):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()
