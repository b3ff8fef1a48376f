"""Evaluation of a trained run: metrics on the test images, calibration and operating points from validation images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.nn.utils import convert_conv2d_weight_memory_format

from chest_xray.bundle import FindingProfile
from chest_xray.console import say
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.files import sha256_of, write_atomically
from chest_xray.findings import FINDINGS, describe_source
from chest_xray.training.calibrate import FEWEST_CASES, apply_calibration, calibrate, youden_point
from chest_xray.training.evaluation_report import REPORT, write_report
from chest_xray.training.localise.maps import network_maps
from chest_xray.training.localise.measure import localise
from chest_xray.training.metrics import Bootstrapped, Floats, interval95, patient_bootstrap
from chest_xray.training.model import ChestXrayNet, load_weights
from chest_xray.training.plots import RocCurve, plot_roc
from chest_xray.training.report import Bootstrap, Evaluation, FindingMetrics, MeanMetrics, Profiles, read_evaluation
from chest_xray.training.run import RunFolder, TrainingRecord
from chest_xray.training.scoring import predict_logits

if TYPE_CHECKING:
    from chest_xray.settings import Settings

ROUNDS = 2000


def evaluate(run: Path, data: Path, settings: Settings, *, rounds: int = ROUNDS, seed: int = 0) -> Evaluation:
    """Score validation and test images in fp32 and write RUN/evaluation; evaluation.json is written last.

    Args:
        run: a finished training run.
        data: the shards it was trained on.
        settings: for the run's record in MLflow.
        rounds: bootstrap rounds over patients.
        seed: of the bootstrap.

    Raises:
        TrainingError: the run is not finished, the data are others, or there is no test image.
    """
    folder, shards = RunFolder(run), Shards.open(data)
    record = folder.record()
    if shards.data_hash != record.data_hash:
        raise TrainingError(
            f"{run} was trained on data {record.data_hash[:12]}, {data} is {shards.data_hash[:12]}. "
            "Evaluate with the shards of the training, which hold its validation patients."
        )
    with folder.alone():
        done = _evaluated(folder, rounds, seed)
        if done is not None:
            say(f"{folder.evaluation} holds this evaluation already.")
        result = done or _evaluate(folder, record, shards, rounds, seed)
        if done is None or not (folder.evaluation / REPORT).is_file():
            write_report(folder.evaluation)
        _track(folder, record, result, settings)
    return result


def _evaluate(folder: RunFolder, record: TrainingRecord, shards: Shards, rounds: int, seed: int) -> Evaluation:
    rows = {split: shards.rows(split) for split in ("val", "test")}
    if len(rows["test"]) == 0:
        raise TrainingError(f"{shards.root} holds no test image. Prepare a folder with a test_list.txt.")
    model = load_run_model(folder, record)
    device = next(model.parameters()).device
    titles = {"val": "Scoring validation images", "test": "Scoring test images"}
    logits = {split: predict_logits(model, shards, rows[split], device, title=titles[split]) for split in rows}

    weights = sha256_of(folder.weights)
    profiles = fit_profiles(shards.labels[rows["val"]], logits["val"], record.positive_weights, weights)
    labels, patients = shards.labels[rows["test"]], shards.patients[rows["test"]]
    sampled = patient_bootstrap(labels, logits["test"], patients, rounds=rounds, seed=seed)
    localised = localise(
        shards, lambda films: network_maps(model, shards, films, device), rounds=rounds, seed=seed
    )  # fmt: skip
    evaluation = Evaluation(
        images=len(rows["test"]),
        patients=len(np.unique(patients)),
        label_version=shards.label_version,
        data_hash=shards.data_hash,
        weights_sha256=weights,
        bootstrap=Bootstrap(rounds=rounds, seed=seed),
        mean=_mean_metrics(sampled),
        findings={name: _finding_metrics(sampled, k, labels[:, k]) for k, name in enumerate(FINDINGS)},
        localisation=localised.report if localised else None,
    )
    if localised and localised.panel:
        write_atomically(folder.evaluation / "localisation.png", localised.panel)
    write_atomically(folder.evaluation / "predictions.parquet", _predictions(shards, rows, logits, profiles))
    write_atomically(folder.evaluation / "roc.png", _roc_plot(evaluation, labels, logits["test"]))
    write_atomically(folder.evaluation / "profiles.json", profiles.model_dump_json(indent=2).encode())
    write_atomically(folder.evaluation / "evaluation.json", evaluation.model_dump_json(indent=2).encode())
    return evaluation


def _evaluated(folder: RunFolder, rounds: int, seed: int) -> Evaluation | None:
    """The evaluation that stands there, when it is of these weights and made in the same way."""
    try:
        evaluation, profiles = read_evaluation(folder.evaluation)
    except TrainingError:
        return None
    same = evaluation.weights_sha256 == profiles.weights_sha256 == sha256_of(folder.weights)
    return evaluation if same and evaluation.bootstrap == Bootstrap(rounds=rounds, seed=seed) else None


def load_run_model(folder: RunFolder, record: TrainingRecord) -> ChestXrayNet:
    """The run's network in evaluation mode, on the accelerator when there is one."""
    model = ChestXrayNet(record.normalisation.mean, record.normalisation.std)
    load_weights(model, folder.weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return convert_conv2d_weight_memory_format(model.to(device), torch.channels_last).eval()


def fit_profiles(
    labels: NDArray[np.uint8], logits: NDArray[np.float32], positive_weights: list[float], weights: str
) -> Profiles:
    """Calibrate each finding and choose its operating point on validation labels and logits (N, 14)."""
    findings = {}
    for k, name in enumerate(FINDINGS):
        calibration = calibrate(labels[:, k], logits[:, k], positive_weights[k])
        # Where Platt's fit was refused, so is a threshold: its scores do not rank.
        fitted = calibration.method == "platt"
        point = youden_point(labels[:, k], apply_calibration(calibration, logits[:, k])) if fitted else None
        findings[name] = FindingProfile(calibration=calibration, operating_point=point)
    return Profiles(images=len(labels), weights_sha256=weights, findings=findings)


def _finding_metrics(sampled: Bootstrapped, k: int, labels: NDArray[np.uint8]) -> FindingMetrics:
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return FindingMetrics(
        positives=positives,
        negatives=negatives,
        auroc=_known(sampled.auroc[k]),
        ci95=interval95(sampled.auroc_rounds[:, k]),
        auprc=_known(sampled.auprc[k]),
        auprc_ci95=interval95(sampled.auprc_rounds[:, k]),
        few_cases=min(positives, negatives) < FEWEST_CASES,
    )


def _mean_metrics(sampled: Bootstrapped) -> MeanMetrics:
    known = np.isfinite(sampled.auroc)
    return MeanMetrics(
        auroc=_known(_mean(sampled.auroc[known][None])[0]),
        ci95=interval95(_mean(sampled.auroc_rounds[:, known])),
        auprc=_known(_mean(sampled.auprc[known][None])[0]),
        auprc_ci95=interval95(_mean(sampled.auprc_rounds[:, known])),
        findings=[name for name, both in zip(FINDINGS, known, strict=True) if both],
        left_out=[name for name, both in zip(FINDINGS, known, strict=True) if not both],
    )


def _mean(rounds: Floats) -> Floats:
    """Mean over findings (R, F) -> (R,); a finding that lost a class in a round is left out of that round's mean."""
    known = np.isfinite(rounds)
    means: Floats = np.where(known, rounds, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), means, np.nan)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _predictions(
    shards: Shards,
    rows: dict[str, NDArray[np.int64]],
    logits: dict[str, NDArray[np.float32]],
    profiles: Profiles,
) -> bytes:
    """Parquet with one line an image: split, image, patient, then label, logit and probability of each finding."""
    both = np.concatenate([rows["val"], rows["test"]])
    scores = np.concatenate([logits["val"], logits["test"]])
    columns: dict[str, object] = {
        "split": [shards.splits[row] for row in both],
        "image": [shards.images[row] for row in both],
        "patient": shards.patients[both],
    }
    for k, name in enumerate(FINDINGS):
        columns[f"{name}.label"] = shards.labels[both, k]
        columns[f"{name}.logit"] = scores[:, k]
        columns[f"{name}.probability"] = apply_calibration(profiles.findings[name].calibration, scores[:, k])
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _roc_plot(evaluation: Evaluation, labels: NDArray[np.uint8], logits: NDArray[np.float32]) -> bytes:
    from sklearn.metrics import roc_curve

    curves: dict[str, RocCurve | None] = {}
    for k, name in enumerate(FINDINGS):
        metrics = evaluation.findings[name]
        if metrics.auroc is None:
            curves[name] = None
            continue
        fpr, tpr, _ = roc_curve(labels[:, k], logits[:, k])
        curves[name] = RocCurve(fpr, tpr, metrics.auroc, metrics.ci95, metrics.positives)
    mean = "n/a" if evaluation.mean.auroc is None else f"{evaluation.mean.auroc:.3f}"
    return plot_roc(
        curves, f"Test list, {evaluation.images} {describe_source(evaluation.label_version)}: mean AUROC {mean}"
    )


def _track(folder: RunFolder, record: TrainingRecord, evaluation: Evaluation, settings: Settings) -> None:
    from chest_xray.training.tracking import Tracker

    if record.mlflow_run is None:
        return
    tracker = Tracker.resume(settings, record.mlflow_run)
    if tracker is None:
        say(f"This MLflow does not know the run {record.mlflow_run}: the evaluation is kept in files only.")
        return
    values = {f"test_auroc_{name}": m.auroc for name, m in evaluation.findings.items() if m.auroc is not None}
    if evaluation.mean.auroc is not None:
        values["test_auroc"] = evaluation.mean.auroc
    tracker.metrics(values, step=record.best_epoch)
    for name in ("evaluation.json", "roc.png", REPORT):
        tracker.artifact(folder.evaluation / name)
    tracker.end("FINISHED")
