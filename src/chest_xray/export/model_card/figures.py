"""How well the model does on the test list: performance, operating points, calibration, shift, heat maps."""

from __future__ import annotations

from typing import Final

from chest_xray.evaluation.localise.results import LocalisationFigure, LocalisedFinding
from chest_xray.evaluation.results import FindingCalibration, PriorCorrection
from chest_xray.export.model_card.facts import Facts, Section
from chest_xray.export.model_card.markdown import bullets, estimate, known, section, share, table, value_of


def _performance(facts: Facts) -> str:
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
    text = (
        f"Split `{evaluation.split}`, labels {evaluation.label_version}. 95% intervals from "
        f"{evaluation.bootstrap.rounds} bootstrap rounds over patients."
    )
    if mean.left_out:
        text += f" Not in the mean, because they have fewer than 10 images of one class: {', '.join(mean.left_out)}."
    header = ("finding", "with / without", "AUROC", "AUPRC", "prevalence")
    return section("Performance", text + "\n\n" + table(header, rows))


def _operating_points(facts: Facts) -> str:
    text = (
        f"Chosen on validation images for `{facts.evaluation.aim}`; the table says what the thresholds give on the "
        "test images, with 95% intervals over patients. PPV and NPV hold for this prevalence only. A finding with "
        "fewer than 10 validation images of a class has no operating point and is never flagged."
    )
    rows = [_flags(name, facts) for name in facts.evaluation.findings]
    header = ("finding", "flagged from", "sensitivity", "specificity", "PPV", "NPV", "F1", "TP / FP / FN / TN")
    validation = [
        f"{name} {point.sensitivity:.2f} / {point.specificity:.2f}"
        for name, profile in facts.manifest.findings.items()
        if (point := profile.operating_point) is not None
    ]
    below = f"On validation images, sensitivity / specificity: {', '.join(validation) or 'none was chosen'}."
    return section("Operating points", "\n\n".join([text, table(header, rows), below]))


def _flags(name: str, facts: Facts) -> tuple[str, ...]:
    found = facts.evaluation.findings[name].at_operating_point
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


def _calibration(facts: Facts) -> str:
    text = (
        "Brier score and expected calibration error (15 bins of equally many images) of the test images, before (what "
        "the network itself says) and after calibration on validation images. By chance: the error that true "
        "probabilities would show in so many images. Not fitted: too few validation images, only the loss's weight is "
        "undone. A probability holds for the prevalence of the validation images, "
        "not for another hospital's."
    )
    rows = [_errors(name, row.calibration) for name, row in facts.evaluation.findings.items()]
    mean = facts.evaluation.mean
    if (found := mean.calibration) is not None:
        brier = f"{found.brier_before:.3f} -> {found.brier_after:.3f}"
        rows.append(
            (f"mean of {len(mean.findings)}", "", brier, f"{found.ece_before:.3f} -> {found.ece_after:.3f}", "")
        )
    header = ("finding", "method", "Brier", "ECE", "ECE by chance")
    return section("Calibration", text + "\n\n" + table(header, rows))


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


def _shift(facts: Facts) -> str:
    shift, prior = facts.evaluation.shift, facts.evaluation.prior
    if shift is None:
        return section("Shift", "Not measured: there were no validation images to compare with.")
    warned = shift.warnings or ["No difference meets the rule."]
    rows = [
        (row.tag, f"{row.validation:.3g}", f"{row.test:.3g}", f"{row.standardised_difference:+.2f}")
        for row in shift.tags
    ]
    header = ("tag", "validation", "test", "standardised difference")
    text = "Thresholds and calibration come from validation images and suit their mix. " + shift.rule
    return section("Shift", "\n\n".join([text, bullets(*warned), table(header, rows), _prior(prior)]))


_PRIORS: Final = {
    "validation": "No prior correction was applied",
    "test": "Calibrations were moved to the test list's prevalence",
    "given": "Calibrations were moved to given prevalences",
}


def _prior(prior: PriorCorrection | None) -> str:
    if prior is None:
        return "Prior correction was not measured."
    figures = (prior.mean_ece_validation, prior.mean_ece_known, prior.mean_ece_estimated)
    none, exact, estimated = (known(value, "{:.3f}") for value in figures)
    return (
        f"{_PRIORS[prior.applied]}. Mean ECE of the test images: {none} with the validation prevalence, {exact} with "
        f"the test list's known, {estimated} with it estimated without labels."
    )


def _localisation(facts: Facts) -> str:
    report = facts.evaluation.localisation
    if report is None:
        return section("Localisation", "Not measured: no image of the test list has a box.")
    text = (
        f"Heat maps against {report.overall.boxes} boxes of {report.overall.images} test images. Beside each share "
        "stand that of random maps and that of the finding's average place in other patients: a map that does not "
        "beat the latter has not shown that it looked at the film. The pointing game allows "
        f"{report.method.tolerance:.1%} of the side; a region is where the map reaches {report.method.region_share:g} "
        "of its maximum."
    )
    missed = [
        f"{count} boxes of images that {where} were not measured."
        for count, where in (
            (report.boxes_without_image, "are not there"),
            (report.boxes_outside_test, "are not in the test list"),
        )
        if count
    ]
    rows = [_place(name, row) for name, row in report.findings.items()] + [_place("all", report.overall)]
    header = ("finding", "boxes", "pointing game", "centre in box", "IoU > 0.25", "IoBB > 0.25")
    caption = "Cells: share (95% interval); random; average place."
    return section("Localisation", "\n\n".join([" ".join([text, *missed]), table(header, rows), caption]))


def _place(name: str, row: LocalisedFinding) -> tuple[str, ...]:
    figures = (row.pointing_game, row.centre, row.iou["0.25"], row.iobb["0.25"])
    boxes = f"{row.boxes} (few)" if row.few_boxes else str(row.boxes)
    return (name, boxes, *map(_beside, figures))


def _beside(figure: LocalisationFigure) -> str:
    place = "n/a" if figure.average_place is None else f"{figure.average_place:.2f}"
    interval = "" if figure.ci95 is None else f" ({figure.ci95[0]:.2f} to {figure.ci95[1]:.2f})"
    return f"{figure.value:.2f}{interval}; {figure.random:.2f}; {place}"


FIGURES: Final[tuple[Section, ...]] = (_performance, _operating_points, _calibration, _shift, _localisation)
