"""Sections beyond the whole list: how it differs from validation, groups of patients, shortcuts."""

from __future__ import annotations

from chest_xray.evaluation.html_report.charts import Row, forest
from chest_xray.evaluation.html_report.material import Material, spread, words
from chest_xray.evaluation.html_report.page import Section, paragraph, table
from chest_xray.evaluation.results import GroupFigure, PriorCorrection, Shift, Shortcuts, Subgroup, Subgroups


def shift(material: Material) -> Section:
    """Case mix and prevalence of the test list beside the validation images', and what correcting would do."""
    found = material.evaluation.shift
    if found is None:
        return Section("shift", "Shift", paragraph("Not measured: there were no validation films to compare with."))
    html = paragraph(found.rule, "soft") + _prevalences(found) + _tags(found) + _prior(material.evaluation.prior)
    return Section("shift", "Shift between validation and test", html)


def _prevalences(found: Shift) -> str:
    rows = []
    for name, row in found.findings.items():
        odds = "n/a" if row.odds_ratio is None else f"{row.odds_ratio:.2f}"
        interval = "" if row.ci95 is None else f" {spread(row.ci95)}"
        values = (f"{row.validation:.3f}", f"{row.test:.3f}", odds + interval, "yes" if row.warned else "")
        rows.append((words(name), *values))
    return table(("prevalence of", "validation", "test", "odds ratio (95% interval)", "differs"), rows)


def _tags(found: Shift) -> str:
    rows = [
        (
            row.tag,
            f"{row.validation:.3g}",
            f"{row.test:.3g}",
            f"{row.standardised_difference:+.2f}" + ("" if row.ci95 is None else f" {spread(row.ci95)}"),
            "yes" if row.warned else "",
        )
        for row in found.tags
    ]
    return table(("case mix", "validation", "test", "standardised difference (95% interval)", "differs"), rows)


def _prior(prior: PriorCorrection | None) -> str:
    if prior is None:
        return ""
    figures = (
        ("the validation prevalence", prior.mean_ece_validation),
        ("the test list's prevalence, known", prior.mean_ece_known),
        ("the test list's prevalence, estimated without labels", prior.mean_ece_estimated),
    )
    rows = [(name, "n/a" if figure is None else f"{figure:.3f}") for name, figure in figures]
    applied = {"validation": "the validation prevalence", "test": "the test list's", "given": "given numbers"}
    note = (
        f"The bundle's probabilities are for {applied[prior.applied]}; `cxr evaluate --prior` moves them. Means over "
        f"the {len(prior.findings)} findings with enough validation and test films."
    )
    body = table(("probabilities for", "mean calibration error of the test films"), rows)
    return paragraph(note, "soft") + body


def subgroups(material: Material) -> Section:
    """Mean AUROC of each group as a forest plot, then who is missed and who is flagged in vain."""
    found = material.evaluation.subgroups
    if found is None:
        return Section("subgroups", "Groups of patients", paragraph("Not measured: no sex, age or view is known."))
    if not found.groups:
        text = f"Not measured: no group has {found.fewest_patients} patients."
        return Section("subgroups", "Groups of patients", paragraph(text) + paragraph(found.not_measured, "soft"))
    overall = material.evaluation.mean.auroc
    plot = forest("Mean AUROC of each group", [_line(group) for group in found.groups], *_range(found), guide=overall)
    note = (
        "Mean AUROC within the group, over the findings with enough cases in the group and outside, whose number "
        "stands last. Dotted: the whole list. * differs from all other films, q < 0.05."
    )
    below = (
        "Gap: the group's mean AUROC less that of all other films. Underdiagnosed: films with any finding in which "
        "none is flagged; overdiagnosed: films without one in which something is. Probabilities off: mean probability "
        f"less the share of films with the finding, where it differs from other films'. {found.method}"
    )
    rates = ("underdiagnosed", "overdiagnosed")
    header = ("group", "films / patients", "gap (95%)", "q", "probabilities off", *rates)
    html = paragraph(note, "soft") + f'<div class="wide">{plot}</div>'
    html += paragraph(below, "soft") + table(header, [_group(group) for group in found.groups])
    html += paragraph(found.not_measured, "soft")
    return Section("subgroups", "Groups of patients", html)


def _range(found: Subgroups) -> tuple[float, float]:
    ends = [group.mean_auroc.ci95[0] for group in found.groups if group.mean_auroc and group.mean_auroc.ci95]
    return (min([0.5, *(int(end * 10) / 10 for end in ends)]), 1.0)


def _line(group: Subgroup) -> Row:
    figure = group.mean_auroc
    if figure is None:
        return Row(group.name, None, None, "too few")
    return Row(group.name, figure.value, figure.ci95, f"{_figure(figure)}, {len(group.mean_findings)}")


def _group(group: Subgroup) -> tuple[str, ...]:
    gap = group.mean_auroc.gap if group.mean_auroc else None
    return (
        group.name,
        f"{group.images:,} / {group.patients:,}",
        "too few" if gap is None else f"{gap.difference:+.2f} {spread(gap.ci95)}",
        "" if gap is None else f"{gap.q:.2g}",
        _misjudged(group),
        _figure(group.no_finding.underdiagnosis),
        _figure(group.no_finding.overdiagnosis),
    )


def _misjudged(group: Subgroup) -> str:
    off = [f"{words(name)} {excess:+.2f}" for name, excess in group.misjudged.items()]
    return ", ".join(off) or f"none of {group.judged}"


def _figure(figure: GroupFigure | None) -> str:
    if figure is None:
        return "too few"
    star = " *" if figure.gap is not None and figure.gap.real else ""
    return f"{figure.value:.2f}" + ("" if figure.ci95 is None else f" {spread(figure.ci95)}") + star


def shortcuts(material: Material) -> Section:
    """What view, border and size alone predict beside the model, and the model within one view."""
    found = material.evaluation.shortcuts
    if found is None:
        return Section("shortcuts", "Shortcuts", paragraph("Not audited: that needs training films."))
    overall = material.evaluation.mean
    rows = [Row("the model", overall.auroc, overall.ci95, _mean(overall.auroc, len(overall.findings)))]
    rows += [
        Row(f"{name} alone", row.mean_auroc, None, _mean(row.mean_auroc, len(row.findings)), css="second")
        for name, row in found.alone.items()
    ]
    rows += [
        Row(
            f"model within {row.view}",
            row.mean_auroc,
            None,
            _mean(row.mean_auroc, len(row.findings)),
            row.mean_auroc_all,
        )
        for row in found.within_view
    ]
    lowest = min([0.5, *(int(row.value * 10) / 10 for row in rows if row.value is not None)])
    note = (
        f"Mean AUROC. Orange: logistic regressions on {found.training_images:,} training films that never see the "
        "lungs; what they reach is open to the network too. Ring: the model on films of both views, same findings; "
        "within one view the view tells nothing."
    )
    html = paragraph(note, "soft") + f'<div class="wide">{forest("Shortcuts", rows, lowest, 1.0, guide=0.5)}</div>'
    return Section("shortcuts", "Shortcuts", html + _inputs(found))


def _inputs(found: Shortcuts) -> str:
    return table(("alone", "what it was given"), [(name, row.inputs) for name, row in found.alone.items()])


def _mean(found: float | None, findings: int) -> str:
    return "too few" if found is None else f"{found:.3f}, {findings} finding{'s' if findings != 1 else ''}"
