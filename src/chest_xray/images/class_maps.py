"""Class activation maps over a film: how a map of a few cells becomes evidence at every pixel, and its colours.

Serving draws these maps and evaluation measures them against boxes; both take them from here, so that what is measured
is what is looked at.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FAINT: Final = 1.0
OPACITY: Final = 0.55

# Plasma by Nathaniel Smith and Stefan van der Walt (CC0), at nine even steps: even to the eye and to most colour-blind
# eyes, and no grey in it, so that it cannot be taken for the film.
ANCHORS: Final = (
    (13, 8, 135),
    (76, 2, 161),
    (126, 3, 168),
    (170, 35, 149),
    (204, 71, 120),
    (229, 107, 93),
    (248, 148, 65),
    (253, 195, 40),
    (240, 249, 33),
)


def colours(levels: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Levels 0..1 of any shape (...) to colours (..., 3); levels outside are clipped."""
    steps = np.linspace(0.0, 1.0, len(ANCHORS))
    channels = [np.interp(levels, steps, channel) for channel in zip(*ANCHORS, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def evidence(cam: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The positive part of a map (h, w) at the pixels of a film (height, width), in shares of the logit.

    Each cell is the square that it is: nothing finer was measured, and a smooth picture would look as if it were.
    """
    enlarged = Image.fromarray(cam.astype(np.float32)).resize((width, height), Image.Resampling.NEAREST)
    positive: NDArray[np.float32] = np.maximum(np.asarray(enlarged, dtype=np.float32), np.float32(0))
    return positive


def full_scale(cam: NDArray[np.float32]) -> float:
    """The share of the logit that is drawn in the last colour: the map's largest, but at least `FAINT`."""
    return max(float(cam.max()), FAINT)


def overlay(film: NDArray[Any], cam: NDArray[np.float32], *, full: float | None = None) -> NDArray[np.uint8]:
    """A film (H, W), uint8 or uint16, with its map (h, w) drawn over it: colours (H, W, 3).

    `full` is the evidence drawn in the last colour, for maps that are to be compared; by default `full_scale(cam)`.
    """
    levels = np.minimum(evidence(cam, *film.shape) / (full or full_scale(cam)), 1.0)
    opacity = (OPACITY * levels)[..., np.newaxis]
    grey = displayed(film)[..., np.newaxis].astype(np.float32)
    mixed: NDArray[np.uint8] = (grey * (1 - opacity) + colours(levels) * opacity).round().astype(np.uint8)
    return mixed


def displayed(film: NDArray[Any]) -> NDArray[np.uint8]:
    """8 bits for the eye: a 16-bit film is stretched from its darkest to its brightest value."""
    if film.dtype == np.uint8:
        return film
    low, high = int(film.min()), int(film.max())
    return ((film.astype(np.float32) - low) * (255.0 / max(high - low, 1))).round().astype(np.uint8)
