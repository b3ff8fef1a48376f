"""Findings on the test images: ranking, flags and probabilities, with intervals from one set of draws over patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import FindingProfile, OperatingPoint
from chest_xray.evaluation.calibration.calibrate import FEWEST_CASES, Choice, apply_calibration
from chest_xray.evaluation.results import (
    AtOperatingPoint,
    CalibrationErrors,
    Confusion,
    Estimate,
    FindingCalibration,
    FindingMetrics,
    MeanCalibration,
    MeanMetrics,
)
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.evaluation.shares import ratio_rounds, share_estimate, share_interval
from chest_xray.statistics import Floats
from chest_xray.statistics.calibration_error import (
    BINS,
    brier_score,
    calibration_columns,
    chance_calibration_error,
    error_interval,
    expected_calibration_error,
    rounds_of,
)
from chest_xray.statistics.clustered import auroc_interval, clustered_auroc
from chest_xray.statistics.intervals import effective_cases
from chest_xray.statistics.metrics import Bootstrapped, PatientDraws, bootstrap_ranks, interval95, rank_interval

_ERRORS: Final = 2 + BINS


@dataclass(frozen=True, slots=True)
class Scored:
    """One finding's test images: labels, logits, probabilities before and after calibration, and flags, all (N,)."""

    positive: NDArray[np.bool_]
    logits: Floats
    before: Floats
    after: Floats
    flagged: NDArray[np.bool_] | None

    def columns(self) -> Floats:
        """What is summed over the images of each round: 4 counts, then the errors before and after."""
        flagged = np.zeros_like(self.positive) if self.flagged is None else self.flagged
        counts = [
            flagged & self.positive,
            flagged & ~self.positive,
            ~flagged & self.positive,
            ~flagged & ~self.positive,
        ]
        errors = [calibration_columns(self.positive, probability) for probability in (self.before, self.after)]
        return np.concatenate([np.column_stack(counts).astype(np.float64), *errors], axis=1)


def measurable(test: ScoredImages) -> list[int]:
    """Findings of which every label is there and every score is finite."""
    whole = np.isfinite(test.labels).all(axis=0) & np.isfinite(test.logits).all(axis=0)
    return [int(k) for k in np.flatnonzero(whole)] if len(test) else []


def scored_finding(test: ScoredImages, k: int, profile: FindingProfile) -> Scored:
    """A finding's test images under its profile."""
    logits = test.logits[:, k].astype(np.float64)
    after = apply_calibration(profile.calibration, logits)
    point = profile.operating_point
    return Scored(
        positive=test.labels[:, k] == 1,
        logits=logits,
        before=np.exp(-np.logaddexp(0, -logits)),
        after=after,
        flagged=None if point is None else after >= point.threshold,
    )


def finding_metrics(
    test: ScoredImages, profiles: Mapping[str, FindingProfile], choices: Mapping[str, Choice], draws: PatientDraws
) -> tuple[dict[str, FindingMetrics], MeanMetrics]:
    """Every finding, and the mean over those with enough cases."""
    places = measurable(test)
    scored = {k: scored_finding(test, k, profiles[test.findings[k]]) for k in places}
    ranks = bootstrap_ranks(test.labels[:, places], test.logits[:, places], draws)
    sums = draws.sums(np.concatenate([one.columns() for one in scored.values()], axis=1)) if places else None
    findings = {}
    for k, name in enumerate(test.findings):
        if k not in scored or sums is None:
            findings[name] = _not_measured(test.labels[:, k])
            continue
        place, width = places.index(k), 4 + 2 * _ERRORS
        rounds = sums[:, place * width : (place + 1) * width]
        findings[name] = _finding(scored[k], ranks, place, rounds, draws, profiles[name], choices[name])
    cases = {test.findings[k]: rarer_cases(one.positive, draws.index) for k, one in scored.items()}
    return findings, _mean(findings, places, ranks, cases)


def _not_measured(labels: NDArray[np.float32]) -> FindingMetrics:
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    return FindingMetrics(
        positives=positives,
        negatives=negatives,
        prevalence=positives / max(positives + negatives, 1),
        auroc=None,
        ci95=None,
        auroc_delong_ci95=None,
        auprc=None,
        auprc_ci95=None,
        few_cases=min(positives, negatives) < FEWEST_CASES,
    )


def _finding(
    scored: Scored,
    ranks: Bootstrapped,
    place: int,
    sums: Floats,
    draws: PatientDraws,
    profile: FindingProfile,
    choice: Choice,
) -> FindingMetrics:
    positives = int(scored.positive.sum())
    negatives = len(scored.positive) - positives
    calibration, cases = profile.calibration, rarer_cases(scored.positive, draws.index)
    return FindingMetrics(
        positives=positives,
        negatives=negatives,
        prevalence=positives / len(scored.positive),
        auroc=_known(ranks.auroc[place]),
        ci95=rank_interval(ranks.auroc[place], ranks.auroc_rounds[:, place], cases),
        auroc_delong_ci95=_delong(scored, draws) if positives and negatives else None,
        auprc=_known(ranks.auprc[place]),
        auprc_ci95=rank_interval(ranks.auprc[place], ranks.auprc_rounds[:, place], cases),
        few_cases=min(positives, negatives) < FEWEST_CASES,
        at_operating_point=_at_point(scored, profile.operating_point, sums[:, :4], draws)
        if positives and negatives
        else None,
        calibration=FindingCalibration(
            method=calibration.method,
            slope=calibration.slope,
            intercept=calibration.intercept,
            cross_validated_brier=dict(choice.cross_validated_brier),
            before=calibration_errors(scored.positive, scored.before, sums[:, 4 : 4 + _ERRORS]),
            after=calibration_errors(scored.positive, scored.after, sums[:, 4 + _ERRORS :]),
        ),
    )


