"""The page: warnings first, then figures, tables and curves. Every text from data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Final

CONTENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its HTML; `key` is its anchor."""

    key: str
    heading: str
    html: str


@dataclass(frozen=True, slots=True)
class Number:
    """One headline figure."""

    name: str
    value: str
    below: str = ""


def page(
    title: str, below: str, notice: str, warnings: Sequence[str], numbers: Sequence[Number], sections: Sequence[Section]
) -> str:
    """The whole document. Texts are plain; only `Section.html` is HTML already."""
    style = files("chest_xray.evaluation.html_report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{section.key}">{escape(section.heading)}</a>' for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{escape(title)}</h1>\n<p class="soft">{escape(below)}</p>\n'
        f'<p class="notice">{escape(notice)}</p>\n{_warnings(warnings)}{_numbers(numbers)}'
        f"<nav>{links}</nav>\n</header>\n" + "".join(_section(section) for section in sections) + "</body>\n</html>\n"
    )


def paragraph(text: str, css: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{css}">{escape(text)}</p>' if css else f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", total: bool = False) -> str:
    """A table of plain texts; with `total` the last row is set apart."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(_row(row, css="total" if total and row is rows[-1] else "") for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def small_multiples(figures: Sequence[tuple[str, str, str]]) -> str:
    """A grid of charts: (name, what stands below it, its SVG)."""
    return (
        '<div class="grid">'
        + "".join(
            f"<figure>{svg}<figcaption><b>{escape(name)}</b><br>{escape(below)}</figcaption></figure>"
            for name, below, svg in figures
        )
        + "</div>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values, one pair a line."""
    inside = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">{inside}</dl>'


def _row(row: Sequence[str], css: str) -> str:
    first, *rest = row
    cells = f'<th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
    return f'<tr class="{css}">{cells}</tr>' if css else f"<tr>{cells}</tr>"


def _section(section: Section) -> str:
    return f'<section id="{section.key}">\n<h2>{escape(section.heading)}</h2>\n{section.html}\n</section>\n'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<div class="warnings" role="note"><h2>Read first</h2><ul>{items}</ul></div>\n'


def _numbers(numbers: Sequence[Number]) -> str:
    inside = "".join(
        f"<div><dt>{escape(number.name)}</dt><dd>{escape(number.value)}"
        + (f"<small>{escape(number.below)}</small>" if number.below else "")
        + "</dd></div>"
        for number in numbers
    )
    return f'<dl class="numbers">{inside}</dl>\n'
