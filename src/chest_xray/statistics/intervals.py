"""Intervals of shares and differences, and p-values of many tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Z95: Final = 1.959963984540054
Key = TypeVar("Key")


def wilson(share: float, of: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a share (Wilson 1927).

    Args:
        share: 0..1.
        of: how many independent cases it rests on, above 0; with clustered images the effective number (Korn and
            Graubard 1998), which need not be whole.
    """
    middle = share + Z95**2 / (2 * of)
    spread = Z95 * math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    scale = 1 + Z95**2 / of
    # At a share of 0 or 1 rounding may put the end that equals it a little beside it.
    return min(share, max(0.0, (middle - spread) / scale)), max(share, min(1.0, (middle + spread) / scale))


def effective_cases(groups: NDArray[np.intp]) -> float:
    """How many independent cases (n,) images in `groups` are worth if those of one group are alike (Kish 1965).

    As many as there are groups where each has one image, fewer where some groups have many; 0 without images.
    """
    sizes = np.bincount(groups) if len(groups) else np.zeros(1)
    return float(sizes.sum() ** 2 / max((sizes.astype(np.float64) ** 2).sum(), 1))


def t95(cases: float) -> float:
    """How many standard errors a 95% interval goes to each side, where the error was estimated from so many cases.

    Student's t with `cases` - 1 degrees of freedom; 1.96 for infinitely many, infinite for one.
    """
    if cases <= 1:
        return math.inf
    return Z95 if math.isinf(cases) else float(stdtrit(cases - 1, 0.975))


def logit_interval(value: float, variance: float, cases: float = math.inf) -> tuple[float, float] | None:
    """95% interval of a value in 0..1 that is symmetric on the logit scale, so that it stays within 0..1.

    `variance` is the value's, estimated from so many effective cases. None at 0 and 1, without variance and for one
    case, where the formula says nothing.
    """
    if not (0 < value < 1 and variance > 0 and cases > 1):
        return None
    middle = math.log(value / (1 - value))
    spread = t95(cases) * math.sqrt(variance) / (value * (1 - value))
    return sigmoid(middle - spread), sigmoid(middle + spread)


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)) for any finite value."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def two_sided_p(difference: float, variance: float, cases: float = math.inf) -> float:
    """Of a difference against 0, its variance above 0 and estimated from so many effective cases; 1 for one case."""
    if math.isinf(cases):
        return math.erfc(abs(difference) / math.sqrt(2 * variance))
    return 2 * float(stdtr(cases - 1, -abs(difference) / math.sqrt(variance))) if cases > 1 else 1.0


def benjamini_hochberg(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """P-values adjusted to hold the false discovery rate (Benjamini and Hochberg 1995), monotone, at most 1."""
    ordered = sorted(p_values.items(), key=lambda item: item[1], reverse=True)
    adjusted, smallest = {}, 1.0
    for rank, (key, p) in zip(range(len(ordered), 0, -1), ordered, strict=True):
        smallest = min(smallest, p * len(ordered) / rank)
        adjusted[key] = smallest
    return adjusted
