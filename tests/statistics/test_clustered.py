"""Intervals, clustered variances and calibration errors against counting by hand, theory and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control, norm
from scipy.stats import t as student

from chest_xray.statistics.calibration_error import (
    bin_indices,
    brier_score,
    calibration_columns,
    chance_calibration_error,
    expected_calibration_error,
    reliability,
    rounds_of,
)
from chest_xray.statistics.clustered import clustered_auroc, clustered_share, gap_between, share_interval
from chest_xray.statistics.intervals import (
    benjamini_hochberg,
    effective_cases,
    logit_interval,
    t95,
    two_sided_p,
    wilson,
)
from chest_xray.statistics.metrics import PatientDraws, RankedScores


@pytest.mark.parametrize(("hits", "of"), [(0, 7), (3, 10), (50, 50), (81, 263)])
def test_wilsons_interval_is_scipys(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    assert wilson(hits / of, of) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_adjusted_p_values_are_scipys() -> None:
    p = dict(enumerate([0.001, 0.2, 0.03, 0.03, 0.9, 0.011]))
    assert list(dict(sorted(benjamini_hochberg(p).items())).values()) == pytest.approx(
        false_discovery_control(list(p.values()))
    )
    assert benjamini_hochberg({}) == {}


def test_a_p_value_is_that_of_the_normal_distribution() -> None:
    assert two_sided_p(0.3, 0.04) == pytest.approx(2 * norm.sf(1.5))
    assert two_sided_p(-0.3, 0.04, cases=8) == pytest.approx(2 * student.sf(1.5, 7))
    assert two_sided_p(0.3, 0.04, cases=1) == 1


def test_few_cases_make_an_interval_as_wide_as_students_t_says() -> None:
    assert t95(21) == pytest.approx(2.086, abs=5e-4)  # any table of t: 20 degrees of freedom
    assert t95(math.inf) == pytest.approx(1.96, abs=5e-4)
    assert t95(1) == math.inf
    low, high = logit_interval(0.5, 0.01, cases=21) or (0, 0)
    assert math.log(high / (1 - high)) == pytest.approx(2.086 * 0.1 / 0.25, abs=1e-3)
    assert low == pytest.approx(1 - high)
    assert logit_interval(0.5, 0.01, cases=1) is None


def test_alike_images_of_one_patient_are_fewer_cases() -> None:
    assert effective_cases(np.arange(10)) == 10
    assert effective_cases(np.repeat(np.arange(10), 7)) == pytest.approx(10)
    assert effective_cases(np.array([0] * 9 + [1])) == pytest.approx(100 / 82)
    assert effective_cases(np.array([], dtype=np.intp)) == 0
    rng = np.random.default_rng(1)
    positive = np.repeat(rng.random(30) < 0.3, 4)
    patients = np.repeat(np.arange(30), 4)
    found = clustered_auroc(positive, rng.normal(size=120) + positive, patients, 30)
    assert found.cases == pytest.approx(len(np.unique(patients[positive])))


def test_a_logit_interval_stays_within_0_and_1() -> None:
    interval = logit_interval(0.98, 0.0004)
    assert interval is not None
    low, high = interval
    assert 0.8 < low < 0.98 < high < 1
    assert logit_interval(1.0, 0.01) is None


def test_one_image_a_patient_gives_delongs_variance() -> None:
    """DeLong's structural components, written out over all pairs."""
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    scores = np.round(rng.normal(size=60) + positive, 1)
    above = np.sign(scores[positive][:, None] - scores[~positive]) / 2 + 0.5
    v10, v01 = above.mean(axis=1), above.mean(axis=0)
    expected = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)
    found = clustered_auroc(positive, scores, np.arange(60), 60)
    assert found.value == pytest.approx(RankedScores(positive, scores).auroc()[0])
    # The covariance of the two samples is not in DeLong's and is 0 here: no patient is in both.
    assert found.variance == pytest.approx(expected, rel=1e-12)


