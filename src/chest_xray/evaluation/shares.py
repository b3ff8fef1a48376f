"""Shares of images with intervals over patients, from one set of draws for all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chest_xray.evaluation.results import Estimate
from chest_xray.statistics import Floats
from chest_xray.statistics.intervals import wilson
from chest_xray.statistics.metrics import interval95


def ratio_rounds(hits: Floats, of: Floats) -> Floats:
    """Rounds (R,) of a ratio of two sums; NaN in a round that drew none of its images."""
    ratio: Floats = np.divide(hits, of, out=np.full(len(of), np.nan), where=of > 0)
    return ratio


def share_interval(value: float, rounds: Floats, patients: int) -> tuple[float, float] | None:
    """95% percentile interval over patients. At 0 and 1 no round differs, and Wilson's takes its place.

    Args:
        value: 0..1.
        rounds: (R,) of the same share.
        patients: number of patients that the share rests on.
    """
    return wilson(value, patients) if value in (0.0, 1.0) and patients else interval95(rounds)


def share_estimate(
    hits: NDArray[np.bool_], of: NDArray[np.bool_], rounds: Floats, patients: NDArray[np.generic]
) -> Estimate | None:
    """Share of the images `of` (N,) that are `hits` (N,); None where there are none."""
    if not of.any():
        return None
    value = float(np.count_nonzero(hits & of) / np.count_nonzero(of))
    return Estimate(value=value, ci95=share_interval(value, rounds, len(np.unique(patients[of]))))
