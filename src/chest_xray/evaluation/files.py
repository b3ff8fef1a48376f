"""The files of an evaluation, and the same files again from predictions.parquet alone."""

from __future__ import annotations

from pathlib import Path

from chest_xray.evaluation.html_report.report import write_report
from chest_xray.evaluation.measure import Choices, Measured, evaluate_predictions, without_known_patients
from chest_xray.evaluation.plots import plot_evaluation
from chest_xray.evaluation.results import Evaluation
from chest_xray.evaluation.scored import PREDICTIONS, Scores
from chest_xray.files import write_atomically


def evaluate_file(predictions: Path, output: Path | None, choices: Choices | None = None) -> Evaluation:
    """Measure again what predictions.parquet holds, with no network and no images.

    Args:
        predictions: what `evaluate` wrote.
        output: folder for the same files as `evaluate` writes, but for what needs the images; None writes nothing.
        choices: aim, prior, rounds and seed.

    Raises:
        TrainingError: the file cannot be read or is not complete, or has no test image.
    """
    scores = Scores.read(predictions)
    measured = evaluate_predictions(scores, choices)
    if output is not None:
        write_evaluation(output, measured, scores)
        write_report(output)
    return measured.evaluation


def write_evaluation(directory: Path, measured: Measured, scores: Scores, panel: bytes | None = None) -> None:
    """Write plots, predictions.parquet, profiles.json and, last, evaluation.json; `panel` is of the localisation."""
    profiles = measured.profiles
    calibrations = {name: profile.calibration for name, profile in profiles.findings.items()}
    files = plot_evaluation(measured.evaluation, profiles, without_known_patients(scores)[0])
    if panel is not None:
        files["localisation.png"] = panel
    files[PREDICTIONS] = scores.to_parquet(calibrations)
    files["profiles.json"] = profiles.model_dump_json(indent=2).encode()
    files["evaluation.json"] = measured.evaluation.model_dump_json(indent=2).encode()
    for name, content in files.items():
        write_atomically(directory / name, content)
