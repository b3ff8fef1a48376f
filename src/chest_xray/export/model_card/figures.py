"""How well the model does on the test list: performance, operating points, calibration, shift, heat maps."""

from __future__ import annotations

from typing import Final

from chest_xray.evaluation.localise.results import LocalisationFigure, LocalisedFinding
from chest_xray.evaluation.results import FindingCalibration, FindingMetrics
from chest_xray.evaluation.written import estimate
from chest_xray.export.model_card.facts import Facts, Words
from chest_xray.export.model_card.markdown import bullets, known, share, table, value_of


def performance(facts: Facts) -> Words:
    """AUROC and AUPRC of the findings and their mean."""
    evaluation = facts.evaluation
    rows = [
        (
            name + (" (few cases)" if row.few_cases else ""),
            f"{row.positives} / {row.negatives}",
            value_of(row.auroc, row.ci95),
            value_of(row.auprc, row.auprc_ci95),
            share(row.positives / max(row.positives + row.negatives, 1)),
        )
        for name, row in evaluation.findings.items()
    ]
    mean = evaluation.mean
    rows.append(
        (
            f"mean of {len(mean.findings)}",
            "",
            value_of(mean.auroc, mean.ci95),
            value_of(mean.auprc, mean.auprc_ci95),
            "",
        )
    )
    header = ("finding", "with / without", "AUROC", "AUPRC", "prevalence")
    return {
        "split": evaluation.split,
        "label_version": evaluation.label_version,
        "bootstrap_rounds": f"{evaluation.bootstrap.rounds}",
        "left_out": ", ".join(mean.left_out),
        "performance_table": table(header, rows),
    }


def operating_points(facts: Facts) -> Words:
    """What the thresholds give on the test images, and what they gave on validation images."""
    header = ("finding", "flagged from", "sensitivity", "specificity", "PPV", "NPV", "F1", "TP / FP / FN / TN")
    rows = [_flags(name, row) for name, row in facts.evaluation.findings.items()]
    validation = [
        f"{name} {point.sensitivity:.2f} / {point.specificity:.2f}"
        for name, profile in facts.manifest.findings.items()
        if (point := profile.operating_point) is not None
    ]
    return {
        "aim": facts.evaluation.aim,
        "operating_points_table": table(header, rows),
        "validation_rates": ", ".join(validation),
    }


def _flags(name: str, row: FindingMetrics) -> tuple[str, ...]:
    found = row.at_operating_point
    if found is None:
        return (name, "never flagged", *[""] * 6)
    counts = found.confusion
    return (
        name,
        f"{found.threshold:.3f}",
        *(estimate(value) for value in (found.sensitivity, found.specificity, found.ppv, found.npv, found.f1)),
        f"{counts.true_positives} / {counts.false_positives} / {counts.false_negatives} / {counts.true_negatives}",
    )


_METHODS: Final = {
    "platt": "Platt scaling",
    "temperature": "one temperature",
    "loss_weight": "not fitted",
}


def calibration(facts: Facts) -> Words:
    """Brier score and calibration error of the findings and their mean."""
    rows = [_errors(name, row.calibration) for name, row in facts.evaluation.findings.items()]
    mean = facts.evaluation.mean
    if (found := mean.calibration) is not None:
        brier = f"{found.brier_before:.3f} -> {found.brier_after:.3f}"
        rows.append(
            (f"mean of {len(mean.findings)}", "", brier, f"{found.ece_before:.3f} -> {found.ece_after:.3f}", "")
        )
    header = ("finding", "method", "Brier", "ECE", "ECE by chance")
    return {"calibration_table": table(header, rows)}


def _errors(name: str, found: FindingCalibration | None) -> tuple[str, ...]:
    if found is None:
        return (name, "not measured", "", "", "")
    before, after = found.before, found.after
    return (
        name,
        _METHODS[found.method],
        f"{before.brier.value:.3f} -> {after.brier.value:.3f}",
        f"{before.ece.value:.3f} -> {after.ece.value:.3f}",
        f"{after.ece_by_chance:.3f}",
    )


def shift(facts: Facts) -> Words:
    """Test images beside validation images."""
    found = facts.evaluation.shift
    if found is None:
        return {"shift_rule": "", "shift_warnings": "", "shift_table": ""}
    rows = [
        (row.tag, f"{row.validation:.3g}", f"{row.test:.3g}", f"{row.standardised_difference:+.2f}")
        for row in found.tags
    ]
    header = ("tag", "validation", "test", "standardised difference")
    return {
        "shift_rule": found.rule,
        "shift_warnings": bullets(*found.warnings),
        "shift_table": table(header, rows),
    }


def prior(facts: Facts) -> Words:
    """Which prior correction was applied, and the mean calibration errors with each."""
    found = facts.evaluation.prior
    names = ("ece_with_validation_prior", "ece_with_test_prior", "ece_with_estimated_prior")
    if found is None:
        return {"prior": "", **dict.fromkeys(names, "")}
    values = (found.mean_ece_validation, found.mean_ece_known, found.mean_ece_estimated)
    return {
        "prior": found.applied,
        **{name: known(value, "{:.3f}") for name, value in zip(names, values, strict=True)},
    }


def localisation(facts: Facts) -> Words:
    """Heat maps against boxes."""
    report = facts.evaluation.localisation
    if report is None:
        names = ("boxes", "images_with_boxes", "boxes_without_image", "boxes_outside_test")
        return dict.fromkeys((*names, "pointing_tolerance", "region_share", "localisation_table"), "")
    rows = [_place(name, row) for name, row in report.findings.items()] + [_place("all", report.overall)]
    header = ("finding", "boxes", "pointing game", "centre in box", "IoU > 0.25", "IoBB > 0.25")
    return {
        "boxes": f"{report.overall.boxes}",
        "images_with_boxes": f"{report.overall.images}",
        "boxes_without_image": f"{report.boxes_without_image or ''}",
        "boxes_outside_test": f"{report.boxes_outside_test or ''}",
        "pointing_tolerance": share(report.method.tolerance),
        "region_share": f"{report.method.region_share:g}",
        "localisation_table": table(header, rows),
    }


def _place(name: str, row: LocalisedFinding) -> tuple[str, ...]:
    figures = (row.pointing_game, row.centre, row.iou["0.25"], row.iobb["0.25"])
    boxes = f"{row.boxes} (few)" if row.few_boxes else str(row.boxes)
    return (name, boxes, *map(_beside, figures))


def _beside(figure: LocalisationFigure) -> str:
    place = "n/a" if figure.average_place is None else f"{figure.average_place:.2f}"
    interval = "" if figure.ci95 is None else f" ({figure.ci95[0]:.2f} to {figure.ci95[1]:.2f})"
    middle = "n/a" if figure.centre_cell is None else f"{figure.centre_cell:.2f}"
    return f"{figure.value:.2f}{interval}; {figure.random:.2f}; {middle}; {place}"
