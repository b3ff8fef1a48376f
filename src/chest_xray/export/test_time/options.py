"""Ways to look at a film more than once. Each makes V views of it, and takes their logits and maps back to one film's.

A horizontal flip puts the heart on the right: the network was never trained on that. A crop takes `CROP_SIDE` of the
side, as 224 of 256 in Krizhevsky et al. (NIPS 2012), and is enlarged to what the network takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CROP_SIDE: Final = 0.875
Film = NDArray[np.uint8]
Maps = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Option:
    """One way. `views` of a film (S, S) are (V, S, S); `back` takes their maps (V, F, h, w) to one (F, h, w)."""

    name: str
    description: str
    passes: int
    views: Callable[[Film], Film]
    back: Callable[[Maps], Maps]


def _flips(film: Film) -> Film:
    return np.stack([film, film[:, ::-1]])


def unflip(maps: Maps) -> Maps:
    """The mean of the first half of the maps and of the second half turned back."""
    half = len(maps) // 2
    return np.concatenate([maps[:half], maps[half:, ..., ::-1]])


def _five_crops(film: Film) -> Film:
    picture, side = Image.fromarray(film), len(film)
    kept = CROP_SIDE * side
    boxes = [(left * side, top * side, left * side + kept, top * side + kept) for top, left in corners()]
    return np.stack([np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box)) for box in boxes])


def corners() -> list[tuple[float, float]]:
    """Top and left of the five crops, as parts of the side: four corners, then the middle."""
    rest = 1 - CROP_SIDE
    return [(0.0, 0.0), (0.0, rest), (rest, 0.0), (rest, rest), (rest / 2, rest / 2)]


def _ten_crops(film: Film) -> Film:
    crops = _five_crops(film)
    return np.concatenate([crops, crops[:, :, ::-1]])


def uncrop(maps: Maps) -> Maps:
    """Maps (5, F, h, w) of the crops, laid where the crops were and averaged cell by cell where they overlap."""
    total, seen = np.zeros(maps.shape[1:]), np.zeros(maps.shape[2:])
    for cams, (top, left) in zip(maps, corners(), strict=True):
        rows, down = _places(maps.shape[2], top)
        columns, across = _places(maps.shape[3], left)
        inside = down[:, None] & across
        total += np.where(inside, rows @ cams.astype(np.float64) @ columns.T, 0)
        seen += inside
    return total / seen


def _places(cells: int, start: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Linear interpolation (cells, cells) from a crop's cells to the film's, and which of these the crop shows."""
    centres = (np.arange(cells) + 0.5) / cells
    inside = (centres > start) & (centres < start + CROP_SIDE)
    position = np.clip((centres - start) / CROP_SIDE * cells - 0.5, 0, cells - 1)
    low = np.minimum(position.astype(int), max(cells - 2, 0))
    weights = np.zeros((cells, cells))
    weights[np.arange(cells), low] = 1 - (position - low)
    weights[np.arange(cells), np.minimum(low + 1, cells - 1)] += position - low
    return weights, inside


PLAIN: Final = Option("plain", "the film as it is", 1, lambda film: film[None], lambda maps: maps[0])
OPTIONS: Final = (
    Option("flip", "the film and its mirror image", 2, _flips, lambda maps: unflip(maps).mean(axis=0)),
    Option("five-crop", "four corners and the middle, 0.875 of the side", 5, _five_crops, uncrop),
    Option(
        "ten-crop",
        "these five and their mirror images",
        10,
        _ten_crops,
        lambda maps: uncrop(unflip(maps).reshape(2, 5, *maps.shape[1:]).mean(axis=0)),
    ),
)
