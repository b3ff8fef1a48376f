"""How figures are written for people: in the report, in the model card and in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chest_xray.bundle import Interval
    from chest_xray.evaluation.results import Estimate, GroupFigure, Subgroup


def spread(interval: Interval, digits: int = 2) -> str:
    """`(0.79 to 0.83)`."""
    return f"({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def value(found: float | None, interval: Interval | None, *, otherwise: str = "one class only", digits: int = 3) -> str:
    """`0.812 (0.790 to 0.831)`."""
    if found is None:
        return otherwise
    return f"{found:.{digits}f}" if interval is None else f"{found:.{digits}f} {spread(interval, digits)}"


def estimate(found: Estimate | None) -> str:
    """`0.81 (0.79 to 0.83)`."""
    return "n/a" if found is None else value(found.value, found.ci95, digits=2)


def group_figure(found: GroupFigure | None, *, star: bool, digits: int = 3) -> str:
    """As `value`; with `star` what differs from all other images ends with ` *`."""
    if found is None:
        return "too few"
    differs = star and found.gap is not None and found.gap.real
    return value(found.value, found.ci95, digits=digits) + (" *" if differs else "")


def misjudged(group: Subgroup, words: Callable[[str], str] = str) -> str:
    """`Mass +0.05, Effusion -0.12`, each finding by its `words`."""
    off = [f"{words(name)} {excess:+.2f}" for name, excess in group.misjudged.items()]
    return ", ".join(off) or f"none of {group.judged}"
