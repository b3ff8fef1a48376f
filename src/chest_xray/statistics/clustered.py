"""Values with their variance over patients, in closed form: for groups, where a bootstrap would take hours.

Every value comes with its influences: how much each patient pulls it. The sum of their squares is the variance, and the
influences of two values on the same patients give the variance of their difference, also where a patient is in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chest_xray.statistics import Floats
from chest_xray.statistics.intervals import Z95, effective_cases, logit_interval, t95, two_sided_p, wilson


@dataclass(frozen=True, slots=True)
class Clustered:
    """A value, its variance over patients and the influence (P,) of each of all P patients, 0 for those not in it.

    `cases` is the effective number of patients that the variance rests on; infinite where it is taken as known.
    """

    value: float
    variance: float
    influence: Floats
    cases: float = math.inf


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference of two values; `p` is two-sided."""

    difference: float
    ci95: tuple[float, float]
    p: float


def clustered_auroc(positive: NDArray[np.bool_], scores: Floats, patients: NDArray[np.intp], count: int) -> Clustered:
    """AUROC with DeLong's variance (1988), extended to several images of a patient (Obuchowski 1997).

    With one image a patient it is DeLong's, exactly.

    Args:
        positive: (N,); both classes must be there.
        scores: (N,), finite.
        patients: (N,), in 0..count - 1.
        count: number of patients.
    """
    below, above = _placements(positive, scores)
    m, n = len(below), len(above)
    auroc = float(below.mean())
    of_positives, of_negatives = patients[positive], patients[~positive]
    a = _sum_by_patient((below - auroc) / m, of_positives, count)
    b = _sum_by_patient((above - auroc) / n, of_negatives, count)
    both = len(np.unique(patients))
    variance = _unbiased(len(np.unique(of_positives))) * float(a @ a)
    variance += _unbiased(len(np.unique(of_negatives))) * float(b @ b)
    variance += 2 * _unbiased(both) * float(a @ b)
    # The rarer class decides how well the variance is known.
    cases = min(effective_cases(of_positives), effective_cases(of_negatives))
    return Clustered(auroc, max(variance, 0.0), a + b, cases)


def _placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Share of negatives below each positive, and of positives above each negative; a tie counts half."""
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    return _share_below(scores[positive], negatives), 1 - _share_below(scores[~positive], positives)


def _share_below(scores: Floats, others: Floats) -> Floats:
    left, right = np.searchsorted(others, scores, "left"), np.searchsorted(others, scores, "right")
    share: Floats = (left + right) / (2 * len(others))
    return share


def clustered_mean(values: Floats, patients: NDArray[np.intp], count: int) -> Clustered:
    """Mean of (N,) values, of at least one image."""
    mean = float(values.mean())
    influence = _sum_by_patient((values - mean) / len(values), patients, count)
    return Clustered(mean, _unbiased(len(np.unique(patients))) * float(influence @ influence), influence)


def clustered_share(hits: NDArray[np.bool_], patients: NDArray[np.intp], count: int) -> Clustered:
    """Share of (N,) images that are hits. Where all or none are, the variance is what Wilson's interval implies."""
    found = clustered_mean(hits.astype(np.float64), patients, count)
    if 0 < found.value < 1:
        return found
    low, high = wilson(found.value, len(np.unique(patients)))
    return Clustered(found.value, ((high - low) / Z95) ** 2, found.influence)


def mean_of(values: list[Clustered]) -> Clustered:
    """The unweighted mean of several values over the same patients; its cases are theirs, on average."""
    influence = np.mean([value.influence for value in values], axis=0)
    variance = _unbiased(int(np.count_nonzero(influence))) * float(influence @ influence)
    value, cases = (float(np.mean(column)) for column in zip(*((one.value, one.cases) for one in values), strict=True))
    return Clustered(value, variance, influence, cases)


def share_interval(found: Clustered, patients: int) -> tuple[float, float]:
    """Wilson's interval of a share with its effective number of cases: as many as would have this variance."""
    if found.value in (0.0, 1.0) or found.variance == 0:
        return wilson(found.value, patients)
    return wilson(found.value, found.value * (1 - found.value) / found.variance)


def auroc_interval(found: Clustered) -> tuple[float, float] | None:
    """On the logit scale; None where all positives are above all negatives, or below."""
    return logit_interval(found.value, found.variance, found.cases)


def mean_interval(found: Clustered) -> tuple[float, float]:
    """Normal, for a mean that is not bounded by 0 and 1."""
    spread = Z95 * float(np.sqrt(found.variance))
    return found.value - spread, found.value + spread


def gap_between(group: Clustered, rest: Clustered) -> Gap | None:
    """The group's value less that of the rest; None where neither varies, or one rests on a single patient."""
    patients = int(np.count_nonzero((group.influence != 0) | (rest.influence != 0)))
    covariance = _unbiased(patients) * float(group.influence @ rest.influence)
    variance = group.variance + rest.variance - 2 * covariance
    # What rounding leaves of 0 is no variance.
    if not variance > 1e-9 * (group.variance + rest.variance):
        return None
    difference, cases = group.value - rest.value, min(group.cases, rest.cases)
    if cases <= 1:
        return None
    spread = t95(cases) * math.sqrt(variance)
    return Gap(difference, (difference - spread, difference + spread), two_sided_p(difference, variance, cases))


def _sum_by_patient(values: Floats, patients: NDArray[np.intp], count: int) -> Floats:
    sums: Floats = np.bincount(patients, weights=values, minlength=count).astype(np.float64)
    return sums


def _unbiased(patients: int) -> float:
    return patients / max(patients - 1, 1)
