"""AUROC and average precision with sample weights: a bootstrap round is a row of weights, and sorting is done once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.cpus import available_cpus
from chest_xray.statistics import Floats
from chest_xray.statistics.intervals import logit_interval

_ROUNDS_AT_ONCE = 50


class RankedScores:
    """One finding's labels and scores, sorted once; ties are kept together.

    Between two scores that a positive has, only the sum of the negatives' weights matters. So the images are cut into
    segments, one for each score with a positive and one for each run of scores without, and a round costs one sum over
    the images and little more than the positives' number otherwise.

    Args:
        labels: (N,), 0 or 1.
        scores: (N,), finite; larger means more likely.
    """

    def __init__(self, labels: NDArray[np.generic], scores: NDArray[np.generic]) -> None:
        if not np.isfinite(scores).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are not finite")
        self._order = np.argsort(scores, kind="stable")
        ranked = scores[self._order]
        positive = np.asarray(labels)[self._order] > 0
        new_score = np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(ranked)]
        score_starts = np.flatnonzero(new_score)
        held = np.add.reduceat(positive, score_starts, dtype=np.int64) > 0 if len(ranked) else positive
        kept = held | np.concatenate([[True], held[:-1]])[: len(held)]
        self._starts = score_starts[kept]
        self._held = held[kept]
        self._positives = self._order[positive]
        segment = np.cumsum(np.isin(np.arange(len(ranked)), self._starts)) - 1
        self._positive_starts = np.flatnonzero(np.diff(segment[positive], prepend=-1))

    def auroc(self, weights: Floats | None = None) -> Floats:
        """Probability that a positive scores above a negative, a tie counting half (Hanley and McNeil 1982).

        Args:
            weights: (R, N) non-negative sample weights, in the order of `labels`; None is one round of ones.

        Returns:
            (R,); NaN where one class has no weight.
        """
        return self.auroc_and_precision(self._columns(weights))[0]

    def average_precision(self, weights: Floats | None = None) -> Floats:
        """Sum over thresholds of precision times the gain in recall; arguments and NaN as for `auroc`."""
        return self.auroc_and_precision(self._columns(weights))[1]

    def auroc_and_precision(
        self, columns: NDArray[np.floating[Any]], groups: NDArray[np.intp] | None = None
    ) -> tuple[Floats, Floats]:
        """AUROC and average precision (R,) of weights (N, R), or of (P, R) of which image i takes row groups[i].

        Whole weights may be float32: their sums are exact up to 2^24.
        """
        positive, negative = self._segments(columns, groups)
        below = np.cumsum(negative, axis=0) - negative / 2
        positives, negatives = positive.sum(axis=0), negative.sum(axis=0)
        auroc = _ratio((positive * below[self._held]).sum(axis=0), positives * negatives)
        hits = np.cumsum(positive[::-1], axis=0)
        alarms = np.cumsum(negative[::-1], axis=0)[self._held[::-1]]
        precision = np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits > 0)
        return auroc, _ratio((positive[::-1] * precision).sum(axis=0), positives)

    def _segments(self, columns: NDArray[np.floating[Any]], groups: NDArray[np.intp] | None) -> tuple[Floats, Floats]:
        """Weight of positives in each segment that has one (K, R), and of negatives in each segment (S, R)."""
        rounds = columns.shape[1]
        if len(self._positives) == 0:
            # NaN for both: nothing can be told apart.
            return np.zeros((0, rounds)), np.zeros((len(self._starts), rounds))
        order, positives = self._order, self._positives
        if groups is not None:
            order, positives = groups[order], groups[positives]
        every = np.add.reduceat(np.take(columns, order, axis=0), self._starts, axis=0)
        positive = np.add.reduceat(np.take(columns, positives, axis=0), self._positive_starts, axis=0)
        negative = every.astype(np.float64)
        negative[self._held] -= positive
        return positive.astype(np.float64), negative

    def _columns(self, weights: Floats | None) -> Floats:
        return np.ones((len(self._order), 1)) if weights is None else np.ascontiguousarray(weights.T)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Floats = np.where(denominator > 0, numerator / denominator, np.nan)
        return quotient


def mean_auroc(labels: NDArray[np.generic], logits: NDArray[np.generic]) -> float:
    """Mean AUROC over the findings that have both classes, of (N, F) labels and logits; NaN when none has."""
    values = [RankedScores(labels[:, k], logits[:, k]).auroc()[0] for k in range(labels.shape[1])]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


class PatientDraws:
    """Rounds of drawing as many patients as there are, with replacement: images of one patient are not independent.

    Args:
        patients: (N,) patient ids.
        rounds: R.
        seed: of the draws; the same draws serve every finding and every figure, so that means have intervals too.

    Attributes:
        index: (N,), each image's patient as 0..count - 1.
        count: number of patients.
    """

    def __init__(self, patients: NDArray[np.generic], *, rounds: int, seed: int) -> None:
        unique, index = np.unique(patients, return_inverse=True)
        self.count = len(unique)
        self.index: NDArray[np.intp] = index
        self.rounds = rounds
        rng = np.random.default_rng(seed)
        equal = np.full(self.count, 1 / self.count)
        # Two bytes hold any count that is ever drawn, and 2,000 rounds of NIH's test patients in 11 MB.
        self._draws = np.empty((rounds, self.count), dtype=np.uint16)
        for row in self._draws:
            row[:] = rng.multinomial(self.count, equal)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield (P, r): how often each patient was drawn in the next r rounds."""
        for start in range(0, self.rounds, _ROUNDS_AT_ONCE):
            yield np.ascontiguousarray(self._draws[start : start + _ROUNDS_AT_ONCE].T, dtype=np.float32)

    def sums(self, columns: Floats) -> Floats:
        """Sums (R, C), of (N, C) values of images, over the images drawn in each round."""
        order = np.argsort(self.index, kind="stable")
        starts = np.flatnonzero(np.diff(self.index[order], prepend=-1))
        by_patient = np.add.reduceat(columns[order], starts, axis=0)
        return np.concatenate([block.T.astype(np.float64) @ by_patient for block in self.blocks()])


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
    """AUROC and AUPRC of each finding in rounds of `PatientDraws`.

    Args:
        labels: (N, F), 0 or 1.
        logits: (N, F), finite.
        patients: (N,) patient ids.
        rounds: bootstrap rounds.
        seed: of the draws.
    """
    return bootstrap_ranks(labels, logits, PatientDraws(patients, rounds=rounds, seed=seed))


