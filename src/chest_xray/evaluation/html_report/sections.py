"""The sections of the report, each from the evaluation to HTML."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import numpy as np

from chest_xray.bundle import OperatingPoint
from chest_xray.evaluation.html_report.charts import Row, forest, unit_square
from chest_xray.evaluation.html_report.curves import precision_recall, reliability, roc, sigmoid
from chest_xray.evaluation.html_report.groups import shift, shortcuts, subgroups
from chest_xray.evaluation.html_report.material import Material, estimate, value, words
from chest_xray.evaluation.html_report.page import Section, facts, paragraph, small_multiples, table
from chest_xray.evaluation.localise.results import LocalisationFigure, LocalisedFinding
from chest_xray.evaluation.results import AtOperatingPoint, FindingCalibration
from chest_xray.findings import FINDINGS


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
    plot = forest("AUROC of each finding", rows, max(0.0, np.floor(lowest * 10) / 10), 1.0, guide=0.5)
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
    header = ("finding", "with", "without", "AUROC (95% interval)", "AUPRC (95% interval)", "prevalence")
    caption = "AUPRC is to be read beside the prevalence, which a model that guesses would reach."
    note = f"Intervals: {evaluation.bootstrap.rounds:,} bootstrap rounds over patients. Dotted line: guessing."
    html = paragraph(note, "soft") + f'<div class="wide">{plot}</div>'
    return Section("performance", "Performance", html + table(header, cells, caption=caption, total=True))


def rocs(material: Material) -> Section:
    """ROC and precision-recall curves of each finding with both classes."""
    figures = []
    for k, name in enumerate(FINDINGS):
        labels, logits = material.scores.labels[:, k], material.scores.logits[:, k]
        row = material.evaluation.findings[name]
        if row.auroc is None or row.auprc is None:
            figures.append((words(name), "one class only", unit_square(f"{name}: one class only")))
            continue
        figures.append(
            (
                words(name),
                f"AUROC {row.auroc:.2f}, {row.positives:,} with",
                unit_square(f"ROC curve of {name}", [roc(labels, logits)], diagonal=True),
            )
        )
    note = "True positive rate (up) over false positive rate. Dotted: guessing."
    return Section("roc", "ROC curves", paragraph(note, "soft") + small_multiples(figures))


def precision_recalls(material: Material) -> Section:
    """Precision over recall of each finding with both classes."""
    figures = []
    for k, name in enumerate(FINDINGS):
        labels, logits = material.scores.labels[:, k], material.scores.logits[:, k]
        row = material.evaluation.findings[name]
        if row.auprc is None or row.auroc is None:
            figures.append((words(name), "one class only", unit_square(f"{name}: one class only")))
            continue
        prevalence = float(labels.mean())
        svg = unit_square(f"Precision and recall of {name}", [precision_recall(labels, logits)], level=prevalence)
        figures.append((words(name), f"AUPRC {row.auprc:.2f}, prevalence {prevalence:.2f}", svg))
    note = "Precision (up) over recall. Dotted: the prevalence, which guessing reaches."
    return Section("pr", "Precision and recall", paragraph(note, "soft") + small_multiples(figures))


def reliabilities(material: Material) -> Section:
    """Observed share over predicted probability, before and after calibration."""
    figures = []
    for k, name in enumerate(FINDINGS):
        labels = material.scores.labels[:, k]
        before = reliability(labels, sigmoid(material.scores.logits[:, k]), css="second")
        after = reliability(labels, material.scores.probabilities[:, k])
        dots = [*before, *after]
        highest = max(max(dot.x, dot.whisker[1] if dot.whisker else dot.y) for dot in dots)
        most = next(most for most in (0.2, 0.5, 1.0) if highest <= most)
        svg = unit_square(f"Reliability of {name}", dots=dots, diagonal=True, most=most)
        method = material.profiles.findings[name].calibration.method.replace("_", " ")
        figures.append((words(name), method, svg))
    note = (
        "Share of films with the finding (up) over the probability given, in ten bins of equally many test films, with "
        "Wilson's 95% intervals. Blue: calibrated, orange: raw logits. On the dotted line a probability means what it "
        "says. Mind the scales."
    )
    return Section("reliability", "Reliability", paragraph(note, "soft") + small_multiples(figures))


def calibration(material: Material) -> Section:
    """Brier score and calibration error before and after, by finding and in the mean."""
    evaluation = material.evaluation
    rows = [(words(name), *_errors(row.calibration)) for name, row in evaluation.findings.items()]
    if (mean := evaluation.mean.calibration) is not None:
        brier, ece = (mean.brier_before, mean.brier_after), (mean.ece_before, mean.ece_after)
        figures = [f"{figure:.3f}" for figure in (*brier, *ece)]
        rows.append((f"mean of {len(evaluation.mean.findings)}", "", *figures, ""))
    header = ("finding", "method", "Brier before", "after", "ECE before", "after", "ECE by chance")
    note = (
        "On the test films, before (the network's own sigmoid) and after calibration on validation films. ECE: "
        "expected calibration error over 15 bins of equally many films; by chance: what true probabilities would show."
    )
    body = table(header, rows, total=mean is not None)
    return Section("calibration", "Calibration", paragraph(note, "soft") + body)


def _errors(found: FindingCalibration | None) -> tuple[str, ...]:
    if found is None:
        return ("not measured", *[""] * 5)
    before, after = found.before, found.after
    figures = (before.brier.value, after.brier.value, before.ece.value, after.ece.value, after.ece_by_chance)
    return (found.method.replace("_", " "), *(f"{figure:.3f}" for figure in figures))


def operating_points(material: Material) -> Section:
    """What the thresholds give on the test images; below, the counts, and what they gave on validation images."""
    chosen = {name: found for name in FINDINGS if (found := material.evaluation.findings[name].at_operating_point)}
    rates = [_rates(name, found) for name, found in chosen.items()]
    counts = [_counts(name, found, material.profiles.findings[name].operating_point) for name, found in chosen.items()]
    note = (
        f"Chosen on validation films for {material.evaluation.aim}; measured on the test films, with 95% intervals "
        "over patients. Predictive values hold for this prevalence only."
    )
    html = paragraph(note, "soft")
    if chosen:
        html += table(("finding", "flagged from", "sensitivity", "specificity", "PPV", "NPV", "F1"), rates)
        sides = ("true positive", "false positive", "false negative", "true negative")
        html += table(("test films", *sides, "validation sens / spec"), counts)
    without = [words(name) for name in FINDINGS if name not in chosen]
    if without:
        html += paragraph(f"Never flagged, because validation films gave no threshold: {', '.join(without)}.")
    return Section("operating-points", "Operating points", html)


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
        return Section("localisation", "Localisation", paragraph("Not measured: no image of the test list has a box."))
    named = [*report.findings.items(), ("all boxes", report.overall)]
    plot = forest("Pointing game", [_pointing(name, row) for name, row in named], 0.0, 1.0)
    cells = [
        (
            words(name) + (" (few)" if row.few_boxes else ""),
            str(row.boxes),
            *(_beside(figure) for figure in (row.pointing_game, row.centre, row.iou["0.25"], row.iou["0.5"])),
            *(_beside(figure) for figure in (row.iobb["0.25"], row.iobb["0.5"])),
        )
        for name, row in named
    ]
    header = ("finding", "boxes", "pointing", "centre", "IoU > 0.25", "IoU > 0.5", "IoBB > 0.25", "IoBB > 0.5")
    method = report.method
    note = (
        f"Share of heat maps whose peak lies in a box, within {method.tolerance:.1%} of the side. Filled: the "
        f"network; cross: {method.random_draws:,} maps of noise; ring: the finding's average place in other patients. "
        "A map that does not beat the ring has not shown that it looked at the film."
    )
    caption = (
        f"Network, noise, average place. A region is where the map reaches {method.region_share:g} of its maximum; all "
        "thresholds of Wang et al. 2017 are in evaluation.json."
    )
    html = paragraph(note, "soft") + f'<div class="wide">{plot}</div>'
    html += table(header, cells, caption=caption, total=True) + _panel(material.panel)
    return Section("localisation", "Localisation", html)


def provenance(material: Material) -> Section:
    """What was measured, with which weights, how."""
    evaluation = material.evaluation
    pairs = [
        ("format", evaluation.format),
        ("split", evaluation.split),
        ("labels", evaluation.label_version),
        ("data", evaluation.data_hash),
        ("weights", evaluation.weights_sha256),
        ("bootstrap", f"{evaluation.bootstrap.rounds:,} rounds over patients, seed {evaluation.bootstrap.seed}"),
        ("validation images", f"{material.profiles.images:,}, for calibration and operating points"),
    ]
    return Section("provenance", "Provenance", facts(pairs))


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
    return f"{figure.value:.2f}, {figure.random:.2f}, {place}"


def _panel(png: bytes | None) -> str:
    if png is None:
        return ""
    data = base64.b64encode(png).decode()
    return (
        '<figure><img alt="Phantom films with heat map, box and best region" '
        f'src="data:image/png;base64,{data}"><figcaption>Phantom films: for each finding the box whose overlap is the '
        "median, not the best.</figcaption></figure>"
    )
