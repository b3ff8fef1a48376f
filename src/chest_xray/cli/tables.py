"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chest_xray.evaluation.written import group_figure, spread, value
from chest_xray.notices import PHANTOM, RESEARCH_USE_ONLY, describe_source

if TYPE_CHECKING:
    from chest_xray.backends.base import GateRecord, ModelVersion
    from chest_xray.evaluation.comparison.results import Comparison, Difference, MeanDifference
    from chest_xray.evaluation.results import Evaluation, Subgroups
    from chest_xray.inference.http.keys import ApiKey
    from chest_xray.monitoring.agreement import Agreement, Share

FILE_WIDTH = 120


def print_table(table: Table) -> None:
    """Print to standard output, as wide as the terminal, or as wide as it needs in a file."""
    console = Console()
    Console(width=None if console.is_terminal else FILE_WIDTH).print(table)


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines to standard output; one that is longer than the terminal is not broken in a file."""
    console = Console(soft_wrap=True)
    for line in lines:
        console.print(line)


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """Each finding and the mean; then groups of patients and the shortcut audit, where they were measured."""
    tables = [_findings_table(evaluation)]
    if evaluation.subgroups is not None and evaluation.subgroups.groups:
        tables.append(_groups_table(evaluation.subgroups))
    if evaluation.shortcuts is not None:
        tables.append(_shortcuts_table(evaluation))
    return tables


def _findings_table(evaluation: Evaluation) -> Table:
    table = results_table(
        title=f"Test list: {evaluation.images} {describe_source(evaluation.label_version)}, "
        f"{evaluation.patients} patients",
        caption=f"95% intervals from {evaluation.bootstrap.rounds} bootstrap rounds over patients. Sensitivity and "
        f"specificity at operating points for {evaluation.aim}. ECE before and after calibration.",
    )
    table.add_column("finding", no_wrap=True)
    for name in ("positives", "AUROC (95%)", "AUPRC (95%)", "sens / spec", "ECE"):
        table.add_column(name, justify="right", no_wrap=name in ("sens / spec", "ECE"))
    for name, row in evaluation.findings.items():
        positives = f"{row.positives} (few)" if row.few_cases else str(row.positives)
        point, calibration = row.at_operating_point, row.calibration
        shares = "" if point is None else f"{point.sensitivity.value:.2f} / {point.specificity.value:.2f}"
        ece = "" if calibration is None else f"{calibration.before.ece.value:.3f}, {calibration.after.ece.value:.3f}"
        table.add_row(name, positives, value(row.auroc, row.ci95), value(row.auprc, row.auprc_ci95), shares, ece)
    mean = evaluation.mean
    table.add_section()
    values = (value(mean.auroc, mean.ci95), value(mean.auprc, mean.auprc_ci95))
    ece = "" if mean.calibration is None else f"{mean.calibration.ece_before:.3f}, {mean.calibration.ece_after:.3f}"
    table.add_row(f"mean of {len(mean.findings)}", "", *values, "", ece, style="bold")
    return table


def _groups_table(subgroups: Subgroups) -> Table:
    table = results_table(
        title="Groups of patients",
        caption=f"Groups of {subgroups.fewest_patients} patients and more. * differs from the rest, q < 0.05. "
        "Underdiagnosed: images with any finding in which none is flagged; overdiagnosed: the other way round.",
    )
    table.add_column("group", no_wrap=True)
    for name in ("images", "mean AUROC (95%)", "underdiagnosed (95%)", "overdiagnosed (95%)"):
        table.add_column(name, justify="right")
    for group in subgroups.groups:
        figures = (group.mean_auroc, group.no_finding.underdiagnosis, group.no_finding.overdiagnosis)
        table.add_row(group.name, str(group.images), *(group_figure(figure, star=True) for figure in figures))
    return table


def _shortcuts_table(evaluation: Evaluation) -> Table:
    table = results_table(
        title="Shortcuts: mean AUROC without the lungs, and of the model within one view",
        caption="Logistic regressions fitted on training images; the means are over findings with enough cases.",
    )
    table.add_column("", no_wrap=True)
    table.add_column("mean AUROC", justify="right")
    table.add_column("findings", justify="right")
    if evaluation.shortcuts is not None:
        for name, alone in evaluation.shortcuts.alone.items():
            table.add_row(f"{name} alone", _share_or_none(alone.mean_auroc), str(len(alone.findings)))
        for within in evaluation.shortcuts.within_view:
            beside = f"{_share_or_none(within.mean_auroc)} (all views {_share_or_none(within.mean_auroc_all)})"
            table.add_row(f"the model within {within.view}", beside, str(len(within.findings)))
    return table


def _share_or_none(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def comparison_tables(comparison: Comparison) -> list[Table]:
    """B against A: each finding and the mean, then the mean in each group of patients."""
    title = (
        f"B = {comparison.b.name}, A = {comparison.a.name}: {comparison.images} "
        f"{describe_source(comparison.label_version)} of the test list, {comparison.patients} patients"
    )
    rounds = f"95% intervals of the paired difference from {comparison.rounds} bootstrap rounds over patients."
    findings = results_table(title=title, caption=f"{rounds} p of findings is Holm's.")
    groups = results_table(title="Mean AUROC in groups of patients", caption=rounds)
    for table, what in ((findings, "finding"), (groups, "group")):
        table.add_column(what, no_wrap=True)
        for name in ("with / without", "A", "B", "B less A (95% interval)", "p"):
            table.add_column(name, justify="right")
    for finding, row in comparison.findings.items():
        findings.add_row(finding, *_difference(row, row.p_holm))
    findings.add_section()
    mean = comparison.mean
    findings.add_row(f"mean of {len(mean.findings)}", *_difference(mean, mean.p), style="bold")
    for group in comparison.groups:
        groups.add_row(group.name, *_difference(group.mean, group.mean.p))
    return [findings, groups]


def _difference(row: Difference | MeanDifference, p: float | None) -> tuple[str, ...]:
    from chest_xray.evaluation.comparison.results import describe_difference

    counts = f"{row.positives} / {row.negatives}"
    if row.a is None or row.b is None:
        return counts, "", "", "too few images", ""
    return counts, f"{row.a:.3f}", f"{row.b:.3f}", describe_difference(row), "n/a" if p is None else f"{p:.2g}"


def versions_table(versions: Sequence[ModelVersion]) -> Table:
    """Registry versions with who and when."""
    table = results_table()
    for name in ("model", "version", "state", "mean AUROC", "digest", "gate", "last step"):
        table.add_column(name, no_wrap=name != "last step")
    for row in versions:
        phantom = " (phantoms)" if row.label_version == PHANTOM else ""
        auroc = "n/a" if row.mean_auroc is None else f"{row.mean_auroc:.3f}{phantom}"
        step = f"registered by {row.registered_by}, {row.registered_at:%Y-%m-%d}"
        if row.decided_at is not None:
            reason = f": {row.reason}" if row.reason else ""
            step = f"{row.status} by {row.decided_by}, {row.decided_at:%Y-%m-%d}{reason}"
        table.add_row(row.model_name, str(row.version), row.status, auroc, row.digest[:12], _gate(row.gate), step)
    return table


def _gate(gate: GateRecord | None) -> str:
    if gate is None:
        return "none"
    against = "floor" if gate.champion is None else f"version {gate.champion}"
    found = f"{gate.outcome.replace('_', ' ')}, {against}"
    return f"{found}, forced" if gate.forced else found


def version_rows(versions: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    """The same for programs; times in ISO 8601."""
    return [
        asdict(row)
        | {
            "registered_at": row.registered_at.isoformat(),
            "decided_at": None if row.decided_at is None else row.decided_at.isoformat(),
        }
        for row in versions
    ]


def keys_table(keys: Sequence[ApiKey]) -> Table:
    """API keys with what they may do; nothing of their secrets."""
    table = results_table()
    for name in ("id", "name", "requests a minute", "created (UTC)", "state"):
        table.add_column(name, no_wrap=True)
    for key in keys:
        state = "in use" if key.revoked is None else f"revoked {key.revoked:%Y-%m-%d %H:%M}"
        table.add_row(key.id, key.name, str(key.rate), f"{key.created:%Y-%m-%d %H:%M}", state)
    return table


def agreement_table(found: Agreement) -> Table:
    """Readers' judgements beside the model's flags, a row for each finding that was judged.

    `not compared` are judgements of a finding that the model has no operating point for, or of withheld scores.
    """
    since = "" if found.since is None else f" since {found.since}"
    models = ", ".join(f"{name}: {count}" for name, count in found.models.items()) or "none"
    table = results_table(
        title=f"{found.endpoint}: feedback on {found.events} films{since}, {found.notes} of them with a note",
        caption=f"Films by model: {models}. Not in the audit log: {len(found.unmatched)}. "
        "95% intervals (Wilson), of the films that readers judged only.",
    )
    table.add_column("finding", no_wrap=True)
    for name in ("judged", "agreed", "missed", "false alarms", "sensitivity", "PPV", "not compared"):
        table.add_column(name, justify="right", no_wrap=name in ("sensitivity", "PPV"))
    for finding, row in found.findings.items():
        if row.judged or row.not_compared:
            counts = (row.judged, row.agreed, row.missed, row.false_alarms)
            table.add_row(
                finding, *map(str, counts), _share(row.sensitivity), _share(row.ppv), str(row.not_compared or "")
            )
    return table


def _share(share: Share) -> str:
    if share.value is None or share.ci95 is None:
        return "n/a"
    return f"{share.value:.2f} {spread(share.ci95)}"


def results_table(title: str | None = None, caption: str | None = None) -> Table:
    """An empty table; below it, the caption and what its figures may not be used for."""
    footer = RESEARCH_USE_ONLY if caption is None else f"{caption}\n{RESEARCH_USE_ONLY}"
    return Table(title=title, caption=footer, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
