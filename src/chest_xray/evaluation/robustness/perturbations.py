"""Changes of a film as other equipment and other hands make them, each at graded levels; level 0 is the film itself.

They act on the films of the shards, uint8 (S, S), after decoding and resizing: a level is one of the network's input,
not of the detector. Chance is drawn by seed, row and perturbation: a film has the same noise at each level, only more.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Film = NDArray[np.uint8]
Change = Callable[[Film, float, np.random.Generator], Film]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A change and its levels, of growing strength. `setting` of a level is what people know it as, in `unit`."""

    name: str
    unit: str
    levels: tuple[float, ...]
    change: Change
    setting: Callable[[float], float] = float

    def apply(self, film: Film, level: float, rng: np.random.Generator) -> Film:
        """The film (S, S) at a level; at 0 the same pixels."""
        return film if level == 0 else self.change(film, level, rng)


def _grey(values: NDArray[np.floating]) -> Film:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _gain(film: Film, level: float, _: np.random.Generator) -> Film:
    return _grey(film * (1 + level))


def _gamma(film: Film, level: float, _: np.random.Generator) -> Film:
    return _grey(255 * (film / 255.0) ** (2.0**level))


def _noise(film: Film, level: float, rng: np.random.Generator) -> Film:
    """Quantum noise: its variance grows with the signal; `level` is the deviation at white, in grey levels."""
    return _grey(film + rng.normal(size=film.shape) * level * np.sqrt(film / 255.0))


def _blur(film: Film, level: float, _: np.random.Generator) -> Film:
    return np.asarray(Image.fromarray(film).filter(ImageFilter.GaussianBlur(level)))


def _rotation(film: Film, level: float, rng: np.random.Generator) -> Film:
    """To one side or the other, by chance; what turns in from outside is black."""
    angle = level * rng.choice([-1, 1])
    return np.asarray(Image.fromarray(film).rotate(angle, Image.Resampling.BILINEAR))


def _cropping(film: Film, level: float, rng: np.random.Generator) -> Film:
    """`level` of the side is lost, divided between the two sides by chance, and the rest is enlarged."""
    side = len(film)
    kept = side * (1 - level)
    left, top = rng.uniform(0, side - kept, size=2)
    picture = Image.fromarray(film)
    box = (left, top, left + kept, top + kept)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _jpeg(film: Film, level: float, _: np.random.Generator) -> Film:
    """Baseline JPEG of quality 100 less `level`."""
    stream = io.BytesIO()
    Image.fromarray(film).save(stream, "JPEG", quality=round(100 - level))
    with Image.open(stream) as picture:
        return np.asarray(picture)


def _resolution(film: Film, level: float, _: np.random.Generator) -> Film:
    """Reduced to the `1 - level` part of its side and enlarged again."""
    side = len(film)
    small = max(1, round(side * (1 - level)))
    picture = Image.fromarray(film).resize((small, small), Image.Resampling.BOX)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _percent(level: float) -> float:
    return round(100 * level, 6)


PERTURBATIONS: Final = (
    Perturbation("over-exposure", "gain", (0.1, 0.25, 0.5), _gain, lambda level: 1 + level),
    Perturbation("under-exposure", "gain", (-0.1, -0.25, -0.5), _gain, lambda level: 1 + level),
    Perturbation("gamma up", "exponent", (0.25, 0.5, 1.0), _gamma, lambda level: 2.0**level),
    Perturbation("gamma down", "exponent", (-0.25, -0.5, -1.0), _gamma, lambda level: 2.0**level),
    Perturbation("noise", "grey levels at white", (5, 15, 30), _noise),
    Perturbation("blur", "sigma in pixels", (0.5, 1.0, 2.0), _blur),
    Perturbation("rotation", "degrees", (5, 10, 15), _rotation),
    Perturbation("cropping", "% of side lost", (0.05, 0.1, 0.2), _cropping, _percent),
    Perturbation("JPEG", "quality", (20, 50, 80), _jpeg, lambda level: 100 - level),
    Perturbation("resolution", "% of side left", (0.25, 0.5, 0.75), _resolution, lambda level: _percent(1 - level)),
)


def generator(seed: int, row: int, name: str) -> np.random.Generator:
    """The chance of one film in one perturbation, the same at each level and in any order of films."""
    return np.random.default_rng([seed, row, *name.encode()])
