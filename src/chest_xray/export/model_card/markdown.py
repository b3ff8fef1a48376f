"""What a model card's figures are written with: bullets, tables, values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chest_xray.bundle import Interval
from chest_xray.evaluation.results import Estimate


def bullets(*lines: str) -> str:
    """One bullet a line."""
    return "\n".join(f"- {line}" for line in lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; `|` and `_` in a cell would be read as Markdown and are escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("_", "\\_")


def value_of(value: float | None, interval: Interval | None) -> str:
    """`0.812 (0.790 to 0.831)`."""
    if value is None:
        return "n/a (one class only)"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def estimate(found: Estimate | None) -> str:
    """`0.81 (0.79 to 0.83)`."""
    if found is None:
        return "n/a"
    interval = "" if found.ci95 is None else f" ({found.ci95[0]:.2f} to {found.ci95[1]:.2f})"
    return f"{found.value:.2f}{interval}"


def share(value: float) -> str:
    """A percentage."""
    return f"{value:.1%}"


def known(value: float | None, form: str, otherwise: str = "not measured") -> str:
    """A value in its form, or the words for one that nobody measured."""
    return otherwise if value is None else form.format(value)
