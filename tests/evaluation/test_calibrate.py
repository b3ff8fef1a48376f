"""Platt scaling, temperature and the choice between them against numbers known beforehand."""

import math

import numpy as np
import pytest
from tests.support.scores import drawn, origin

from chest_xray.bundle import Calibration
from chest_xray.evaluation.calibration.calibrate import (
    apply_calibration,
    choose_calibration,
    fit,
    fit_platt,
    fit_temperature,
    folds_of,
    undo_loss_weight,
)
from chest_xray.evaluation.calibration.profiles import fit_profiles
from chest_xray.findings import FINDINGS


def logistic(slope: float, intercept: float, images: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=images)
    probability = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return (rng.random(images) < probability).astype(np.uint8), logits


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.0, -1.0)])
def test_platt_finds_the_parameters_that_made_the_labels(slope: float, intercept: float) -> None:
    found = fit_platt(*logistic(slope, intercept))
    assert found == pytest.approx((slope, intercept), abs=0.06)


def test_temperature_finds_the_parameter_that_made_the_labels() -> None:
    """T = 2.5 of logits that the loss's weight moved up by ln 4."""
    labels, logits = logistic(0.4, -0.4 * math.log(4))
    assert fit_temperature(labels, logits, positive_weight=4.0) == pytest.approx(0.4, abs=0.01)
    found = fit("temperature", labels, logits, positive_weight=4.0)
    assert found.intercept == -found.slope * math.log(4)


def test_calibrated_probabilities_have_the_mean_of_the_labels() -> None:
    labels, logits = logistic(0.5, -1.5)
    calibration = choose_calibration(labels, logits, np.arange(len(labels)), positive_weight=1.0).calibration
    assert calibration.method == "platt"
    assert apply_calibration(calibration, logits).mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_the_method_with_the_lower_score_on_held_out_patients_is_taken() -> None:
    """Two parameters are needed where the intercept is another than the loss's weight explains, else one is enough."""
    labels, logits = logistic(0.5, -1.5, images=4000)
    needs_two = choose_calibration(labels, logits, np.arange(4000), positive_weight=1.0)
    assert needs_two.cross_validated_brier["platt"] < needs_two.cross_validated_brier["temperature"] - 0.01
    won = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        logits = rng.normal(scale=2.0, size=100)
        labels = rng.random(100) < 1 / (1 + np.exp(-logits))
        won.append(choose_calibration(labels, logits, np.arange(100), positive_weight=1.0).calibration.method)
    assert won.count("temperature") > 20


def test_a_fold_holds_all_images_of_its_patients() -> None:
    patients = np.repeat(np.arange(35), 3)
    fold = folds_of(patients, 10)
    assert all(len(set(fold[patients == patient])) == 1 for patient in range(35))
    assert sorted(np.bincount(fold[::3]).tolist()) == [3] * 5 + [4] * 5


def test_separable_scores_do_not_send_the_slope_to_infinity() -> None:
    labels = np.repeat([0, 1], 20)
    slope, _ = fit_platt(labels, np.repeat([-1.0, 1.0], 20))
    # Platt's targets are 21/22 and 1/22: logit 3.04 at a score of 1.
    assert slope == pytest.approx(math.log(21), abs=0.01)
    assert fit_temperature(labels, np.repeat([-1.0, 1.0], 20), 1.0) == pytest.approx(math.log(21), abs=0.01)


@pytest.mark.parametrize("positives", [0, 9])
def test_too_few_cases_only_undo_the_loss_weight(positives: int) -> None:
    labels = np.zeros(100, dtype=np.uint8)
    labels[:positives] = 1
    choice = choose_calibration(labels, np.linspace(1, -1, 100), np.arange(100), positive_weight=8.0)
    assert choice.calibration == Calibration(method="loss_weight", slope=1.0, intercept=-math.log(8.0))
    assert choice.cross_validated_brier == {}


def test_scores_that_rank_backwards_are_not_turned_round_and_flag_nobody() -> None:
    forwards = drawn(400, 100)
    found = fit_profiles(forwards, origin(), rounds=100).profiles.findings
    assert all(profile.operating_point is not None for profile in found.values())
    forwards.logits[:] *= -1
    found = fit_profiles(forwards, origin(), rounds=100).profiles.findings
    assert {profile.calibration.method for profile in found.values()} == {"loss_weight"}
    assert all(profile.operating_point is None for profile in found.values())


def test_a_score_that_is_missing_leaves_its_finding_uncalibrated() -> None:
    validation = drawn(400, 100)
    validation.logits[3, FINDINGS.index("Mass")] = np.nan
    found = fit_profiles(validation, origin(), rounds=100).profiles.findings
    assert found["Mass"].calibration == undo_loss_weight(2.0)
    assert found["Mass"].operating_point is None
    assert found["Edema"].calibration.method != "loss_weight"


def test_no_logit_overflows() -> None:
    calibration = Calibration(method="platt", slope=1.0, intercept=0.0)
    assert apply_calibration(calibration, np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_undoing_the_loss_weight_gives_back_the_prevalence() -> None:
    """A network that knows nothing but the prevalence p, trained with weight w, says logit(p) + ln w."""
    prevalence, weight = 0.05, 19.0
    logit = math.log(prevalence / (1 - prevalence)) + math.log(weight)
    assert apply_calibration(undo_loss_weight(weight), np.array([logit]))[0] == pytest.approx(prevalence)