def test_the_clustered_variance_is_that_of_the_patient_bootstrap() -> None:
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(300), rng.integers(1, 8, 300))
    positive = rng.random(len(patients)) < rng.beta(0.6, 1.4, 300)[patients]
    scores = rng.normal(size=300)[patients] + rng.normal(size=len(patients)) + positive
    draws = PatientDraws(patients, rounds=2000, seed=0)
    ranked = RankedScores(positive, scores)
    rounds = np.concatenate([ranked.auroc_and_precision(block, draws.index)[0] for block in draws.blocks()])
    found = clustered_auroc(positive, scores, patients, 300)
    assert np.sqrt(found.variance) == pytest.approx(rounds.std(), rel=0.06)
    images = clustered_auroc(positive, scores, np.arange(len(patients)), len(patients))
    assert np.sqrt(found.variance) > 1.3 * np.sqrt(images.variance)


def test_a_share_of_equal_images_has_the_interval_of_its_patients() -> None:
    """Ten copies of each image tell no more than one."""
    hits = np.arange(40) < 12
    one = clustered_share(hits, np.arange(40), 40)
    ten = clustered_share(np.repeat(hits, 10), np.repeat(np.arange(40), 10), 40)
    assert ten.variance == pytest.approx(one.variance)
    assert share_interval(ten, 40) == pytest.approx(share_interval(one, 40))
    none = clustered_share(np.zeros(400, bool), np.repeat(np.arange(40), 10), 40)
    assert share_interval(none, 40) == wilson(0.0, 40)


def test_a_patient_in_both_groups_counts_once_in_the_gap() -> None:
    """The same images in both groups: no gap, and no variance of one."""
    hits, patients = np.arange(40) % 3 == 0, np.arange(40)
    share = clustered_share(hits, patients, 40)
    assert gap_between(share, share) is None
    other = clustered_share(np.arange(40) % 2 == 0, patients + 40, 80)
    apart = gap_between(clustered_share(hits, patients, 80), other)
    assert apart is not None
    assert apart.difference == pytest.approx(14 / 40 - 0.5)
    assert apart.p == pytest.approx(two_sided_p(0.15, share.variance + other.variance))


def test_calibration_error_is_counted_by_hand() -> None:
    """15 bins of two images each: in every bin one of two is positive, and the probabilities are 0.1 apart."""
    probability = np.repeat(np.arange(15) / 20 + 0.1, 2)
    labels = np.tile([0, 1], 15)
    by_hand = np.abs(np.arange(15) / 20 + 0.1 - 0.5).mean()
    assert expected_calibration_error(labels, probability) == pytest.approx(by_hand)
    assert brier_score(labels, probability) == pytest.approx(((probability - labels) ** 2).mean())
    errors = rounds_of(calibration_columns(labels, probability).sum(axis=0)[None])
    assert [float(one[0]) for one in errors] == pytest.approx([brier_score(labels, probability), by_hand])


def test_equal_probabilities_share_a_bin_whatever_the_order() -> None:
    probability = np.concatenate([np.full(50, 0.2), np.linspace(0.3, 0.9, 50)])
    assert len(set(bin_indices(probability)[:50])) == 1
    shuffled = np.random.default_rng(0).permutation(100)
    labels = np.arange(100) % 2
    assert expected_calibration_error(labels, probability) == pytest.approx(
        expected_calibration_error(labels[shuffled], probability[shuffled])
    )


def test_a_true_model_has_the_error_that_chance_gives() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 5, 3000)
    errors = [expected_calibration_error(rng.random(3000) < probability, probability) for _ in range(200)]
    assert np.mean(errors) == pytest.approx(chance_calibration_error(probability), rel=0.03)


def test_the_points_of_a_reliability_diagram_lie_where_the_bins_are() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(300)
    labels = rng.random(300) < probability
    points = reliability(labels, probability)
    assert [point.images for point in points] == [20] * 15
    lowest = np.sort(probability)[:20]
    assert points[0].probability == pytest.approx(lowest.mean())
    assert points[0].observed == labels[probability <= lowest[-1]].mean()
