"""Probabilities for another prevalence: if only the prevalence changes, the log-odds move by one number.

p(x | finding) is taken to be the same in both places. Then the calibrated log-odds move by the difference of the
prevalences' log-odds (Elkan, IJCAI 2001). A prevalence that nobody knows is estimated from scores alone (Saerens et
al., Neural Computation 2002).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from chest_xray.bundle import Calibration
from chest_xray.errors import SettingsError
from chest_xray.statistics import Floats

VALIDATION: Final = "validation"
TEST: Final = "test"
_MOST_STEPS = 1000


def move_prior(calibration: Calibration, prior_from: float, prior_to: float) -> Calibration:
    """The calibration for a prevalence `prior_to`, made at `prior_from`; both above 0 and below 1."""
    shift = log_odds(prior_to) - log_odds(prior_from)
    return calibration.model_copy(update={"intercept": calibration.intercept + shift, "prior": prior_to})


def move_probability(probability: Floats, prior_from: float, prior_to: float) -> Floats:
    """The same for probabilities (N,)."""
    odds = math.exp(log_odds(prior_to) - log_odds(prior_from))
    return probability * odds / (probability * odds + 1 - probability)


def estimate_prior(probability: Floats, prior_from: float) -> float:
    """The prevalence in images without labels, by expectation maximisation; from probabilities made at `prior_from`."""
    prior = prior_from
    for _ in range(_MOST_STEPS):
        found = float(move_probability(probability, prior_from, prior).mean())
        if abs(found - prior) < 1e-7 or not 0 < found < 1:
            return min(max(found, 1e-6), 1 - 1e-6)
        prior = found
    return prior


def log_odds(prior: float) -> float:
    """ln(p / (1 - p))."""
    return math.log(prior / (1 - prior))


def parse_prior(text: str) -> str | float | dict[str, float]:
    """`validation`, `test`, a number for every finding, or a JSON file with a number for some of them.

    Raises:
        SettingsError: it is none of these, or a number is not between 0 and 1.
    """
    if text in (VALIDATION, TEST):
        return text
    if Path(text).is_file():
        return _read_priors(Path(text))
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(
            f"--prior is {text!r}: expected validation, test, a number between 0 and 1, or a JSON file of numbers by "
            "finding."
        ) from None
    return _checked("every finding", value, "--prior")


def prior_of(prior: str | float | Mapping[str, float], findings: Sequence[str]) -> str | dict[str, float]:
    """`validation`, `test`, or numbers of some of the findings.

    Raises:
        SettingsError: it names what is none of the findings.
    """
    if isinstance(prior, str):
        return prior
    if not isinstance(prior, Mapping):
        return dict.fromkeys(findings, prior)
    for name in prior:
        if name not in findings:
            raise SettingsError(f"--prior names {name!r}, which is no finding. Findings: {', '.join(findings)}.")
    return dict(prior)


def _read_priors(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON ({error}): expected numbers by finding.") from error
    if not isinstance(content, dict):
        raise SettingsError(f'{path} holds a {type(content).__name__}: expected numbers by finding, {{"Edema": 0.1}}.')
    return {name: _checked(name, value, str(path)) for name, value in content.items()}


def _checked(name: str, value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise SettingsError(f"{where} gives {name} the prevalence {value!r}: expected a number between 0 and 1.")
    return float(value)
