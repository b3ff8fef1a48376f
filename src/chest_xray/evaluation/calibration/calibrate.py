"""From validation logits to a finding's calibration: Platt scaling or a temperature, whichever predicts better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Calibration
from chest_xray.statistics.calibration_error import brier_score

# With fewer cases of either class a fit says more about those few patients than about the finding.
FEWEST_CASES = 10
_FOLDS: Final = 10
Fitted = Literal["platt", "temperature"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A calibration and the cross-validated Brier score of each method; no scores where none was fitted."""

    calibration: Calibration
    cross_validated_brier: Mapping[Fitted, float]


def choose_calibration(
    labels: NDArray[np.generic], logits: NDArray[np.generic], patients: NDArray[np.generic], positive_weight: float
) -> Choice:
    """Fit one finding's calibration on validation images.

    Of Platt scaling and a temperature the one with the lower Brier score in ten folds of patients is fitted to all.
    On the images of the fit the method with more parameters would always win.

    Args:
        labels: (N,), 0 or 1.
        logits: (N,).
        patients: (N,); all images of a patient are in one fold.
        positive_weight: weight w of a positive in the training loss. Its optimum is ln w above the log-odds, which is
            what is taken off where there are too few cases, or no ranking, to fit anything.
    """
    if not enough_cases(labels) or fit_platt(labels, logits)[0] <= 0:
        return Choice(undo_loss_weight(positive_weight), {})
    scores = {method: _cross_validated(method, labels, logits, patients, positive_weight) for method in _METHODS}
    best = min(_METHODS, key=lambda method: scores[method])
    return Choice(fit(best, labels, logits, positive_weight), scores)


# A tie goes to the one with fewer parameters.
_METHODS: Final[tuple[Fitted, ...]] = ("temperature", "platt")


def fit(
    method: Fitted, labels: NDArray[np.generic], logits: NDArray[np.generic], positive_weight: float
) -> Calibration:
    """Fit one method to labels and logits (N,)."""
    if method == "platt":
        slope, intercept = fit_platt(labels, logits)
    else:
        slope = fit_temperature(labels, logits, positive_weight)
        intercept = -slope * math.log(positive_weight)
    return Calibration(method=method, slope=slope, intercept=intercept)


def undo_loss_weight(positive_weight: float) -> Calibration:
    """The calibration that needs no data."""
    return Calibration(method="loss_weight", slope=1.0, intercept=-math.log(positive_weight))


def _cross_validated(
    method: Fitted,
    labels: NDArray[np.generic],
    logits: NDArray[np.generic],
    patients: NDArray[np.generic],
    positive_weight: float,
) -> float:
    fold = folds_of(patients, _FOLDS)
    probability = np.empty(len(labels))
    for held_out in np.unique(fold):
        inside, outside = fold == held_out, fold != held_out
        calibration = fit(method, labels[outside], logits[outside], positive_weight)
        probability[inside] = apply_calibration(calibration, logits[inside])
    return brier_score(labels, probability)


def folds_of(patients: NDArray[np.generic], folds: int) -> NDArray[np.intp]:
    """A fold (N,) for each image, the same for all images of a patient, of nearly equal numbers of patients."""
    unique, index = np.unique(patients, return_inverse=True)
    drawn = np.random.default_rng(0).permutation(len(unique)) % min(folds, max(len(unique), 1))
    return np.asarray(drawn[index], dtype=np.intp)


def enough_cases(labels: NDArray[np.generic]) -> bool:
    """Whether both classes have at least `FEWEST_CASES` images."""
    positive = int(np.count_nonzero(labels))
    return min(positive, len(labels) - positive) >= FEWEST_CASES


def fit_platt(labels: NDArray[np.generic], logits: NDArray[np.generic]) -> tuple[float, float]:
    """Slope and intercept of Platt scaling."""
    fit = _fit_logistic(labels, np.asarray(logits, dtype=np.float64), intercept=True)
    return float(fit[0]), float(fit[1])


def fit_temperature(labels: NDArray[np.generic], logits: NDArray[np.generic], positive_weight: float) -> float:
    """1 / T of the logits less ln w, the log-odds that the loss's weight added; T alone cannot take it off."""
    shifted = np.asarray(logits, dtype=np.float64) - math.log(positive_weight)
    return float(_fit_logistic(labels, shifted, intercept=False)[0])


def _fit_logistic(labels: NDArray[np.generic], scores: NDArray[np.float64], *, intercept: bool) -> tuple[float, float]:
    """Slope and intercept, with smoothed targets (Platt 1999, section 2.2) against overfitting."""
    from sklearn.linear_model import LogisticRegression

    positive = np.asarray(labels, dtype=bool)
    high = (positive.sum() + 1) / (positive.sum() + 2)
    low = 1 / ((~positive).sum() + 2)
    target = np.where(positive, high, low)
    # A soft target t is one case of weight t and one, of the other class, of weight 1 - t.
    column = np.concatenate([scores, scores]).reshape(-1, 1)
    classes = np.concatenate([np.ones(len(target)), np.zeros(len(target))])
    model = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000, fit_intercept=intercept)
    model.fit(column, classes, sample_weight=np.concatenate([target, 1 - target]))
    return float(model.coef_[0, 0]), float(np.ravel(model.intercept_)[0]) if intercept else 0.0


def apply_calibration(calibration: Calibration, logits: NDArray[np.generic]) -> NDArray[np.float64]:
    """Calibrated probabilities of one finding's logits (N,)."""
    # 1 / (1 + exp(-x)) without overflow for any finite x.
    return np.exp(-np.logaddexp(0, -(calibration.slope * np.asarray(logits, np.float64) + calibration.intercept)))
