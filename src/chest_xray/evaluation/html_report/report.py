"""RUN/evaluation/report.html, from what `cxr evaluate` left in that folder."""

from __future__ import annotations

from pathlib import Path

from chest_xray.bundle import Interval
from chest_xray.evaluation.html_report.curves import TestScores
from chest_xray.evaluation.html_report.material import Material, words
from chest_xray.evaluation.html_report.page import Number, templates
from chest_xray.evaluation.html_report.sections import SECTIONS
from chest_xray.evaluation.results import Evaluation, read_evaluation
from chest_xray.files import write_atomically
from chest_xray.notices import PHANTOM, describe_source

REPORT = "report.html"


def write_report(directory: Path) -> Path:
    """Write report.html beside evaluation.json, profiles.json and predictions.parquet; returns its path.

    Raises:
        TrainingError: the evaluation is not there or cannot be read.
    """
    evaluation, profiles = read_evaluation(directory)
    panel = directory / "localisation.png"
    shown = evaluation.localisation is not None and evaluation.label_version == PHANTOM and panel.is_file()
    material = Material(
        evaluation=evaluation,
        profiles=profiles,
        scores=TestScores.read(directory / "predictions.parquet", list(evaluation.findings)),
        panel=panel.read_bytes() if shown else None,
    )
    path = directory / REPORT
    write_atomically(path, render(material).encode())
    return path


def render(material: Material) -> str:
    """The report as HTML."""
    evaluation = material.evaluation
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            title=f"Evaluation on {evaluation.images:,} {describe_source(evaluation.label_version)}",
            evaluation=evaluation,
            profiles=material.profiles,
            warnings=warnings(evaluation),
            numbers=_numbers(evaluation),
            sections=[section(material) for section in SECTIONS],
        )
    )


def warnings(evaluation: Evaluation) -> list[str]:
    """What a reader must know before the figures, the gravest first."""
    found = []
    if evaluation.label_version == PHANTOM:
        found.append("These are phantom films, drawn by a program. No figure here says anything about patients.")
    return [*found, *(words(line) for line in evaluation.warnings), *_localisation_warnings(evaluation)]


def _localisation_warnings(evaluation: Evaluation) -> list[str]:
    report = evaluation.localisation
    if report is None:
        return []
    found = []
    behind = [
        name
        for name, row in report.findings.items()
        if row.pointing_game.gain_ci95 is not None and row.pointing_game.gain_ci95[1] < 0
    ]
    if behind:
        found.append(f"Heat maps point worse than the finding's average place: {_names(behind)}.")
    return found


def _numbers(evaluation: Evaluation) -> list[Number]:
    mean = evaluation.mean
    numbers = [
        Number("mean AUROC", _short(mean.auroc), _interval(mean.ci95)),
        Number("mean AUPRC", _short(mean.auprc), _interval(mean.auprc_ci95)),
        Number("test films", f"{evaluation.images:,}", f"{evaluation.patients:,} patients"),
    ]
    if evaluation.localisation is not None:
        overall = evaluation.localisation.overall
        beside = overall.pointing_game
        place = "" if beside.average_place is None else f", average place {beside.average_place:.2f}"
        numbers.append(Number("pointing game", f"{beside.value:.2f}", f"{overall.maps:,} maps{place}"))
    return numbers


def _short(found: float | None) -> str:
    return "n/a" if found is None else f"{found:.3f}"


def _interval(found: Interval | None) -> str:
    return "" if found is None else f"{found[0]:.3f} to {found[1]:.3f}"


def _names(names: list[str]) -> str:
    return ", ".join(words(name) for name in names)
