"""Operating points against going through all thresholds, and prior correction against Bayes' rule."""

import json
from pathlib import Path

import numpy as np
import pytest

from chest_xray.bundle import Calibration
from chest_xray.errors import SettingsError
from chest_xray.evaluation.calibration.calibrate import apply_calibration
from chest_xray.evaluation.calibration.operating_points import check_aim, choose_point
from chest_xray.evaluation.calibration.priors import (
    estimate_prior,
    log_odds,
    move_prior,
    move_probability,
    parse_prior,
    prior_of,
)
from chest_xray.findings import FINDINGS
from chest_xray.statistics.metrics import PatientDraws

RNG = np.random.default_rng(4)
LABELS = (RNG.random(300) < 0.3).astype(np.uint8)
PROBABILITY = np.round(np.clip(0.25 * LABELS + RNG.random(300) * 0.7, 0, 1), 2)
DRAWS = PatientDraws(np.arange(300), rounds=500, seed=0)


def at(threshold: float) -> tuple[float, float, float]:
    """Sensitivity, specificity and F1 of flagging from a threshold on."""
    positive, called = LABELS == 1, threshold <= PROBABILITY
    hits = (called & positive).sum()
    return called[positive].mean(), (~called[~positive]).mean(), 2 * hits / (called.sum() + positive.sum())


EVERY = [(t, *at(t)) for t in np.unique(PROBABILITY)]


@pytest.mark.parametrize("aim", ["youden", "f1", "sensitivity=0.9", "sensitivity=0.55"])
def test_the_point_is_the_best_of_all_thresholds_for_its_aim(aim: str) -> None:
    point = choose_point(LABELS, PROBABILITY, DRAWS, aim)
    assert point is not None
    sensitivity, specificity, f1 = at(point.threshold)
    assert (point.aim, point.sensitivity, point.specificity) == (aim, sensitivity, specificity)
    assert point.threshold not in PROBABILITY
    if aim == "youden":
        assert sensitivity + specificity == pytest.approx(max(row[1] + row[2] for row in EVERY))
    elif aim == "f1":
        assert f1 == pytest.approx(max(row[3] for row in EVERY))
    else:
        target = float(aim.partition("=")[2])
        assert sensitivity >= target
        assert all(row[1] < target for row in EVERY if row[0] > point.threshold + 0.01)


def test_the_interval_of_a_sensitivity_has_the_width_of_a_share() -> None:
    """One image a patient: the interval is near to that of a binomial share."""
    point = choose_point(LABELS, PROBABILITY, DRAWS, "youden")
    assert point is not None
    assert point.sensitivity_ci95 is not None
    low, high = point.sensitivity_ci95
    width = 2 * 1.96 * np.sqrt(point.sensitivity * (1 - point.sensitivity) / LABELS.sum())
    assert high - low == pytest.approx(width, rel=0.15)
    assert low < point.sensitivity < high


def test_scores_that_say_nothing_have_no_operating_point() -> None:
    labels = np.repeat([0, 1], 20)
    draws = PatientDraws(np.arange(40), rounds=100, seed=0)
    assert choose_point(labels, np.full(40, 0.3), draws) is None
    assert choose_point(np.arange(40) < 9, np.linspace(1, 0, 40), draws) is None


@pytest.mark.parametrize("aim", ["recall", "sensitivity", "sensitivity=0", "sensitivity=1", "sensitivity=0.0", ""])
def test_an_aim_that_is_none_is_one_clear_error(aim: str) -> None:
    with pytest.raises(SettingsError, match="expected youden, f1 or sensitivity=S"):
        check_aim(aim)
    assert check_aim(" Sensitivity=.95") == "sensitivity=.95"


def test_moving_the_intercept_is_bayes_rule() -> None:
    """Scores normal with mean 0 and 2: at prevalence p the posterior odds are p / (1 - p) * exp(2 x - 2)."""
    calibration = Calibration(method="platt", slope=2.0, intercept=-2.0 + log_odds(0.1))
    x = np.array([-1.0, 0.5, 3.0])
    expected = 0.4 * np.exp(2 * x - 2) / (0.4 * np.exp(2 * x - 2) + 0.6)
    moved = move_prior(calibration, 0.1, 0.4)
    np.testing.assert_allclose(apply_calibration(moved, x), expected)
    np.testing.assert_allclose(move_probability(apply_calibration(calibration, x), 0.1, 0.4), expected)
    assert moved.prior == 0.4


def test_a_prevalence_is_estimated_without_labels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(20_000) < 0.4
    x = rng.normal(size=20_000) + 2 * labels
    fitted_at_a_tenth = apply_calibration(Calibration(method="platt", slope=2.0, intercept=-2.0 + log_odds(0.1)), x)
    assert estimate_prior(fitted_at_a_tenth, 0.1) == pytest.approx(labels.mean(), abs=0.015)


def test_priors_are_a_word_a_number_or_a_file(tmp_path: Path) -> None:
    assert parse_prior("test") == "test"
    assert parse_prior("0.2") == 0.2
    path = tmp_path / "priors.json"
    path.write_text(json.dumps({"Edema": 0.1}))
    assert parse_prior(str(path)) == {"Edema": 0.1}
    for content, message in (("{", "is not JSON"), ("[]", "holds a list"), ('{"Edema": true}', "Edema the prevalence")):
        path.write_text(content)
        with pytest.raises(SettingsError, match=message):
            parse_prior(str(path))
    for text, message in (("2", "prevalence 2.0"), ("none", "expected validation, test"), ("nan", "prevalence nan")):
        with pytest.raises(SettingsError, match=message):
            parse_prior(text)


def test_a_prior_is_of_the_findings_that_were_measured() -> None:
    assert prior_of("test", FINDINGS) == "test"
    assert prior_of(0.2, ("Opacity", "Device")) == {"Opacity": 0.2, "Device": 0.2}
    assert prior_of({"Edema": 0.1}, FINDINGS) == {"Edema": 0.1}
    with pytest.raises(SettingsError, match=r"names 'Edema', which is no finding\. Findings: Opacity, Device\."):
        prior_of({"Edema": 0.1}, ("Opacity", "Device"))
