"""ROC, precision-recall and reliability of the test images, from predictions.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from chest_xray.evaluation.html_report.charts import Curve, Dot, thinned
from chest_xray.statistics import Floats
from chest_xray.statistics.intervals import wilson

_BINS = 10


@dataclass(frozen=True, slots=True)
class TestScores:
    """Labels (N, F), 0 or 1, and logits and calibrated probabilities (N, F) of the test images."""

    __test__ = False  # no test of pytest's

    labels: NDArray[np.uint8]
    logits: Floats
    probabilities: Floats

    @classmethod
    def read(cls, path: Path, findings: Sequence[str]) -> TestScores:
        """Read predictions.parquet; columns in the order of `findings`."""
        table = pq.read_table(path)
        table = table.filter(np.asarray(table["split"]) == "test")
        columns = {
            kind: np.column_stack([table[f"{name}.{kind}"].to_numpy() for name in findings])
            for kind in ("label", "logit", "probability")
        }
        return cls(columns["label"], columns["logit"].astype(np.float64), columns["probability"].astype(np.float64))


def roc(labels: NDArray[np.uint8], scores: Floats) -> Curve:
    """True positive rate over false positive rate; both classes must be there."""
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(labels, scores)
    return thinned(fpr, tpr)


def precision_recall(labels: NDArray[np.uint8], scores: Floats) -> Curve:
    """Precision over recall, from the highest threshold on; both classes must be there."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, scores)
    return thinned(recall[::-1], precision[::-1])


def reliability(labels: NDArray[np.uint8], probabilities: Floats, css: str = "") -> list[Dot]:
    """Share of positives over mean probability in ten bins of equally many images, with Wilson's 95% interval."""
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    return [
        Dot(
            x=float(probabilities[part].mean()),
            y=float(labels[part].mean()),
            whisker=wilson(float(labels[part].mean()), len(part)),
            css=css,
        )
        for part in bins
    ]


def sigmoid(logits: Floats) -> Floats:
    """What the logits would say as probabilities without calibration."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)