def bootstrap_ranks(labels: NDArray[np.generic], logits: NDArray[np.generic], draws: PatientDraws) -> Bootstrapped:
    """AUROC and AUPRC of each column of (N, F) labels and logits in rounds that are drawn already."""
    ranked = [RankedScores(labels[:, k], logits[:, k]) for k in range(labels.shape[1])]
    found = np.empty((2, len(ranked), draws.rounds))
    done = 0
    with (
        progress("Bootstrap over patients", draws.rounds, "rounds") as advance,
        ThreadPoolExecutor(available_cpus()) as pool,
    ):
        for block in draws.blocks():
            size = block.shape[1]
            values = pool.map(lambda scores, drawn=block: scores.auroc_and_precision(drawn, draws.index), ranked)
            for k, both in enumerate(values):
                found[:, k, done : done + size] = both
            done += size
            advance(size)
    ones = np.ones((len(labels), 1))
    points = np.array([np.concatenate(scores.auroc_and_precision(ones)) for scores in ranked]).reshape(-1, 2)
    return Bootstrapped(points[:, 0], points[:, 1], found[0].T, found[1].T)


def interval95(rounds: Floats) -> tuple[float, float] | None:
    """Percentile interval of the rounds that have a value; None when fewer than nine in ten have one."""
    known = rounds[np.isfinite(rounds)]
    if len(known) < 0.9 * len(rounds):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def rank_interval(value: float, rounds: Floats, cases: float) -> tuple[float, float] | None:
    """95% interval of an AUROC or an average precision from its bootstrap rounds (R,).

    The spread of the rounds on the logit scale around the value itself, as many times as Student's t says for `cases`
    effective patients of the rarer class. Percentiles of the rounds are too narrow where these are few, and lie beside
    an average precision, which resampling raises. They stand in where a round or the value is 0 or 1.
    """
    known = rounds[np.isfinite(rounds)]
    if len(known) < 0.9 * len(rounds):
        return None
    if not (0 < value < 1 and known.min() > 0 and known.max() < 1 and cases > 1):
        return interval95(rounds)
    logits = np.log(known / (1 - known))
    # The variance of the value that has this variance on the logit scale.
    return logit_interval(value, float(logits.var()) * (value * (1 - value)) ** 2, cases) or interval95(rounds)
