"""From scores to evaluation.json, with nothing else: no network, no images.

The same function serves `cxr evaluate --run`, which has just scored the images, `cxr evaluate --predictions`, which
reads them from a file, and the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chest_xray.errors import TrainingError
from chest_xray.evaluation.calibration.calibrate import FEWEST_CASES
from chest_xray.evaluation.calibration.operating_points import YOUDEN
from chest_xray.evaluation.calibration.prior_correction import measure_prior_correction, priors_for
from chest_xray.evaluation.calibration.priors import VALIDATION, prior_of
from chest_xray.evaluation.calibration.profiles import FittedProfiles, fit_profiles
from chest_xray.evaluation.groups.shift import measure_shift
from chest_xray.evaluation.groups.subgroups import measure_subgroups
from chest_xray.evaluation.performance import finding_metrics
from chest_xray.evaluation.results import (
    Bootstrap,
    Evaluation,
    FindingMetrics,
    Issue,
    LocalisationReport,
    Profiles,
    Shortcuts,
)
from chest_xray.evaluation.scored import ScoredImages, Scores
from chest_xray.statistics import ROUNDS
from chest_xray.statistics.metrics import PatientDraws


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chooses of an evaluation.

    Attributes:
        aim: of the operating points: youden, f1 or sensitivity=S.
        prior: `validation` moves nothing, `test` moves calibrations to the test list's prevalence, a number to that,
            numbers by finding to those.
        rounds: of the bootstrap over patients.
        seed: of the bootstrap.
    """

    aim: str = YOUDEN
    prior: str | float | Mapping[str, float] = VALIDATION
    rounds: int = ROUNDS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """evaluation.json and profiles.json."""

    evaluation: Evaluation
    profiles: Profiles


def evaluate_predictions(
    scores: Scores,
    choices: Choices | None = None,
    *,
    shortcuts: Shortcuts | None = None,
    localisation: LocalisationReport | None = None,
    issues: Sequence[Issue] = (),
) -> Measured:
    """Calibrate and choose thresholds on the validation images, then measure on the test images.

    Args:
        scores: of validation and test images.
        choices: of a person.
        shortcuts: needs the images, and is passed through.
        localisation: needs the images, and is passed through.
        issues: what the caller met in the data; they come after those that are met here.

    Raises:
        TrainingError: there is no test image, or every one is of a patient of the other lists.
        SettingsError: `prior` names what is no finding of the scores.
    """
    chosen = choices or Choices()
    test, known = without_known_patients(scores)
    validation = scores.validation
    prior = prior_of(chosen.prior, test.findings)
    fitted = _fit(scores, chosen, priors_for(prior, test))
    draws = PatientDraws(test.patients, rounds=chosen.rounds, seed=chosen.seed)
    profiles = fitted.profiles.findings
    findings, mean = finding_metrics(test, profiles, fitted.choices, draws)
    evaluation = Evaluation(
        split_source=scores.origin.split_source,
        images=len(test),
        patients=draws.count,
        validation_images=len(validation),
        label_version=scores.origin.label_version,
        data_hash=scores.origin.data_hash,
        weights_sha256=scores.origin.weights_sha256,
        aim=chosen.aim,
        bootstrap=Bootstrap(rounds=chosen.rounds, seed=chosen.seed),
        mean=mean,
        findings=findings,
        issues=[*known, *_issues(test, findings, fitted, shortcuts), *issues],
        shift=measure_shift(validation, test, rounds=chosen.rounds, seed=chosen.seed),
        prior=measure_prior_correction(validation, test, fitted.choices, draws, prior),
        subgroups=measure_subgroups(test, profiles, draws),
        shortcuts=shortcuts,
        localisation=localisation,
    )
    return Measured(evaluation, fitted.profiles)


def _fit(scores: Scores, chosen: Choices, priors: dict[str, float]) -> FittedProfiles:
    """Calibrations and operating points, which see the validation images alone."""
    return fit_profiles(
        scores.validation, scores.origin, aim=chosen.aim, priors=priors, rounds=chosen.rounds, seed=chosen.seed
    )


def without_known_patients(scores: Scores) -> tuple[ScoredImages, list[Issue]]:
    """The test images whose patients are in no other list; the others are reported and not measured.

    Raises:
        TrainingError: none is left.
    """
    test = scores.test
    known = test.seen_in_training | np.isin(test.patients, scores.validation.patients)
    if known.all():
        raise TrainingError("No test image is left to measure. Prepare a folder with a test_list.txt.")
    if not known.any():
        return test, []
    patients = len(np.unique(test.patients[known]))
    reason = (
        f"{patients} patients of the test list are in the training list too; their {int(known.sum())} test images are "
        "not measured."
    )
    return test.of(~known), [Issue(kind="patient_on_both_sides", finding=None, reason=reason)]


def _issues(
    test: ScoredImages, findings: dict[str, FindingMetrics], fitted: FittedProfiles, shortcuts: Shortcuts | None
) -> list[Issue]:
    return [*_finding_issues(test, findings), *_validation_issues(fitted), *_not_checked(shortcuts)]


def _finding_issues(test: ScoredImages, findings: dict[str, FindingMetrics]) -> list[Issue]:
    issues = []
    for k, name in enumerate(test.findings):
        unlabelled, unscored = (int(np.count_nonzero(~np.isfinite(part[:, k]))) for part in (test.labels, test.logits))
        row = findings[name]
        fewer = min(row.positives, row.negatives)
        if unscored:
            reason = f"{unscored} of {len(test)} test images have a score that is not finite; nothing is measured."
            issues.append(Issue(kind="not_finite", finding=name, reason=reason))
        if unlabelled:
            reason = f"{unlabelled} of {len(test)} test images have no label; nothing is measured."
            issues.append(Issue(kind="labels_missing", finding=name, reason=reason))
        if fewer == 0:
            which = "with" if row.positives == 0 else "without"
            reason = f"no test image {which} it; it has no AUROC and is not in the mean."
            issues.append(Issue(kind="one_class_only", finding=name, reason=reason))
        elif fewer < FEWEST_CASES:
            which = "with" if row.positives < row.negatives else "without"
            reason = f"{fewer} test images {which} it, fewer than {FEWEST_CASES}; it is not in the mean."
            issues.append(Issue(kind="few_cases", finding=name, reason=reason))
    return issues


def _validation_issues(fitted: FittedProfiles) -> list[Issue]:
    issues = []
    for name, profile in fitted.profiles.findings.items():
        if profile.calibration.method == "loss_weight":
            reason = (
                f"validation images have fewer than {FEWEST_CASES} with or without it, a label or score that is "
                "missing, or scores that do not rank; only the loss's weight is undone, and it is never flagged."
            )
            issues.append(Issue(kind="not_calibrated", finding=name, reason=reason))
        elif profile.operating_point is None:
            reason = "no threshold does better than chance on validation images; it is never flagged."
            issues.append(Issue(kind="never_flagged", finding=name, reason=reason))
    return issues


def _not_checked(shortcuts: Shortcuts | None) -> list[Issue]:
    if shortcuts is not None:
        return []
    return [Issue(kind="not_checked", finding=None, reason="Shortcuts were not audited: that needs training images.")]
