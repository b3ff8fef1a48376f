"""The threshold of a finding for a stated aim, chosen on validation images."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import AIM_PATTERN, OperatingPoint
from chest_xray.errors import SettingsError
from chest_xray.evaluation.calibration.calibrate import enough_cases
from chest_xray.evaluation.shares import ratio_rounds, share_interval
from chest_xray.statistics import Floats
from chest_xray.statistics.metrics import PatientDraws

YOUDEN: Final = "youden"


@dataclass(frozen=True, slots=True)
class Curve:
    """All thresholds between scores, ascending, with what each would give (T,) if scores from it on are flagged."""

    thresholds: Floats
    sensitivity: Floats
    specificity: Floats
    f1: Floats


def check_aim(aim: str) -> str:
    """The aim as it is written into a bundle.

    Raises:
        SettingsError: it is none of the three.
    """
    written = aim.strip().lower()
    if not re.fullmatch(AIM_PATTERN, written):
        raise SettingsError(
            f"--aim is {aim!r}: expected youden, f1 or sensitivity=S with S between 0 and 1, such as sensitivity=0.9."
        )
    return written


def choose_point(
    labels: NDArray[np.generic], probability: Floats, draws: PatientDraws, aim: str = YOUDEN
) -> OperatingPoint | None:
    """The threshold for an aim, midway between two scores, with intervals over patients.

    `youden` maximises sensitivity + specificity - 1 (Youden 1950), `f1` the harmonic mean of sensitivity and positive
    predictive value, and `sensitivity=S` is the highest threshold whose sensitivity is at least S. The intervals hold
    the threshold: that it was chosen on these images makes its numbers a little too good, and they do not show that.

    Args:
        labels: (N,), 0 or 1.
        probability: (N,), calibrated.
        draws: of the N images' patients.
        aim: see `check_aim`.

    Returns:
        None where there are too few cases to choose, or where the threshold does no better than chance.
    """
    if not enough_cases(labels):
        return None
    curve = curve_of(labels, probability)
    best = _chooser(aim)(curve)
    sensitivity, specificity = float(curve.sensitivity[best]), float(curve.specificity[best])
    if sensitivity + specificity <= 1:
        return None
    positive = np.asarray(labels, dtype=bool)
    flagged = probability >= curve.thresholds[best]
    sums = draws.sums(np.column_stack([flagged & positive, positive, ~flagged & ~positive, ~positive]))
    return OperatingPoint(
        threshold=float(curve.thresholds[best]),
        aim=aim,
        sensitivity=sensitivity,
        specificity=specificity,
        sensitivity_ci95=_interval(sensitivity, sums[:, :2], draws, positive),
        specificity_ci95=_interval(specificity, sums[:, 2:], draws, ~positive),
    )


def _interval(value: float, sums: Floats, draws: PatientDraws, of: NDArray[np.bool_]) -> tuple[float, float] | None:
    return share_interval(value, ratio_rounds(sums[:, 0], sums[:, 1]), len(np.unique(draws.index[of])))


def curve_of(labels: NDArray[np.generic], probability: Floats) -> Curve:
    """Every threshold of images (N,) with both classes."""
    positive = np.asarray(labels, dtype=bool)
    scores, index = np.unique(probability, return_inverse=True)
    hits = np.bincount(index, weights=positive, minlength=len(scores))
    falls = np.bincount(index, weights=~positive, minlength=len(scores))
    # At threshold i all scores from i on are called.
    called_hits, called_falls = np.cumsum(hits[::-1])[::-1], np.cumsum(falls[::-1])[::-1]
    below = np.concatenate([[0.0], scores[:-1]])
    return Curve(
        thresholds=(scores + below) / 2,
        sensitivity=called_hits / positive.sum(),
        specificity=1 - called_falls / (~positive).sum(),
        f1=2 * called_hits / (called_hits + called_falls + positive.sum()),
    )


def _chooser(aim: str) -> Callable[[Curve], int]:
    if aim == YOUDEN:
        return lambda curve: int(np.argmax(curve.sensitivity + curve.specificity))
    if aim == "f1":
        return lambda curve: int(np.argmax(curve.f1))
    return partial(_at_sensitivity, target=float(aim.partition("=")[2]))


def _at_sensitivity(curve: Curve, target: float) -> int:
    # 18 of 20 is 0.9, whatever the last bit says.
    return int(np.flatnonzero(curve.sensitivity >= target - 1e-12)[-1])
