"""What a report is made of, and how its names are written."""

from __future__ import annotations

from dataclasses import dataclass

from chest_xray.evaluation.html_report.curves import TestScores
from chest_xray.evaluation.results import Evaluation, Profiles


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
