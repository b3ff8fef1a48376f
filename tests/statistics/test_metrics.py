"""AUROC, average precision and the patient bootstrap against scikit-learn and against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from chest_xray.statistics.metrics import RankedScores, interval95, mean_auroc, patient_bootstrap, rank_interval

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 4)), min_size=4, max_size=60)


@given(cases)
@settings(max_examples=300, deadline=None)
def test_weighted_metrics_equal_scikit_learn_with_ties(rows: list[tuple[bool, int, int]]) -> None:
    labels, scores, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    ranked = RankedScores(labels, scores)
    auroc, precision = ranked.auroc(weights[None])[0], ranked.average_precision(weights[None])[0]
    positive, negative = weights[labels == 1].sum(), weights[labels == 0].sum()
    if positive == 0 or negative == 0:
        assert np.isnan(auroc)
    else:
        assert auroc == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)
    if positive == 0:
        assert np.isnan(precision)
    else:
        expected = average_precision_score(labels, scores, sample_weight=weights)
        assert precision == pytest.approx(expected, abs=1e-12)


def test_auroc_counts_a_tie_as_half() -> None:
    # Pairs (positive, negative): 3 > 1, 3 > 2, 2 > 1, 2 = 2.
    assert RankedScores(np.array([1, 1, 0, 0]), np.array([3, 2, 1, 2])).auroc()[0] == 3.5 / 4


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        RankedScores(np.array([0, 1]), np.array([0.0, np.nan]))


def test_mean_leaves_out_a_finding_with_one_class() -> None:
    labels = np.array([[1, 0], [0, 0], [0, 0]])
    logits = np.array([[2.0, 5.0], [1.0, 4.0], [3.0, 3.0]])
    assert mean_auroc(labels, logits) == 0.5
    assert np.isnan(mean_auroc(np.zeros((3, 2)), logits))


def simulated(patients: int, images_each: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every image of a patient carries the patient's label and score: no information beyond the patient."""
    rng = np.random.default_rng(seed)
    label = rng.random(patients) < 0.3
    score = rng.normal(size=patients) + label
    ids = np.repeat(np.arange(patients), images_each)
    return label[ids, None].astype(np.uint8), score[ids, None], ids


def test_more_images_of_the_same_patients_do_not_narrow_the_interval() -> None:
    one = patient_bootstrap(*simulated(200, 1, 3), rounds=400, seed=0)
    ten = patient_bootstrap(*simulated(200, 10, 3), rounds=400, seed=0)
    assert ten.auroc == pytest.approx(one.auroc)
    np.testing.assert_allclose(ten.auroc_rounds, one.auroc_rounds)


def test_interval_has_the_width_that_theory_gives() -> None:
    """Hanley and McNeil's standard error for binormal scores one standard deviation apart, AUROC 0.760."""
    labels, scores, ids = simulated(2000, 1, 5)
    sampled = patient_bootstrap(labels, scores, ids, rounds=1000, seed=1)
    a, positives = float(sampled.auroc[0]), int(labels.sum())
    negatives = len(labels) - positives
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    variance = a * (1 - a) + (positives - 1) * (q1 - a**2) + (negatives - 1) * (q2 - a**2)
    expected = 2 * 1.96 * np.sqrt(variance / (positives * negatives))
    for interval in (interval95(sampled.auroc_rounds[:, 0]), rank_interval(a, sampled.auroc_rounds[:, 0], cases=500)):
        low, high = interval or (0.0, 0.0)
        assert high - low == pytest.approx(expected, rel=0.15)
        assert low < a < high


def test_an_interval_of_ranks_is_the_rounds_spread_around_the_value() -> None:
    logits = np.random.default_rng(0).normal(loc=2.0, scale=0.3, size=4000)
    rounds = 1 / (1 + np.exp(-logits))
    low, high = rank_interval(0.75, rounds, cases=16) or (0.0, 0.0)
    middle, spread = np.log(3), 2.1314 * logits.std()  # t of 15 degrees of freedom
    found = (np.log(low / (1 - low)), np.log(high / (1 - high)))
    assert found == pytest.approx((middle - spread, middle + spread), abs=1e-4)
    assert rank_interval(0.75, np.append(rounds, 1.0), cases=16) == interval95(np.append(rounds, 1.0))
    assert rank_interval(1.0, rounds, cases=16) == interval95(rounds)
    assert rank_interval(0.75, np.where(np.arange(4000) < 500, np.nan, rounds), cases=16) is None


def test_interval_is_unknown_when_rounds_lose_a_class() -> None:
    labels = np.zeros((40, 1))
    labels[0] = 1
    sampled = patient_bootstrap(labels, np.arange(40.0)[:, None], np.arange(40), rounds=200, seed=0)
    assert np.isnan(sampled.auroc_rounds).mean() > 0.2
    assert interval95(sampled.auroc_rounds[:, 0]) is None


def test_the_seed_decides_the_rounds() -> None:
    data = simulated(50, 2, 9)
    first, again, other = (patient_bootstrap(*data, rounds=60, seed=s).auroc_rounds for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
