"""How far probabilities are from what is seen: Brier score and expected calibration error.

The bins hold equally many images: with equal widths nearly all images of a rare finding would share one bin. There are
15, the number of Guo et al. (ICML 2017), so that the error compares with published ones. Equal scores share a bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.statistics import Floats
from chest_xray.statistics.intervals import wilson

BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a reliability diagram: mean probability, share of positives and its Wilson interval."""

    probability: float
    observed: float
    ci95: tuple[float, float]
    images: int


def bin_indices(probability: Floats, bins: int = BINS) -> NDArray[np.intp]:
    """Bin (N,) of each image, 0..bins - 1; fewer bins are used where scores are equal."""
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    return np.searchsorted(edges, probability, side="right")


def expected_calibration_error(labels: NDArray[np.generic], probability: Floats) -> float:
    """Mean over images of |mean probability - share of positives| of the image's bin (Naeini et al. 2015)."""
    sums = np.bincount(bin_indices(probability), weights=probability - np.asarray(labels, np.float64))
    return float(np.abs(sums).sum() / len(probability))


def chance_calibration_error(probability: Floats) -> float:
    """The expected error of so many images if every probability were true, with images taken as independent.

    A bin's excess of positives is then near normal, and its mean size is sqrt(2 / pi) standard deviations.
    """
    variances = np.bincount(bin_indices(probability), weights=probability * (1 - probability))
    return float(np.sqrt(2 / np.pi * variances).sum() / len(probability))


def brier_score(labels: NDArray[np.generic], probability: Floats) -> float:
    """Mean squared difference of probability and label (Brier 1950)."""
    return float(np.mean((probability - np.asarray(labels, np.float64)) ** 2))


def calibration_columns(labels: NDArray[np.generic], probability: Floats) -> Floats:
    """What to sum over images for `rounds_of`: (N, 2 + BINS), a one, the squared error and the excess in each bin."""
    excess = probability - np.asarray(labels, np.float64)
    columns = np.zeros((len(probability), 2 + BINS))
    columns[:, 0] = 1
    columns[:, 1] = excess**2
    columns[np.arange(len(probability)), 2 + bin_indices(probability)] = excess
    return columns


def rounds_of(sums: Floats) -> tuple[Floats, Floats]:
    """Brier score and calibration error (R,) of sums (R, 2 + BINS) over the images of each round; bins are kept."""
    images = sums[:, 0]
    return sums[:, 1] / images, np.abs(sums[:, 2:]).sum(axis=1) / images


def error_interval(error: float, rounds: Floats) -> tuple[float, float]:
    """95% interval of a calibration error from its rounds.

    A resample adds noise to every bin and so error to every round. The rounds are shifted by what they are too large
    on average, which keeps their spread.
    """
    low, high = np.percentile(rounds - (rounds.mean() - error), [2.5, 97.5])
    return max(0.0, float(low)), min(1.0, float(high))


def reliability(labels: NDArray[np.generic], probability: Floats) -> list[Bin]:
    """The bins in which the error was measured, ascending."""
    index = bin_indices(probability)
    found = []
    for place in np.unique(index):
        inside = index == place
        observed = float(np.mean(np.asarray(labels)[inside]))
        images = int(inside.sum())
        found.append(Bin(float(probability[inside].mean()), observed, wilson(observed, images), images))
    return found
