"""From validation logits to what a bundle says of each finding: a Platt calibration and an operating point."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Calibration, OperatingPoint

# With fewer cases of either class a fit says more about those few patients than about the finding.
FEWEST_CASES = 10


def calibrate(labels: NDArray[np.generic], logits: NDArray[np.generic], positive_weight: float) -> Calibration:
    """Fit one finding's calibration on validation images.

    Args:
        labels: (N,), 0 or 1.
        logits: (N,).
        positive_weight: weight w of a positive in the training loss. Its optimum is ln w above the log-odds, which is
            what is taken off where there are too few cases, or no ranking, to fit Platt's two parameters.
    """
    fallback = Calibration(method="loss_weight", slope=1.0, intercept=-math.log(positive_weight))
    if not enough_cases(labels):
        return fallback
    slope, intercept = fit_platt(labels, logits)
    if slope <= 0:
        return fallback
    return Calibration(method="platt", slope=slope, intercept=intercept)


def enough_cases(labels: NDArray[np.generic]) -> bool:
    """Whether both classes have at least `FEWEST_CASES` images."""
    positive = int(np.count_nonzero(labels))
    return min(positive, len(labels) - positive) >= FEWEST_CASES


def fit_platt(labels: NDArray[np.generic], logits: NDArray[np.generic]) -> tuple[float, float]:
    """Slope and intercept of Platt scaling, with his smoothed targets (Platt 1999, section 2.2) against overfitting."""
    from sklearn.linear_model import LogisticRegression

    positive = np.asarray(labels, dtype=bool)
    high = (positive.sum() + 1) / (positive.sum() + 2)
    low = 1 / ((~positive).sum() + 2)
    target = np.where(positive, high, low)
    # A soft target t is one case of weight t and one, of the other class, of weight 1 - t.
    column = np.concatenate([logits, logits]).reshape(-1, 1).astype(np.float64)
    classes = np.concatenate([np.ones(len(target)), np.zeros(len(target))])
    fit = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000)
    fit.fit(column, classes, sample_weight=np.concatenate([target, 1 - target]))
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def apply_calibration(calibration: Calibration, logits: NDArray[np.generic]) -> NDArray[np.float64]:
    """Calibrated probabilities of one finding's logits (N,)."""
    # 1 / (1 + exp(-x)) without overflow for any finite x.
    return np.exp(-np.logaddexp(0, -(calibration.slope * np.asarray(logits, np.float64) + calibration.intercept)))


def youden_point(labels: NDArray[np.generic], probability: NDArray[np.float64]) -> OperatingPoint | None:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950), midway between two scores.

    None where there are too few cases to choose, or where no threshold does better than chance.
    """
    if not enough_cases(labels):
        return None
    positive = np.asarray(labels, dtype=bool)
    scores, index = np.unique(probability, return_inverse=True)
    hits = np.bincount(index, weights=positive, minlength=len(scores))
    falls = np.bincount(index, weights=~positive, minlength=len(scores))
    # At threshold i all scores from i on are called.
    sensitivity = np.cumsum(hits[::-1])[::-1] / positive.sum()
    specificity = 1 - np.cumsum(falls[::-1])[::-1] / (~positive).sum()
    best = int(np.argmax(sensitivity + specificity))
    if sensitivity[best] + specificity[best] <= 1:
        return None
    below = scores[best - 1]
    return OperatingPoint(
        threshold=float((scores[best] + below) / 2),
        aim="youden",
        sensitivity=float(sensitivity[best]),
        specificity=float(specificity[best]),
    )
