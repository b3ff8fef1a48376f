"""The sections of the report, each from the evaluation to HTML."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from chest_xray.findings import FINDINGS
from chest_xray.training.html_report.charts import Row, forest, unit_square
from chest_xray.training.html_report.curves import TestScores, precision_recall, reliability, roc, sigmoid
from chest_xray.training.html_report.page import Section, facts, paragraph, small_multiples, table
from chest_xray.training.localise.report import LocalisationFigure, LocalisedFinding
from chest_xray.training.report import Evaluation, Interval, Profiles


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of; `panel` is the PNG of phantoms with maps and boxes."""

    evaluation: Evaluation
    profiles: Profiles
    scores: TestScores
    panel: bytes | None


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


def operating_points(material: Material) -> Section:
    """Thresholds, with what they gave on validation images and what they give on the test images."""
    rows = []
    for k, name in enumerate(FINDINGS):
        point = material.profiles.findings[name].operating_point
        if point is None:
            rows.append((words(name), "never flagged", "", "", "", "", ""))
            continue
        flagged = material.scores.probabilities[:, k] >= point.threshold
        ill = material.scores.labels[:, k] == 1
        rows.append(
            (
                words(name),
                f"{point.threshold:.3f}",
                point.aim,
                f"{point.sensitivity:.2f} / {point.specificity:.2f}",
                f"{_share(flagged, ill)} / {_share(~flagged, ~ill)}",
                _share(ill, flagged),
                _share(~ill, ~flagged),
            )
        )
    header = ("finding", "flagged from", "chosen by", "validation sens / spec", "test sens / spec", "PPV", "NPV")
    note = (
        "Chosen on validation images, where the first pair was measured; the second pair, and the predictive values, "
        "which hold for this prevalence only, are of the test images. Without one a finding is never flagged."
    )
    return Section("operating-points", "Operating points", paragraph(note, "soft") + table(header, rows))


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
    operating_points,
    localisation,
    provenance,
)


def words(name: str) -> str:
    """A finding's name for people."""
    return name.replace("_", " ")


def value(found: float | None, interval: Interval | None) -> str:
    """`0.812 (0.790 to 0.831)`."""
    if found is None:
        return "one class only"
    return f"{found:.3f}" if interval is None else f"{found:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _share(of: np.ndarray[tuple[int], np.dtype[np.bool_]], among: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    return f"{of[among].mean():.2f}" if among.any() else "n/a"


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
