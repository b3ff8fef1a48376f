"""Evaluation of a trained run: its validation and test images are scored, then measured, plotted and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import say
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.evaluation.calibration.prior_correction import Prior, applied_prior
from chest_xray.evaluation.calibration.priors import prior_of
from chest_xray.evaluation.files import write_evaluation
from chest_xray.evaluation.groups.shortcuts import measure_shortcuts
from chest_xray.evaluation.html_report.report import REPORT, write_report
from chest_xray.evaluation.localise.issues import box_issues
from chest_xray.evaluation.localise.maps import network_maps
from chest_xray.evaluation.localise.measure import localise
from chest_xray.evaluation.measure import Choices, evaluate_predictions
from chest_xray.evaluation.plots import PLOTS
from chest_xray.evaluation.results import Bootstrap, Evaluation, read_evaluation
from chest_xray.evaluation.results.evaluation import ListSource
from chest_xray.evaluation.scored import Origin, ScoredImages, Scores
from chest_xray.files import sha256_of
from chest_xray.notices import PHANTOM
from chest_xray.training.run import RunFolder, TrainingRecord
from chest_xray.training.scoring import load_run_model, predict_logits

if TYPE_CHECKING:
    from chest_xray.settings import Settings

# All of NIH's test_list.txt: no part of it, and no other list, is called the official one.
OFFICIAL_TEST_IMAGES = 25_596
OFFICIAL_TEST_PATIENTS = 2_797


def evaluate(run: Path, data: Path, settings: Settings, choices: Choices | None = None) -> Evaluation:
    """Score validation and test images in fp32 and write RUN/evaluation; evaluation.json is written last.

    Args:
        run: a finished training run.
        data: the shards it was trained on.
        settings: for the run's record in MLflow.
        choices: aim, prior, rounds and seed.

    Raises:
        TrainingError: the run is not finished, the data are others, or there is no test image.
        SettingsError: `prior` names what is no finding of the data.
    """
    folder, shards = RunFolder(run), Shards.open(data)
    record = folder.record()
    record.check_shards(shards, run, "Evaluate with the shards of the training, which hold its validation patients.")
    chosen = choices or Choices()
    prior = prior_of(chosen.prior, shards.findings)
    with folder.alone():
        done = _evaluated(folder, chosen, prior)
        if done is not None:
            say(f"{folder.evaluation} holds this evaluation already.")
        result = done or _evaluate(folder, record, shards, chosen)
        if done is None or not (folder.evaluation / REPORT).is_file():
            write_report(folder.evaluation)
        _track(folder, record, result, settings)
    return result


def _evaluate(folder: RunFolder, record: TrainingRecord, shards: Shards, choices: Choices) -> Evaluation:
    rows = {split: shards.rows(split) for split in ("val", "test")}
    if len(rows["test"]) == 0:
        raise TrainingError(f"{shards.root} holds no test image. Prepare a folder with a test_list.txt.")
    model = load_run_model(folder, record)
    device = next(model.parameters()).device
    titles = {"val": "Scoring validation images", "test": "Scoring test images"}
    logits = {split: predict_logits(model, shards, rows[split], device, title=titles[split]) for split in rows}
    scores = Scores(
        origin=_origin(folder, record, shards),
        validation=scored_images(shards, rows["val"], logits["val"]),
        test=scored_images(shards, rows["test"], logits["test"]),
    )
    localised = localise(
        shards, lambda films: network_maps(model, shards, films, device), rounds=choices.rounds, seed=choices.seed
    )
    measured = evaluate_predictions(
        scores,
        choices,
        shortcuts=measure_shortcuts(shards, scores.test, rows["test"]),
        localisation=localised.report if localised else None,
        issues=box_issues(shards),
    )
    write_evaluation(folder.evaluation, measured, scores, panel=localised.panel if localised else None)
    return measured.evaluation


def scored_images(shards: Shards, rows: NDArray[np.int64], logits: NDArray[np.float32]) -> ScoredImages:
    """The images at `rows` (n,) of the shards with their logits (n, F)."""
    trained_on = shards.patients[shards.rows("train")]
    return ScoredImages(
        findings=shards.findings,
        images=np.asarray(shards.images)[rows],
        patients=shards.patients[rows],
        ages=shards.ages[rows],
        sexes=np.asarray(shards.sexes)[rows],
        views=np.asarray(shards.views)[rows],
        seen_in_training=np.isin(shards.patients[rows], trained_on),
        labels=shards.labels[rows].astype(np.float32),
        logits=logits,
    )


def _origin(folder: RunFolder, record: TrainingRecord, shards: Shards) -> Origin:
    return Origin(
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        split_source=list_source(shards),
        weights_sha256=sha256_of(folder.weights),
        positive_weights=tuple(record.positive_weights),
    )


def list_source(shards: Shards) -> ListSource:
    """Where the split comes from: `official` only when all of NIH's test list is there."""
    if shards.dataset["split_source"] != "lists":
        return "patient hash"
    rows = shards.rows("test")
    whole = len(rows) == OFFICIAL_TEST_IMAGES and len(np.unique(shards.patients[rows])) == OFFICIAL_TEST_PATIENTS
    return "official" if whole and shards.label_version != PHANTOM else "lists"


def _evaluated(folder: RunFolder, choices: Choices, prior: Prior) -> Evaluation | None:
    """The evaluation that stands there, when it is of these weights and made in the same way."""
    try:
        evaluation, profiles = read_evaluation(folder.evaluation)
    except TrainingError:
        return None
    same = evaluation.weights_sha256 == profiles.weights_sha256 == sha256_of(folder.weights)
    same = same and evaluation.bootstrap == Bootstrap(rounds=choices.rounds, seed=choices.seed)
    same = same and evaluation.aim == choices.aim and evaluation.prior is not None
    if not same or evaluation.prior is None:
        return None
    return evaluation if (evaluation.prior.applied, evaluation.prior.given) == applied_prior(prior) else None


def _track(folder: RunFolder, record: TrainingRecord, evaluation: Evaluation, settings: Settings) -> None:
    from chest_xray.training.tracking import Tracker

    if record.mlflow_run is None:
        return
    tracker = Tracker.resume(settings, record.mlflow_run)
    if tracker is None:
        say(f"This MLflow does not know the run {record.mlflow_run}: the evaluation is kept in files only.")
        return
    tracker.metrics(_tracked(evaluation), step=record.best_epoch)
    for name in ("evaluation.json", *PLOTS, REPORT):
        if (folder.evaluation / name).is_file():
            tracker.artifact(folder.evaluation / name)
    tracker.end("FINISHED")


def _tracked(evaluation: Evaluation) -> dict[str, float]:
    """What MLflow keeps as numbers."""
    values = {f"test_auroc_{name}": m.auroc for name, m in evaluation.findings.items() if m.auroc is not None}
    mean = evaluation.mean
    if mean.auroc is not None:
        values["test_auroc"] = mean.auroc
    if mean.auprc is not None:
        values["test_auprc"] = mean.auprc
    if mean.calibration is not None:
        values |= {"test_ece": mean.calibration.ece_after, "test_brier": mean.calibration.brier_after}
        values["test_ece_uncalibrated"] = mean.calibration.ece_before
    return values
