"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from chest_xray.findings import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from chest_xray.backends.base import FindingScore, ModelVersion, Prediction
    from chest_xray.training.report import Evaluation, Interval


def print_table(table: Table) -> None:
    """Print to standard output."""
    Console().print(table)


def evaluation_table(evaluation: Evaluation) -> Table:
    """AUROC and AUPRC of each finding with their intervals."""
    source = "phantom images" if evaluation.label_version == "phantom" else f"NIH labels {evaluation.label_version}"
    table = Table(
        title=f"Test list: {evaluation.images} images of {evaluation.patients} patients, {source}",
        caption=f"95% intervals, {evaluation.bootstrap.rounds} bootstrap rounds over patients. {RESEARCH_USE_ONLY}",
    )
    table.add_column("finding")
    for name in ("positives", "AUROC", "95% interval", "AUPRC", "95% interval"):
        table.add_column(name, justify="right")
    for name, row in evaluation.findings.items():
        positives = f"{row.positives} (few)" if row.few_cases else str(row.positives)
        values = (_number(row.auroc), _interval(row.ci95), _number(row.auprc), _interval(row.auprc_ci95))
        table.add_row(name, positives, *values)
    mean = evaluation.mean
    table.add_section()
    values = (_number(mean.auroc), _interval(mean.ci95), _number(mean.auprc), _interval(mean.auprc_ci95))
    table.add_row(f"mean of {len(mean.findings)}", "", *values, style="bold")
    return table


def prediction_table(title: str, prediction: Prediction, top: int) -> Table:
    """The `top` findings of one film, those over their operating point first."""
    model = prediction.model
    version = "" if model.version is None else f" version {model.version}"
    table = Table(title=title, caption=f"{model.name}{version} ({model.digest[:12]}). {RESEARCH_USE_ONLY}")
    table.add_column("finding")
    table.add_column("probability", justify="right")
    table.add_column("operating point", justify="right")
    table.add_column("flag")
    for score in sorted(prediction.findings, key=_rank, reverse=True)[:top]:
        flag = {True: "flagged", False: "", None: "too few cases"}[score.flag]
        point = "n/a" if score.operating_point is None else f"{score.operating_point:.3f}"
        style = "bold" if score.flag else None
        table.add_row(score.finding, f"{score.probability:.3f}", point, flag, style=style)
    return table


def prediction_row(file: str, prediction: Prediction) -> dict[str, Any]:
    """The same for programs, all findings in their order, no number rounded."""
    return {
        "file": file,
        "model": asdict(prediction.model),
        "findings": [asdict(score) for score in prediction.findings],
        "timings_ms": dict(prediction.timings_ms),
        "notice": RESEARCH_USE_ONLY,
    }


def versions_table(versions: Sequence[ModelVersion]) -> Table:
    """Registry versions with who and when."""
    table = Table()
    for name in ("model", "version", "state", "mean AUROC", "digest", "registered", "decided", "reason"):
        table.add_column(name)
    for row in versions:
        registered = f"{row.registered_by}, {row.registered_at:%Y-%m-%d %H:%M}"
        decided = "" if row.decided_at is None else f"{row.decided_by}, {row.decided_at:%Y-%m-%d %H:%M}"
        auroc, digest = _number(row.mean_auroc), row.digest[:12]
        cells = (row.model_name, str(row.version), row.status, auroc, digest, registered, decided, row.reason or "")
        table.add_row(*cells)
    return table


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


def _rank(score: FindingScore) -> tuple[bool, float]:
    return bool(score.flag), score.probability


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "n/a" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