def rarer_cases(positive: NDArray[np.bool_], patients: NDArray[np.intp]) -> float:
    """Effective number of patients with the rarer class among (N,) images."""
    return min(effective_cases(patients[positive]), effective_cases(patients[~positive]))


def _delong(scored: Scored, draws: PatientDraws) -> tuple[float, float] | None:
    return auroc_interval(clustered_auroc(scored.positive, scored.logits, draws.index, draws.count))


def _at_point(
    scored: Scored, point: OperatingPoint | None, sums: Floats, draws: PatientDraws
) -> AtOperatingPoint | None:
    if point is None or scored.flagged is None:
        return None
    positive, flagged, patients = scored.positive, scored.flagged, draws.index
    hits, alarms, misses, rejections = sums.T
    every = np.ones_like(positive)
    shares = {
        "sensitivity": share_estimate(flagged, positive, ratio_rounds(hits, hits + misses), patients),
        "specificity": share_estimate(~flagged, ~positive, ratio_rounds(rejections, rejections + alarms), patients),
        "ppv": share_estimate(positive, flagged, ratio_rounds(hits, hits + alarms), patients),
        "npv": share_estimate(~positive, ~flagged, ratio_rounds(rejections, rejections + misses), patients),
        "accuracy": share_estimate(flagged == positive, every, (hits + rejections) / sums.sum(axis=1), patients),
    }
    counts = [int(np.count_nonzero(cell)) for cell in (flagged & positive, flagged & ~positive, ~flagged & positive)]
    true_positives, false_positives, false_negatives = counts
    f1 = 2 * true_positives / (2 * true_positives + false_positives + false_negatives)
    f1_rounds = ratio_rounds(2 * hits, 2 * hits + alarms + misses)
    return AtOperatingPoint.model_validate(
        shares
        | {
            "threshold": point.threshold,
            "aim": point.aim,
            "confusion": Confusion(
                true_positives=true_positives,
                false_positives=false_positives,
                false_negatives=false_negatives,
                true_negatives=len(positive) - sum(counts),
            ),
            "f1": Estimate(value=f1, ci95=share_interval(f1, f1_rounds, len(np.unique(patients[positive])))),
        }
    )


def calibration_errors(positive: NDArray[np.bool_], probability: Floats, sums: Floats) -> CalibrationErrors:
    """Brier score and calibration error of (N,) probabilities; `sums` (R, 2 + BINS) are of `calibration_columns`."""
    brier_rounds, ece_rounds = rounds_of(sums)
    ece = expected_calibration_error(positive, probability)
    return CalibrationErrors(
        brier=Estimate(value=brier_score(positive, probability), ci95=interval95(brier_rounds)),
        ece=Estimate(value=ece, ci95=error_interval(ece, ece_rounds)),
        ece_by_chance=chance_calibration_error(probability),
        mean_probability=float(probability.mean()),
    )


def _mean(
    findings: Mapping[str, FindingMetrics], places: list[int], ranks: Bootstrapped, cases: Mapping[str, float]
) -> MeanMetrics:
    kept = [name for name in findings if findings[name].auroc is not None and not findings[name].few_cases]
    names = list(findings)
    columns = [places.index(names.index(name)) for name in kept]
    auroc, auprc = (float(values[columns].mean()) if kept else None for values in (ranks.auroc, ranks.auprc))
    rounds = [mean_of_rounds(values[:, columns]) for values in (ranks.auroc_rounds, ranks.auprc_rounds)]
    mean_cases = float(np.mean([cases[name] for name in kept])) if kept else 0.0
    return MeanMetrics(
        auroc=auroc,
        ci95=None if auroc is None else rank_interval(auroc, rounds[0], mean_cases),
        auprc=auprc,
        auprc_ci95=None if auprc is None else rank_interval(auprc, rounds[1], mean_cases),
        findings=kept,
        left_out=[name for name in names if name not in kept],
        calibration=_mean_calibration([findings[name].calibration for name in kept]),
    )


def mean_of_rounds(rounds: Floats) -> Floats:
    """Mean over findings (R, F) -> (R,); a finding that lost a class in a round is left out of that round's mean."""
    known = np.isfinite(rounds)
    means: Floats = np.where(known, rounds, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), means, np.nan)


def _mean_calibration(calibrations: list[FindingCalibration | None]) -> MeanCalibration | None:
    known = [found for found in calibrations if found is not None]
    if not known:
        return None
    return MeanCalibration(
        ece_before=float(np.mean([found.before.ece.value for found in known])),
        ece_after=float(np.mean([found.after.ece.value for found in known])),
        brier_before=float(np.mean([found.before.brier.value for found in known])),
        brier_after=float(np.mean([found.after.brier.value for found in known])),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
