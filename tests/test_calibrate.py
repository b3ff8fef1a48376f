"""Platt scaling and operating points against numbers known beforehand."""

import math

import numpy as np
import pytest

from chest_xray.bundle import Calibration
from chest_xray.training.calibrate import apply_calibration, calibrate, fit_platt, youden_point
from chest_xray.training.evaluate import fit_profiles


def drawn(slope: float, intercept: float, images: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=images)
    probability = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return (rng.random(images) < probability).astype(np.uint8), logits


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.0, -1.0)])
def test_platt_finds_the_parameters_that_made_the_labels(slope: float, intercept: float) -> None:
    found = fit_platt(*drawn(slope, intercept))
    assert found == pytest.approx((slope, intercept), abs=0.06)


def test_calibrated_probabilities_have_the_mean_of_the_labels() -> None:
    labels, logits = drawn(0.5, -1.5)
    calibration = calibrate(labels, logits, positive_weight=5.0)
    assert calibration.method == "platt"
    assert apply_calibration(calibration, logits).mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_separable_scores_do_not_send_the_slope_to_infinity() -> None:
    labels = np.repeat([0, 1], 20)
    slope, _ = fit_platt(labels, np.repeat([-1.0, 1.0], 20))
    # Platt's targets are 21/22 and 1/22: logit 3.04 at a score of 1.
    assert slope == pytest.approx(math.log(21), abs=0.01)


@pytest.mark.parametrize("positives", [0, 9])
def test_too_few_cases_only_undo_the_loss_weight(positives: int) -> None:
    labels = np.zeros(100, dtype=np.uint8)
    labels[:positives] = 1
    calibration = calibrate(labels, np.linspace(1, -1, 100), positive_weight=8.0)
    assert calibration == Calibration(method="loss_weight", slope=1.0, intercept=-math.log(8.0))
    assert youden_point(labels, np.linspace(0, 1, 100)) is None


def test_scores_that_rank_backwards_are_not_turned_round() -> None:
    labels, logits = drawn(1.0, 0.0, images=2000)
    assert calibrate(labels, -logits, positive_weight=2.0).method == "loss_weight"


def test_scores_that_rank_backwards_flag_nobody() -> None:
    labels, logits = drawn(1.0, 0.0, images=2000)
    both = np.repeat(labels[:, None], 14, axis=1)
    backwards = np.repeat(-logits[:, None], 14, axis=1)
    profiles = fit_profiles(both, backwards, [2.0] * 14, "0" * 64)
    assert all(profile.operating_point is None for profile in profiles.findings.values())
    forwards = fit_profiles(both, -backwards, [2.0] * 14, "0" * 64)
    assert all(profile.operating_point is not None for profile in forwards.findings.values())


def test_scores_that_say_nothing_have_no_operating_point() -> None:
    labels = np.repeat([0, 1], 20)
    assert youden_point(labels, np.full(40, 0.3)) is None


def test_no_logit_overflows() -> None:
    calibration = Calibration(method="platt", slope=1.0, intercept=0.0)
    assert apply_calibration(calibration, np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_undoing_the_loss_weight_gives_back_the_prevalence() -> None:
    """The optimum of a loss that weighs positives by w predicts w p / (w p + 1 - p)."""
    weight, prevalence = 7.0, 0.05
    logit = math.log(weight * prevalence / (1 - prevalence))
    calibration = calibrate(np.zeros(5), np.zeros(5), positive_weight=weight)
    assert apply_calibration(calibration, np.array([logit]))[0] == pytest.approx(prevalence)


def test_youden_point_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(4)
    labels = (rng.random(300) < 0.3).astype(np.uint8)
    probability = np.round(np.clip(0.25 * labels + rng.random(300) * 0.7, 0, 1), 2)
    point = youden_point(labels, probability)
    assert point is not None
    positive = labels == 1
    best = max(
        (probability[positive] >= t).mean() + (probability[~positive] < t).mean() for t in np.unique(probability)
    )
    called = probability >= point.threshold
    assert called[positive].mean() == point.sensitivity
    assert (~called[~positive]).mean() == point.specificity
    assert point.sensitivity + point.specificity == pytest.approx(best)
    assert point.threshold not in probability
