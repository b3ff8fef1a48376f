"""What a report is made of, and how its names and values are written."""

from __future__ import annotations

from dataclasses import dataclass

from chest_xray.bundle import Interval
from chest_xray.evaluation.html_report.curves import TestScores
from chest_xray.evaluation.results import Estimate, Evaluation, Profiles


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of; `panel` is the PNG of phantoms with maps and boxes."""

    evaluation: Evaluation
    profiles: Profiles
    scores: TestScores
    panel: bytes | None


def words(name: str) -> str:
    """A finding's name for people."""
    return name.replace("_", " ")


def value(found: float | None, interval: Interval | None) -> str:
    """`0.812 (0.790 to 0.831)`."""
    if found is None:
        return "one class only"
    return f"{found:.3f}" if interval is None else f"{found:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def estimate(found: Estimate | None) -> str:
    """`0.81 (0.79 to 0.83)`."""
    if found is None:
        return "n/a"
    return f"{found.value:.2f}" if found.ci95 is None else f"{found.value:.2f} {spread(found.ci95)}"


def spread(interval: tuple[float, float]) -> str:
    """`(0.79 to 0.83)`."""
    return f"({interval[0]:.2f} to {interval[1]:.2f})"
