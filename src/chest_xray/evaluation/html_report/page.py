"""The page, from the templates in this folder: warnings first, then figures, tables and curves.

Jinja2 escapes every text that a template is given; no text of ours is marked as safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from chest_xray.evaluation.html_report.charts import UnitSquare


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and the `facts` of the template that is named for its `key`, which is also its anchor."""

    key: str
    heading: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Number:
    """One headline figure."""

    name: str
    value: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of many small charts, with what stands below it."""

    name: str
    below: str
    chart: UnitSquare


@cache
def templates() -> Environment:
    """The templates; a name that nobody gave them is an error, not an empty place."""
    environment = Environment(
        loader=PackageLoader("chest_xray.evaluation.html_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["thousands"] = "{:,}".format
    environment.filters["known"] = _known
    return environment


def _known(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
