"""Sections beyond the whole list: how it differs from validation, groups of patients, shortcuts."""

from __future__ import annotations

from chest_xray.evaluation.html_report.charts import Forest, Row
from chest_xray.evaluation.html_report.material import Material, words
from chest_xray.evaluation.html_report.page import Section
from chest_xray.evaluation.results import Shift, Subgroup, Subgroups
from chest_xray.evaluation.written import group_figure, misjudged, spread


def shift(material: Material) -> Section:
    """Case mix and prevalence of the test list beside the validation images', and what correcting would do."""
    found = material.evaluation.shift
    if found is None:
        return Section("shift", "Shift")
    rows = {"prevalences": _prevalences(found), "tags": _tags(found)}
    return Section("shift", "Shift between validation and test", rows)


def _prevalences(found: Shift) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, row in found.findings.items():
        odds = "n/a" if row.odds_ratio is None else f"{row.odds_ratio:.2f}"
        interval = "" if row.ci95 is None else f" {spread(row.ci95)}"
        values = (f"{row.validation:.3f}", f"{row.test:.3f}", odds + interval, "yes" if row.warned else "")
        rows.append((words(name), *values))
    return rows


def _tags(found: Shift) -> list[tuple[str, ...]]:
    return [
        (
            row.tag,
            f"{row.validation:.3g}",
            f"{row.test:.3g}",
            f"{row.standardised_difference:+.2f}" + ("" if row.ci95 is None else f" {spread(row.ci95)}"),
            "yes" if row.warned else "",
        )
        for row in found.tags
    ]


def subgroups(material: Material) -> Section:
    """Mean AUROC of each group as a forest plot, then who is missed and who is flagged in vain."""
    found = material.evaluation.subgroups
    facts: dict[str, object] = {}
    if found is not None and found.groups:
        overall = material.evaluation.mean.auroc
        lines = [_line(group) for group in found.groups]
        facts["plot"] = Forest("Mean AUROC of each group", lines, *_range(found), guide=overall)
        facts["rows"] = [_group(group) for group in found.groups]
    return Section("subgroups", "Groups of patients", facts)


def _range(found: Subgroups) -> tuple[float, float]:
    ends = [group.mean_auroc.ci95[0] for group in found.groups if group.mean_auroc and group.mean_auroc.ci95]
    return (min([0.5, *(int(end * 10) / 10 for end in ends)]), 1.0)


def _line(group: Subgroup) -> Row:
    figure = group.mean_auroc
    if figure is None:
        return Row(group.name, None, None, "too few")
    text = f"{group_figure(figure, star=True, digits=2)}, {len(group.mean_findings)}"
    return Row(group.name, figure.value, figure.ci95, text)


def _group(group: Subgroup) -> tuple[str, ...]:
    gap = group.mean_auroc.gap if group.mean_auroc else None
    return (
        group.name,
        f"{group.images:,} / {group.patients:,}",
        "too few" if gap is None else f"{gap.difference:+.2f} {spread(gap.ci95)}",
        "" if gap is None else f"{gap.q:.2g}",
        misjudged(group, words),
        group_figure(group.no_finding.underdiagnosis, star=True, digits=2),
        group_figure(group.no_finding.overdiagnosis, star=True, digits=2),
    )


def shortcuts(material: Material) -> Section:
    """What view, border and size alone predict beside the model, and the model within one view."""
    found = material.evaluation.shortcuts
    if found is None:
        return Section("shortcuts", "Shortcuts")
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
    inputs = [(name, row.inputs) for name, row in found.alone.items()]
    facts = {"plot": Forest("Shortcuts", rows, lowest, 1.0, guide=0.5), "inputs": inputs}
    return Section("shortcuts", "Shortcuts", facts)


def _mean(found: float | None, findings: int) -> str:
    return "too few" if found is None else f"{found:.3f}, {findings} finding{'s' if findings != 1 else ''}"
