"""What a bundle says of each finding, from validation images: calibration and operating point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chest_xray.bundle import FindingProfile
from chest_xray.console import progress
from chest_xray.evaluation.calibration.calibrate import Choice, apply_calibration, choose_calibration, undo_loss_weight
from chest_xray.evaluation.calibration.operating_points import YOUDEN, choose_point
from chest_xray.evaluation.calibration.priors import move_prior
from chest_xray.evaluation.results import Profiles
from chest_xray.evaluation.scored import Origin, ScoredImages
from chest_xray.statistics import ROUNDS
from chest_xray.statistics.metrics import PatientDraws


@dataclass(frozen=True, slots=True)
class FittedProfiles:
    """Profiles, with how each calibration was chosen before any correction for prevalence."""

    profiles: Profiles
    choices: dict[str, Choice]


def fit_profiles(
    validation: ScoredImages,
    origin: Origin,
    *,
    aim: str = YOUDEN,
    priors: dict[str, float] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> FittedProfiles:
    """Calibrate each finding and choose its operating point.

    Args:
        validation: no image of it is in training or test.
        origin: of the scores; its weights of positives in the loss are undone where nothing can be fitted.
        aim: of the operating points, see `operating_points.check_aim`.
        priors: prevalences by finding to which calibrations that were fitted are moved.
        rounds: of the bootstrap over patients, for intervals of operating points.
        seed: of the bootstrap.
    """
    draws = PatientDraws(validation.patients, rounds=rounds, seed=seed) if len(validation) else None
    findings, choices = {}, {}
    with progress("Calibrating", len(validation.findings), "findings") as advance:
        for k, name in enumerate(validation.findings):
            choices[name] = _choose(validation, k, origin.positive_weights[k])
            prior = (priors or {}).get(name)
            findings[name] = _profile(validation, k, choices[name], draws, aim, prior)
            advance(1)
    profiles = Profiles(images=len(validation), weights_sha256=origin.weights_sha256, findings=findings)
    return FittedProfiles(profiles, choices)


def _choose(validation: ScoredImages, k: int, positive_weight: float) -> Choice:
    labels, logits = validation.labels[:, k], validation.logits[:, k]
    if not (np.isfinite(labels).all() and np.isfinite(logits).all()):
        return Choice(undo_loss_weight(positive_weight), {})
    return choose_calibration(labels, logits, validation.patients, positive_weight)


def _profile(
    validation: ScoredImages, k: int, choice: Choice, draws: PatientDraws | None, aim: str, prior: float | None
) -> FindingProfile:
    calibration = choice.calibration
    # Where a fit was refused, so is a threshold: its scores do not rank. Nor is a prevalence known to move it from.
    if calibration.method == "loss_weight" or draws is None:
        return FindingProfile(calibration=calibration, operating_point=None)
    labels = validation.labels[:, k]
    if prior is not None:
        calibration = move_prior(calibration, float(labels.mean()), prior)
    point = choose_point(labels, apply_calibration(calibration, validation.logits[:, k]), draws, aim)
    return FindingProfile(calibration=calibration, operating_point=point)
