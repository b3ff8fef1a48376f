"""The square on which a film is drawn, and the few shapes from which everything is made.

Film units: x and y run from -1 to 1 over the film, x to the right of the image (the patient's left), y downwards.
One centimetre of an adult is about 0.047 units. The canvas reaches to ±REACH so that a shifted or turned film is still
covered. Shapes are functions of film units: a film has the same content at any size. Nothing here calls BLAS, so worker
processes do not compete with its threads.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float32]
Stroke = tuple[NDArray[np.float64], float, float]  # points (k, 2) in film units, width in film units, brightness 0..1

REACH: Final = 1.1
CENTIMETRE: Final = 0.047
_OVERSAMPLING: Final = 2


@dataclass
class Window:
    """A rectangle of a canvas: shapes are computed only where they can be seen, which makes drawing twice as fast."""

    x: Field  # (1, columns)
    y: Field  # (rows, 1)
    at: tuple[slice, slice]  # its rows and columns in the canvas

    def glow(self, cx: float, cy: float, sx: float, sy: float) -> Field:
        """Gaussian of height 1 around (cx, cy) with standard deviations (sx, sy)."""
        across = np.exp(-0.5 * ((self.x - np.float32(cx)) / np.float32(sx)) ** 2)
        down = np.exp(-0.5 * ((self.y - np.float32(cy)) / np.float32(sy)) ** 2)
        return np.asarray(across * down, np.float32)

    def radius(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Field:
        """Elliptical radius around (cx, cy): 1 on the ellipse with half-axes (rx, ry) turned by `turn` radians."""
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = self.x - np.float32(cx), self.y - np.float32(cy)
        u = (c / np.float32(rx)) * dx + (s / np.float32(rx)) * dy
        v = (c / np.float32(ry)) * dy - (s / np.float32(ry)) * dx
        u *= u
        v *= v
        u += v
        return np.sqrt(u, out=u)


class Canvas(Window):
    """One film in the making: a grid and the layers of a chest, each (n, n) float32.

    `lungs` are the two lungs without heart, 0..1; `air` is the depth of lung along the ray in 0..1, `fill` the fraction
    of that air replaced by a finding, `vessels` the vascular markings, `dense` any other attenuation (negative: gas
    outside the lung).
    """

    def __init__(self, size: int) -> None:
        self.size = size  # pixels of the finished film
        self.n = n = round(size * REACH)
        line = np.asarray(((np.arange(n) + 0.5) / n * 2 - 1) * REACH, np.float32)
        super().__init__(line[None, :], line[:, None], (slice(0, n), slice(0, n)))
        self.air, self.fill, self.vessels, self.dense = (self.blank() for _ in range(4))
        self.lungs = {side: self.blank() for side in (-1, 1)}

    def blank(self) -> Field:
        """A layer of zeros (n, n)."""
        return np.zeros((self.n, self.n), np.float32)

    def window(self, left: float, right: float, top: float = -REACH, bottom: float = REACH) -> Window:
        """The part of the canvas between these film units; at least one pixel."""
        ends = [round((v / REACH + 1) / 2 * self.n) for v in (left, right, top, bottom)]
        x0, y0 = (min(max(v, 0), self.n - 1) for v in (ends[0], ends[2]))
        x1, y1 = min(max(ends[1], x0 + 1), self.n), min(max(ends[3], y0 + 1), self.n)
        return Window(self.x[:, x0:x1], self.y[y0:y1], (slice(y0, y1), slice(x0, x1)))

    def half(self, side: int, top: float = -REACH, bottom: float = REACH) -> Window:
        """The patient's right (-1) or left (1) half."""
        return self.window(-REACH, 0, top, bottom) if side < 0 else self.window(0, REACH, top, bottom)

    def around(self, cx: float, cy: float, reach: float) -> Window:
        """The square of half-side `reach` around a point."""
        return self.window(cx - reach, cx + reach, cy - reach, cy + reach)

    def spread(self, window: Window, values: Field) -> Field:
        """A layer that has `values` in a window and zeros elsewhere."""
        layer = self.blank()
        layer[window.at] = values
        return layer

    def opacify(self, cover: Field) -> None:
        """Replace the fraction `cover` (0..1) of the lung's air; fillings over each other multiply what is left."""
        self.fill = 1 - (1 - self.fill) * (1 - np.clip(cover, 0, np.float32(0.97)))

    def texture(self, rng: np.random.Generator, cells: int) -> Field:
        """Smooth noise of mean 0 and deviation about 1 with `cells` cells across, the same at any size."""
        coarse = rng.standard_normal((cells, cells), dtype=np.float32)
        image = Image.fromarray(coarse).resize((self.n, self.n), Image.Resampling.BICUBIC)
        return np.asarray(image, np.float32) * np.float32(1.3)

    def strokes(self, strokes: list[Stroke]) -> Field:
        """Draw polylines, later ones over earlier ones; returns 0..1."""
        n = self.n * _OVERSAMPLING
        image = Image.new("L", (n, n))
        pen = ImageDraw.Draw(image)
        scale = n / 2 / REACH
        ends = np.cumsum([len(points) for points, _, _ in strokes]).tolist()
        pixels = ((np.concatenate([points for points, _, _ in strokes]) + REACH) * scale).tolist()
        start = 0
        for (_, width, brightness), end in zip(strokes, ends, strict=True):
            wide = width * scale
            line = [tuple(point) for point in pixels[start:end]]
            joint = "curve" if wide > 4 else None
            pen.line(line, fill=round(255 * brightness * min(1.0, wide)), width=max(1, round(wide)), joint=joint)
            start = end
        return np.asarray(image.reduce(_OVERSAMPLING), np.float32) * np.float32(1 / 255)


def ramp(distance: NDArray[np.floating], width: float) -> Field:
    """Smooth step of a signed distance: 0 below -width/2, 1 above width/2."""
    t = np.asarray(distance * np.float32(1 / width), np.float32)  # from here in place: this is the busiest function
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    square = t * t
    t *= np.float32(-2)
    t += np.float32(3)
    t *= square
    return np.asarray(t, np.float32)


def curve(knots: NDArray[np.float64], at: NDArray[np.floating]) -> NDArray[np.float32]:
    """Catmull-Rom curve through `knots` (k, 2), flat outside them, evaluated at `at` of any shape."""
    kx, ky = knots[:, 0], knots[:, 1]
    slope = np.gradient(ky, kx)
    x = np.clip(at, kx[0], kx[-1])
    i = np.clip(np.searchsorted(kx, x, side="right") - 1, 0, len(kx) - 2)
    h = kx[i + 1] - kx[i]
    t = (x - kx[i]) / h
    value = (
        (1 + 2 * t) * (1 - t) ** 2 * ky[i]
        + t * (1 - t) ** 2 * h * slope[i]
        + t * t * (3 - 2 * t) * ky[i + 1]
        + t * t * (t - 1) * h * slope[i + 1]
    )
    return np.asarray(value, np.float32)
