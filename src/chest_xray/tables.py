"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from chest_xray.findings import PHANTOM, RESEARCH_USE_ONLY, describe_source
from chest_xray.inference.explain import by_urgency

if TYPE_CHECKING:
    from chest_xray.backends.base import ModelVersion, Prediction
    from chest_xray.bundle import Manifest
    from chest_xray.inference.keys import ApiKey
    from chest_xray.training.report import Evaluation, Interval

FILE_WIDTH = 120


def print_table(table: Table) -> None:
    """Print to standard output, as wide as the terminal, or as wide as it needs in a file."""
    console = Console()
    Console(width=None if console.is_terminal else FILE_WIDTH).print(table)


def evaluation_table(evaluation: Evaluation) -> Table:
    """AUROC and AUPRC of each finding with their intervals."""
    table = _table(
        title=f"Test list: {evaluation.images} {describe_source(evaluation.label_version)}, "
        f"{evaluation.patients} patients",
        caption=f"95% intervals from {evaluation.bootstrap.rounds} bootstrap rounds over patients.",
    )
    table.add_column("finding", no_wrap=True)
    for name in ("positives", "AUROC (95% interval)", "AUPRC (95% interval)"):
        table.add_column(name, justify="right")
    for name, row in evaluation.findings.items():
        positives = f"{row.positives} (few)" if row.few_cases else str(row.positives)
        table.add_row(name, positives, _value(row.auroc, row.ci95), _value(row.auprc, row.auprc_ci95))
    mean = evaluation.mean
    table.add_section()
    values = (_value(mean.auroc, mean.ci95), _value(mean.auprc, mean.auprc_ci95))
    table.add_row(f"mean of {len(mean.findings)}", "", *values, style="bold")
    return table


def prediction_table(title: str, prediction: Prediction, manifest: Manifest, top: int) -> Table:
    """The `top` findings of one film, those over their operating point first."""
    model = prediction.model
    source = describe_source(manifest.provenance.label_version)
    table = _table(title=title, caption=f"{model.name} version {model.version}, trained on {source}.")
    table.add_column("finding", no_wrap=True)
    table.add_column("probability", justify="right")
    table.add_column("operating point", justify="right")
    table.add_column("flag")
    for score in sorted(prediction.findings, key=by_urgency, reverse=True)[:top]:
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
    table = _table()
    for name in ("model", "version", "state", "mean AUROC", "digest", "last step"):
        table.add_column(name, no_wrap=name != "last step")
    for row in versions:
        phantom = " (phantoms)" if row.label_version == PHANTOM else ""
        auroc = "n/a" if row.mean_auroc is None else f"{row.mean_auroc:.3f}{phantom}"
        step = f"registered by {row.registered_by}, {row.registered_at:%Y-%m-%d}"
        if row.decided_at is not None:
            reason = f": {row.reason}" if row.reason else ""
            step = f"{row.status} by {row.decided_by}, {row.decided_at:%Y-%m-%d}{reason}"
        table.add_row(row.model_name, str(row.version), row.status, auroc, row.digest[:12], step)
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


def keys_table(keys: Sequence[ApiKey]) -> Table:
    """API keys with what they may do; nothing of their secrets."""
    table = _table()
    for name in ("id", "name", "requests a minute", "created (UTC)", "state"):
        table.add_column(name, no_wrap=True)
    for key in keys:
        state = "in use" if key.revoked is None else f"revoked {key.revoked:%Y-%m-%d %H:%M}"
        table.add_row(key.id, key.name, str(key.rate), f"{key.created:%Y-%m-%d %H:%M}", state)
    return table


def _table(title: str | None = None, caption: str | None = None) -> Table:
    footer = RESEARCH_USE_ONLY if caption is None else f"{caption}\n{RESEARCH_USE_ONLY}"
    return Table(title=title, caption=footer, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "one class only"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
