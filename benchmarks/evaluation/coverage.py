"""`ci_coverage`: how often 95% intervals hold the true AUROC, on simulated patients whose images resemble each other.

A patient has 1, 2, 4 or 9 images, an effect of its own that is half of a score's variance, and a share of images with
the finding that is drawn from a Beta distribution with parameters that add up to 2, so that findings stay with
patients. Positives score d higher. Scores of images of two patients are normal with variance 1, so the true AUROC is
Phi(d / sqrt 2). The patient-level resampling of `cxr evaluate` is run as it is. Beside it stand the clustered closed
form, which groups of patients get, and resampling images, which is the usual mistake. The test of a gap between two
groups that do not differ must call it real, at p < 0.05, in one of twenty simulations.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from chest_xray.cpus import available_cpus
from chest_xray.evaluation.performance import rarer_cases
from chest_xray.statistics.clustered import auroc_interval, clustered_auroc, gap_between
from chest_xray.statistics.metrics import PatientDraws, RankedScores, rank_interval

ROUNDS = 1000


@dataclass(frozen=True)
class Scenario:
    """How many patients, how rare the finding, how good the model."""

    name: str
    patients: int
    prevalence: float
    auroc: float


SCENARIOS = (
    Scenario("common, AUROC 0.75", patients=200, prevalence=0.3, auroc=0.75),
    Scenario("rare, AUROC 0.80", patients=500, prevalence=0.05, auroc=0.80),
    Scenario("common, AUROC 0.90", patients=200, prevalence=0.2, auroc=0.90),
)


@dataclass(frozen=True)
class Simulated:
    """Labels, scores and patients (N,)."""

    positive: NDArray[np.bool_]
    scores: NDArray[np.float64]
    patients: NDArray[np.int64]


def simulate(scenario: Scenario, seed: int) -> Simulated:
    """One study."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(scenario.patients), rng.choice([1, 2, 4, 9], scenario.patients))
    shares = rng.beta(2 * scenario.prevalence, 2 * (1 - scenario.prevalence), scenario.patients)
    positive = rng.random(len(patients)) < shares[patients]
    effect = rng.normal(scale=math.sqrt(0.5), size=scenario.patients)[patients]
    distance = math.sqrt(2) * float(norm.ppf(scenario.auroc))
    scores = effect + rng.normal(scale=math.sqrt(0.5), size=len(patients)) + distance * positive
    return Simulated(positive, scores, patients)


def measure(simulations: int) -> dict[str, Any]:
    """Coverage in each scenario; `ci_coverage` is the one that lies farthest from 0.95."""
    rows = {}
    with ProcessPoolExecutor(available_cpus()) as pool:
        for scenario in SCENARIOS:
            found = np.array(list(pool.map(_study, repeat(scenario), range(simulations), chunksize=8)))
            patient, image, closed, gap = found.mean(axis=0)
            rows[scenario.name] = {
                "patient_bootstrap": round(float(patient), 4),
                "image_bootstrap": round(float(image), 4),
                "clustered_closed_form": round(float(closed), 4),
                "gap_called_real": round(float(gap), 4),
            }
    farthest = max((row["patient_bootstrap"] for row in rows.values()), key=lambda value: abs(value - 0.95))
    return {
        "ci_coverage": farthest,
        "ci_coverage_monte_carlo_error": round(math.sqrt(0.95 * 0.05 / simulations), 4),
        "ci_coverage_simulations": simulations,
        "ci_coverage_rounds": ROUNDS,
        "ci_coverage_by_scenario": rows,
    }


def _study(scenario: Scenario, seed: int) -> tuple[bool, bool, bool, bool]:
    """Whether each interval holds the truth, and whether a gap that is not there is called real."""
    data = simulate(scenario, seed)
    by_patient = _bootstrap(data, data.patients, seed)
    by_image = _bootstrap(data, np.arange(len(data.patients)), seed)
    closed = clustered_auroc(data.positive, data.scores, data.patients, scenario.patients)
    return (
        _holds(by_patient, scenario.auroc),
        _holds(by_image, scenario.auroc),
        _holds(auroc_interval(closed), scenario.auroc),
        _gap_is_called_real(data, scenario.patients, seed),
    )


def _bootstrap(data: Simulated, units: NDArray[np.int64], seed: int) -> tuple[float, float] | None:
    ranked, draws = RankedScores(data.positive, data.scores), PatientDraws(units, rounds=ROUNDS, seed=seed)
    rounds = np.concatenate([ranked.auroc_and_precision(block, draws.index)[0] for block in draws.blocks()])
    return rank_interval(float(ranked.auroc()[0]), rounds, rarer_cases(data.positive, draws.index))


def _holds(interval: tuple[float, float] | None, truth: float) -> bool:
    return interval is not None and interval[0] <= truth <= interval[1]


def _gap_is_called_real(data: Simulated, patients: int, seed: int) -> bool:
    """Groups are of images, as views are: a patient may be in both."""
    inside = np.random.default_rng(seed + 1_000_000).random(len(data.patients)) < 0.5
    sides = [
        clustered_auroc(data.positive[side], data.scores[side], data.patients[side], patients)
        for side in (inside, ~inside)
    ]
    gap = gap_between(*sides)
    return gap is not None and gap.p < 0.05
