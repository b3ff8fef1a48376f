"""What a model card's figures are written with: bullets, tables, values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chest_xray.bundle import Interval
from chest_xray.evaluation.written import value


def bullets(*lines: str) -> str:
    """One bullet a line."""
    return "\n".join(f"- {line}" for line in lines)


def value_of(found: float | None, interval: Interval | None) -> str:
    """`0.812 (0.790 to 0.831)`."""
    return value(found, interval, otherwise="n/a (one class only)")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; `|` and `_` in a cell would be read as Markdown and are escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("_", "\\_")


def share(value: float) -> str:
    """A percentage."""
    return f"{value:.1%}"


def known(value: float | None, form: str, otherwise: str = "not measured") -> str:
    """A value in its form, or the words for one that nobody measured."""
    return otherwise if value is None else form.format(value)
