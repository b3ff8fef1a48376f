"""The sections of the report: what stands in their templates, from the evaluation."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import numpy as np

from chest_xray.bundle import OperatingPoint
from chest_xray.evaluation.html_report.charts import Forest, Row, UnitSquare
from chest_xray.evaluation.html_report.curves import precision_recall, reliability, roc, sigmoid
from chest_xray.evaluation.html_report.groups import shift, shortcuts, subgroups
from chest_xray.evaluation.html_report.material import Material, words
from chest_xray.evaluation.html_report.page import Figure, Section
from chest_xray.evaluation.localise.results import LocalisationFigure, LocalisedFinding
from chest_xray.evaluation.results import AtOperatingPoint, FindingCalibration
from chest_xray.evaluation.written import estimate, value


def performance(material: Material) -> Section:
    """AUROC as a forest plot, then all of it as a table."""
    evaluation = material.evaluation
    rows = [
        Row(words(name), row.auroc, row.ci95, value(row.auroc, row.ci95), css="second" if row.few_cases else "")
        for name, row in evaluation.findings.items()
    ]
    mean = evaluation.mean
    rows.append(Row(f"mean of {len(mean.findings)}", mean.auroc, mean.ci95, value(mean.auroc, mean.ci95)))
    lowest = min([0.5, *(row.interval[0] for row in rows if row.interval), *(row.value for row in rows if row.value)])
    plot = Forest("AUROC of each finding", rows, max(0.0, np.floor(lowest * 10) / 10), 1.0, guide=0.5)
    cells = [
        (
            words(name) + (" (few)" if row.few_cases else ""),
            f"{row.positives:,}",
            f"{row.negatives:,}",
            value(row.auroc, row.ci95),
            value(row.auprc, row.auprc_ci95),
            f"{row.positives / max(row.positives + row.negatives, 1):.3f}",
        )
        for name, row in evaluation.findings.items()
    ]
    cells.append(
        (f"mean of {len(mean.findings)}", "", "", value(mean.auroc, mean.ci95), value(mean.auprc, mean.auprc_ci95), "")
    )
    return Section("performance", "Performance", {"plot": plot, "rows": cells})


def rocs(material: Material) -> Section:
    """ROC curve of each finding with both classes."""
    figures = []
    for k, (name, row) in enumerate(material.evaluation.findings.items()):
        if row.auroc is None or row.auprc is None:
            figures.append(Figure(words(name), "one class only", UnitSquare(f"{name}: one class only")))
            continue
        curve = roc(material.scores.labels[:, k], material.scores.logits[:, k])
        chart = UnitSquare(f"ROC curve of {name}", [curve], diagonal=True)
        figures.append(Figure(words(name), f"AUROC {row.auroc:.2f}, {row.positives:,} with", chart))
    return Section("roc", "ROC curves", {"figures": figures})


def precision_recalls(material: Material) -> Section:
    """Precision over recall of each finding with both classes."""
    figures = []
    for k, (name, row) in enumerate(material.evaluation.findings.items()):
        if row.auprc is None or row.auroc is None:
            figures.append(Figure(words(name), "one class only", UnitSquare(f"{name}: one class only")))
            continue
        labels = material.scores.labels[:, k]
        prevalence = float(labels.mean())
        curve = precision_recall(labels, material.scores.logits[:, k])
        chart = UnitSquare(f"Precision and recall of {name}", [curve], level=prevalence)
        figures.append(Figure(words(name), f"AUPRC {row.auprc:.2f}, prevalence {prevalence:.2f}", chart))
    return Section("pr", "Precision and recall", {"figures": figures})


def reliabilities(material: Material) -> Section:
    """Observed share over predicted probability, before and after calibration."""
    figures = []
    for k, name in enumerate(material.evaluation.findings):
        labels = material.scores.labels[:, k]
        before = reliability(labels, sigmoid(material.scores.logits[:, k]), css="second")
        after = reliability(labels, material.scores.probabilities[:, k])
        dots = [*before, *after]
        highest = max(max(dot.x, dot.whisker[1] if dot.whisker else dot.y) for dot in dots)
        most = next(most for most in (0.2, 0.5, 1.0) if highest <= most)
        chart = UnitSquare(f"Reliability of {name}", dots=dots, diagonal=True, most=most)
        method = material.profiles.findings[name].calibration.method.replace("_", " ")
        figures.append(Figure(words(name), method, chart))
    return Section("reliability", "Reliability", {"figures": figures})


def calibration(material: Material) -> Section:
    """Brier score and calibration error before and after, by finding and in the mean."""
    evaluation = material.evaluation
    rows = [(words(name), *_errors(row.calibration)) for name, row in evaluation.findings.items()]
    if (mean := evaluation.mean.calibration) is not None:
        brier, ece = (mean.brier_before, mean.brier_after), (mean.ece_before, mean.ece_after)
        figures = [f"{figure:.3f}" for figure in (*brier, *ece)]
        rows.append((f"mean of {len(evaluation.mean.findings)}", "", *figures, ""))
    return Section("calibration", "Calibration", {"rows": rows})


def _errors(found: FindingCalibration | None) -> tuple[str, ...]:
    if found is None:
        return ("not measured", *[""] * 5)
    before, after = found.before, found.after
    figures = (before.brier.value, after.brier.value, before.ece.value, after.ece.value, after.ece_by_chance)
    return (found.method.replace("_", " "), *(f"{figure:.3f}" for figure in figures))


def operating_points(material: Material) -> Section:
    """What the thresholds give on the test images; below, the counts, and what they gave on validation images."""
    findings, profiles = material.evaluation.findings, material.profiles.findings
    chosen = {name: row.at_operating_point for name, row in findings.items() if row.at_operating_point}
    facts = {
        "rates": [_rates(name, found) for name, found in chosen.items()],
        "counts": [_counts(name, found, profiles[name].operating_point) for name, found in chosen.items()],
        "without": [words(name) for name in findings if name not in chosen],
    }
    return Section("operating-points", "Operating points", facts)


def _rates(name: str, found: AtOperatingPoint) -> tuple[str, ...]:
    values = (found.sensitivity, found.specificity, found.ppv, found.npv, found.f1)
    return (words(name), f"{found.threshold:.3f}", *map(estimate, values))


def _counts(name: str, found: AtOperatingPoint, point: OperatingPoint | None) -> tuple[str, ...]:
    counts = found.confusion
    numbers = (counts.true_positives, counts.false_positives, counts.false_negatives, counts.true_negatives)
    before = "n/a" if point is None else f"{point.sensitivity:.2f} / {point.specificity:.2f}"
    return (words(name), *(f"{number:,}" for number in numbers), before)


def localisation(material: Material) -> Section:
    """Maps against boxes, beside the two maps that saw no film."""
    report = material.evaluation.localisation
    if report is None:
        return Section("localisation", "Localisation")
    named = [*report.findings.items(), ("all boxes", report.overall)]
    cells = [
        (
            words(name) + (" (few)" if row.few_boxes else ""),
            str(row.boxes),
            *(_beside(figure) for figure in (row.pointing_game, row.centre, row.iou["0.25"], row.iou["0.5"])),
            *(_beside(figure) for figure in (row.iobb["0.25"], row.iobb["0.5"])),
        )
        for name, row in named
    ]
    facts = {
        "plot": Forest("Pointing game", [_pointing(name, row) for name, row in named], 0.0, 1.0),
        "rows": cells,
        "panel": None if material.panel is None else base64.b64encode(material.panel).decode(),
    }
    return Section("localisation", "Localisation", facts)


def provenance(_: Material) -> Section:
    """What was measured, with which weights, how."""
    return Section("provenance", "Provenance")


SECTIONS: Final[tuple[Callable[[Material], Section], ...]] = (
    performance,
    rocs,
    precision_recalls,
    reliabilities,
    calibration,
    operating_points,
    shift,
    subgroups,
    shortcuts,
    localisation,
    provenance,
)


def _pointing(name: str, row: LocalisedFinding) -> Row:
    figure = row.pointing_game
    maps = f"{row.maps} maps"
    return Row(
        words(name), figure.value, figure.ci95, f"{figure.value:.2f} of {maps}", figure.average_place, figure.random
    )  # fmt: skip


def _beside(figure: LocalisationFigure) -> str:
    place = "n/a" if figure.average_place is None else f"{figure.average_place:.2f}"
    middle = "n/a" if figure.centre_cell is None else f"{figure.centre_cell:.2f}"
    return f"{figure.value:.2f}, {figure.random:.2f}, {middle}, {place}"
