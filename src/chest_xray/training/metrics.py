"""AUROC and average precision with sample weights: a bootstrap round is a row of weights, and sorting is done once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress

Floats = NDArray[np.float64]

_ROUNDS_AT_ONCE = 50


class RankedScores:
    """One finding's labels and scores, sorted once; ties are kept together.

    Args:
        labels: (N,), 0 or 1.
        scores: (N,), finite; larger means more likely.
    """

    def __init__(self, labels: NDArray[np.generic], scores: NDArray[np.generic]) -> None:
        if not np.isfinite(scores).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are not finite")
        self._order = np.argsort(scores, kind="stable")
        ranked = scores[self._order]
        self._positive = np.asarray(labels, dtype=np.float64)[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))

    def auroc(self, weights: Floats | None = None) -> Floats:
        """Probability that a positive scores above a negative, a tie counting half (Hanley and McNeil 1982).

        Args:
            weights: (R, N) non-negative sample weights, in the order of `labels`; None is one round of ones.

        Returns:
            (R,); NaN where one class has no weight.
        """
        positive, negative = self._grouped(weights)
        below = np.cumsum(negative, axis=1) - negative / 2
        return _ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))

    def average_precision(self, weights: Floats | None = None) -> Floats:
        """Sum over thresholds of precision times the gain in recall; arguments and NaN as for `auroc`."""
        positive, negative = self._grouped(weights)
        hits = np.cumsum(positive[:, ::-1], axis=1)
        called = hits + np.cumsum(negative[:, ::-1], axis=1)
        return _ratio((positive[:, ::-1] * _ratio(hits, called)).sum(axis=1, where=called > 0), hits[:, -1])

    def _grouped(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Weight of positives and of negatives at each distinct score, ascending: two (R, G) arrays."""
        if weights is None:
            weights = np.ones((1, len(self._order)))
        ranked = weights[:, self._order]
        positive = ranked * self._positive
        negative = ranked - positive
        if len(self._starts) == len(self._order):
            return positive, negative
        return (
            np.add.reduceat(positive, self._starts, axis=1),
            np.add.reduceat(negative, self._starts, axis=1),
        )


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Floats = np.where(denominator > 0, numerator / denominator, np.nan)
        return quotient


def mean_auroc(labels: NDArray[np.generic], logits: NDArray[np.generic]) -> float:
    """Mean AUROC over the findings that have both classes, of (N, F) labels and logits; NaN when none has."""
    values = [RankedScores(labels[:, k], logits[:, k]).auroc()[0] for k in range(labels.shape[1])]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """AUROC and AUPRC (F,) with their bootstrap rounds (R, F); NaN where a class is missing."""

    auroc: Floats
    auprc: Floats
    auroc_rounds: Floats
    auprc_rounds: Floats


def patient_bootstrap(
    labels: NDArray[np.generic],
    logits: NDArray[np.generic],
    patients: NDArray[np.generic],
    *,
    rounds: int,
    seed: int,
) -> Bootstrapped:
    """Resample patients, not images, with replacement: images of one patient are not independent.

    Args:
        labels: (N, F), 0 or 1.
        logits: (N, F), finite.
        patients: (N,) patient ids.
        rounds: bootstrap rounds; the same draws serve every finding, so that means have intervals too.
        seed: of the draws.
    """
    ranked = [RankedScores(labels[:, k], logits[:, k]) for k in range(labels.shape[1])]
    auroc, auprc = [], []
    with progress("Bootstrap over patients", rounds, "rounds") as advance:
        for weights in _patient_weights(patients, rounds, np.random.default_rng(seed)):
            auroc.append(np.stack([scores.auroc(weights) for scores in ranked], axis=1))
            auprc.append(np.stack([scores.average_precision(weights) for scores in ranked], axis=1))
            advance(len(weights))
    return Bootstrapped(
        auroc=np.array([scores.auroc()[0] for scores in ranked]),
        auprc=np.array([scores.average_precision()[0] for scores in ranked]),
        auroc_rounds=np.concatenate(auroc),
        auprc_rounds=np.concatenate(auprc),
    )


def _patient_weights(patients: NDArray[np.generic], rounds: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield (r, N) weights: how often each image's patient was drawn."""
    unique, index = np.unique(patients, return_inverse=True)
    for start in range(0, rounds, _ROUNDS_AT_ONCE):
        count = min(_ROUNDS_AT_ONCE, rounds - start)
        draws = rng.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=count)
        yield draws[:, index].astype(np.float64)


def interval95(rounds: Floats) -> tuple[float, float] | None:
    """Percentile interval of the rounds that have a value; None when fewer than nine in ten have one."""
    known = rounds[np.isfinite(rounds)]
    if len(known) < 0.9 * len(rounds):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
