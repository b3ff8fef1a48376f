"""What moving each calibration to the test list's prevalence would do, shown whether asked for or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from chest_xray.evaluation.calibration.calibrate import Choice, apply_calibration, enough_cases
from chest_xray.evaluation.calibration.priors import TEST, VALIDATION, estimate_prior, move_probability
from chest_xray.evaluation.performance import calibration_errors, measurable
from chest_xray.evaluation.results import CalibrationErrors, FindingPrior, PriorCorrection, PriorEffect
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.statistics import Floats
from chest_xray.statistics.calibration_error import calibration_columns
from chest_xray.statistics.metrics import PatientDraws

Prior = str | Mapping[str, float]


def priors_for(prior: Prior, test: ScoredImages) -> dict[str, float]:
    """The prevalences that `--prior` asks for, by finding; empty for `validation`."""
    if not isinstance(prior, str):
        return dict(prior)
    if prior == VALIDATION:
        return {}
    kept = [k for k in measurable(test) if enough_cases(test.labels[:, k])]
    return {test.findings[k]: float(test.labels[:, k].mean()) for k in kept}


def measure_prior_correction(
    validation: ScoredImages, test: ScoredImages, choices: Mapping[str, Choice], draws: PatientDraws, prior: Prior
) -> PriorCorrection:
    """Move every fitted calibration to the known and to the estimated prevalence; `draws` are of the test images."""
    findings, unmoved = {}, []
    for k in measurable(test):
        choice = choices[test.findings[k]]
        if choice.calibration.method == "loss_weight" or not enough_cases(test.labels[:, k]):
            continue
        probability = apply_calibration(choice.calibration, test.logits[:, k])
        fitted_at = float(validation.labels[:, k].mean())
        findings[test.findings[k]] = _finding_prior(test.labels[:, k] == 1, probability, fitted_at, draws)
        unmoved.append(_errors(test.labels[:, k] == 1, probability, draws).ece.value)
    return PriorCorrection(
        applied=applied_prior(prior)[0],
        given=applied_prior(prior)[1],
        findings=findings,
        mean_ece_validation=_mean(unmoved),
        mean_ece_known=_mean([found.known.errors.ece.value for found in findings.values()]),
        mean_ece_estimated=_mean([found.estimated.errors.ece.value for found in findings.values()]),
    )


def applied_prior(prior: Prior) -> tuple[Literal["validation", "test", "given"], dict[str, float]]:
    """What was asked for, as evaluation.json says it."""
    if not isinstance(prior, str):
        return "given", dict(prior)
    return ("test" if prior == TEST else "validation"), {}


def _finding_prior(
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]], probability: Floats, fitted_at: float, draws: PatientDraws
) -> FindingPrior:
    effects = [
        PriorEffect(prior=prior, errors=_errors(positive, move_probability(probability, fitted_at, prior), draws))
        for prior in (float(positive.mean()), estimate_prior(probability, fitted_at))
    ]
    return FindingPrior(validation=fitted_at, known=effects[0], estimated=effects[1])


def _errors(
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]], probability: Floats, draws: PatientDraws
) -> CalibrationErrors:
    return calibration_errors(positive, probability, draws.sums(calibration_columns(positive, probability)))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
