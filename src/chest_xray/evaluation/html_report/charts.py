"""What the charts of the page draw, and where: `templates/charts.html.j2` writes them as inline SVG.

Colours come from the page's style, so that they follow light, dark and paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chest_xray.bundle import Interval
from chest_xray.statistics import Floats


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


@dataclass(frozen=True, slots=True)
class UnitSquare:
    """A chart over 0..`most` in both directions, with a diagonal or a level line to compare with.

    Lengths are in units of the drawing; its frame has `side` and stands `left` of and `top` below the corner.
    """

    title: str
    curves: Sequence[Curve] = ()
    dots: Sequence[Dot] = ()
    diagonal: bool = False
    level: float | None = None
    most: float = 1.0

    side: ClassVar = 120
    left: ClassVar = 24
    top: ClassVar = 6
    width: ClassVar = left + side + 8
    height: ClassVar = top + side + 16

    def x(self, value: float) -> float:
        """From the left edge."""
        return round(self.left + value / self.most * self.side, 1)

    def y(self, value: float) -> float:
        """From the upper edge."""
        return round(self.top + (1 - value / self.most) * self.side, 1)

    def path(self, curve: Curve) -> str:
        """The line as SVG path data."""
        points = zip(curve.x.tolist(), curve.y.tolist(), strict=True)
        return "M" + " L".join(f"{self.x(x)},{self.y(y)}" for x, y in points)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot. `circle` and `cross` are values to compare with, drawn hollow and as a cross."""

    name: str
    value: float | None
    interval: Interval | None
    text: str
    circle: float | None = None
    cross: float | None = None
    css: str = ""


@dataclass(frozen=True, slots=True)
class Forest:
    """Values with their intervals, a line each, over low..high; what lies outside is cut at the edge.

    Lengths are in units of the drawing: `names` for the text on the left, `values` for that on the right.
    """

    title: str
    rows: Sequence[Row]
    low: float
    high: float
    guide: float | None = None

    line: ClassVar = 22
    names: ClassVar = 150
    plot: ClassVar = 420
    values: ClassVar = 150
    width: ClassVar = names + plot + values

    @property
    def height(self) -> int:
        """Of the whole chart, with the axis below the rows."""
        return self.line * len(self.rows) + 26

    def x(self, value: float) -> float:
        """From the left edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return float(self.names + share * self.plot)

    def ticks(self) -> list[float]:
        """Values on the axis, at most nine."""
        span = self.high - self.low
        step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0) if span / step <= 8)
        return [float(value) for value in np.arange(np.ceil(self.low / step), self.high / step + 1e-9) * step]


def thinned(x: Floats, y: Floats, most: int = 150) -> Curve:
    """A curve of at most `most` points, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))
    return Curve(x[kept], y[kept])
