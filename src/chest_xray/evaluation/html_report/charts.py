"""Charts as inline SVG: colours come from the page's style, so that they follow light, dark and paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_SIDE, _LEFT, _BOTTOM, _TOP = 120.0, 24.0, 16.0, 6.0
_LINE = 22.0
_NAMES, _VALUES = 150.0, 150.0
_PLOT = 420.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (n,) in the unit square, drawn as a line in order; `css` is `second` for the other colour."""

    x: Floats
    y: Floats
    css: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of the unit square with an optional vertical interval."""

    x: float
    y: float
    whisker: Interval | None = None
    css: str = ""


def unit_square(
    title: str,
    curves: Sequence[Curve] = (),
    dots: Sequence[Dot] = (),
    *,
    diagonal: bool = False,
    level: float | None = None,
    most: float = 1.0,
) -> str:
    """A chart over 0..`most` in both directions, with a diagonal or a level line to compare with."""
    square = _Square(most)
    parts = [_frame(square)]
    if diagonal:
        parts.append(f'<path class="guide" d="M{square.x(0)},{square.y(0)} L{square.x(most)},{square.y(most)}"/>')
    if level is not None:
        parts.append(f'<path class="guide" d="M{square.x(0)},{square.y(level)} H{square.x(most)}"/>')
    parts += [f'<path class="curve {curve.css}" d="{_path(curve, square)}"/>' for curve in curves]
    parts += [_dot(dot, square) for dot in dots]
    size = f"0 0 {_LEFT + _SIDE + 8:g} {_TOP + _SIDE + _BOTTOM:g}"
    return f'<svg viewBox="{size}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot. `marks` are drawn as hollow circles and crosses: values to compare with."""

    name: str
    value: float | None
    interval: Interval | None
    text: str
    circle: float | None = None
    cross: float | None = None
    css: str = ""


def forest(title: str, rows: Sequence[Row], low: float, high: float, *, guide: float | None = None) -> str:
    """Values with their intervals, a line each, over low..high; what lies outside is cut at the edge."""
    height = _LINE * len(rows) + 26
    scale = _Scale(low, high)
    parts = [_axis(scale, height)]
    if guide is not None:
        x = scale.at(guide)
        parts.append(f'<path class="guide" d="M{x:.1f},0 V{height - 22:g}"/>')
    parts += [_forest_row(row, scale, _LINE * (place + 0.5)) for place, row in enumerate(rows)]
    size = f"0 0 {_NAMES + _PLOT + _VALUES:g} {height:g}"
    return f'<svg viewBox="{size}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def thinned(x: Floats, y: Floats, most: int = 150) -> Curve:
    """A curve of at most `most` points, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))
    return Curve(x[kept], y[kept])


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return _NAMES + share * _PLOT

    def ticks(self) -> list[float]:
        span = self.high - self.low
        step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0) if span / step <= 8)
        return [float(value) for value in np.arange(np.ceil(self.low / step), self.high / step + 1e-9) * step]


def _axis(scale: _Scale, height: float) -> str:
    return "".join(
        f'<path class="rule" d="M{scale.at(tick):.1f},0 V{height - 22:g}"/>'
        f'<text class="tick" x="{scale.at(tick):.1f}" y="{height - 6:g}" text-anchor="middle">{tick:.2g}</text>'
        for tick in scale.ticks()
    )


def _forest_row(row: Row, scale: _Scale, y: float) -> str:
    parts = [
        f'<text class="label" x="0" y="{y + 4:g}">{escape(row.name)}</text>',
        f'<text class="label" x="{_NAMES + _PLOT + 12:g}" y="{y + 4:g}">{escape(row.text)}</text>',
    ]
    if row.interval is not None:
        low, high = (scale.at(end) for end in row.interval)
        parts.append(f'<path class="whisker {row.css}" d="M{low:.1f},{y:g} H{high:.1f}"/>')
    if row.cross is not None:
        x = scale.at(row.cross)
        parts.append(f'<path class="cross" d="M{x - 4:.1f},{y - 4:g} l8,8 m0,-8 l-8,8"/>')
    if row.circle is not None:
        parts.append(f'<circle class="dot hollow" cx="{scale.at(row.circle):.1f}" cy="{y:g}" r="4"/>')
    if row.value is not None:
        parts.append(f'<circle class="dot {row.css}" cx="{scale.at(row.value):.1f}" cy="{y:g}" r="4.2"/>')
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Square:
    most: float

    def x(self, value: float) -> float:
        return round(_LEFT + value / self.most * _SIDE, 1)

    def y(self, value: float) -> float:
        return round(_TOP + (1 - value / self.most) * _SIDE, 1)


def _frame(square: _Square) -> str:
    ticks = "".join(
        f'<text class="tick" x="{square.x(value)}" y="{_TOP + _SIDE + 12:g}" text-anchor="middle">{value:g}</text>'
        f'<text class="tick" x="{_LEFT - 4:g}" y="{square.y(value) + 3:.1f}" text-anchor="end">{value:g}</text>'
        for value in (0, square.most / 2, square.most)
    )
    return f'<rect class="frame" x="{_LEFT:g}" y="{_TOP:g}" width="{_SIDE:g}" height="{_SIDE:g}"/>{ticks}'


def _dot(dot: Dot, square: _Square) -> str:
    line = ""
    if dot.whisker is not None:
        low, high = dot.whisker
        line = f'<path class="whisker {dot.css}" d="M{square.x(dot.x)},{square.y(low)} V{square.y(high)}"/>'
    return f'{line}<circle class="dot {dot.css}" cx="{square.x(dot.x)}" cy="{square.y(dot.y)}" r="2.4"/>'


def _path(curve: Curve, square: _Square) -> str:
    points = zip(curve.x.tolist(), curve.y.tolist(), strict=True)
    return "M" + " L".join(f"{square.x(x)},{square.y(y)}" for x, y in points)
