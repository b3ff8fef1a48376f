"""`auroc_agreement`: our AUROC and average precision against scikit-learn's on random cases."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score

from chest_xray.statistics.metrics import RankedScores

Floats = NDArray[np.float64]


def measure(cases: int, seed: int = 0) -> dict[str, Any]:
    """Largest absolute differences over random columns: some with ties, with weights, with one class only."""
    rng = np.random.default_rng(seed)
    largest = {"auroc": 0.0, "average precision": 0.0}
    single = disagreements = 0
    for _ in range(cases):
        labels, scores, weights = _case(rng)
        ranked = RankedScores(labels, scores)
        ours = {
            "auroc": ranked.auroc(weights[None])[0],
            "average precision": ranked.average_precision(weights[None])[0],
        }
        theirs = {
            "auroc": _reference(roc_auc_score, labels, scores, weights),
            "average precision": _reference(average_precision_score, labels, scores, weights),
        }
        single += np.isnan(theirs["auroc"])
        for name, value in ours.items():
            # scikit-learn calls the precision without positives 0; here it is not known.
            expected = np.nan if name == "average precision" and weights[labels == 1].sum() == 0 else theirs[name]
            disagreements += np.isnan(value) != np.isnan(expected)
            if np.isfinite(value) and np.isfinite(expected):
                largest[name] = max(largest[name], abs(float(value) - expected))
    return {
        "auroc_agreement": largest["auroc"] if disagreements == 0 else None,
        "average_precision_agreement": largest["average precision"],
        "agreement_cases": cases,
        "agreement_single_class_cases": int(single),
        "agreement_disagreements": int(disagreements),
    }


def _case(rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats, Floats]:
    size = int(rng.integers(2, 2000))
    labels = (rng.random(size) < rng.choice([0.0, 0.01, 0.1, 0.5, 0.9, 1.0])).astype(np.int64)
    scores = rng.normal(size=size) + labels
    if rng.random() < 0.5:
        scores = np.round(scores, int(rng.integers(0, 3)))
    kind = rng.integers(3)
    weights = (np.ones(size), rng.integers(0, 5, size).astype(np.float64), rng.exponential(size=size))[kind]
    return labels, scores, weights


def _reference(metric: Callable[..., float], labels: NDArray[np.int64], scores: Floats, weights: Floats) -> float:
    """scikit-learn's value; NaN where a class has no weight."""
    if not (weights[labels == 1].sum() > 0 and weights[labels == 0].sum() > 0) and metric is roc_auc_score:
        return float("nan")
    if weights.sum() == 0:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", UserWarning)
        return float(metric(labels, scores, sample_weight=weights))
