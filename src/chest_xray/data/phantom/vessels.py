"""The vascular tree: branches that leave the hilum, fork and taper towards the wall."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.phantom.anatomy import LEFT, SIDES, Chest
from chest_xray.data.phantom.canvas import Stroke

_HILUM: Final = (0.165, -0.09)  # the left one lies a little higher
# Direction in degrees (0 lateral, 90 down), length and width of the main branches.
_BRANCHES: Final = np.array(
    [
        (-80, 0.42, 0.020), (-58, 0.46, 0.020), (-38, 0.40, 0.017), (-14, 0.40, 0.016), (6, 0.42, 0.017),
        (28, 0.44, 0.020), (46, 0.50, 0.026), (62, 0.56, 0.032), (78, 0.56, 0.030),
    ]
)  # fmt: skip
_FORKS: Final = ((2, 0.5), (4, -0.45), (6, 0.2))  # which bend of the parent, turn in radians
_BENDS: Final = 7
_GENERATIONS: Final = 3

Vector = NDArray[np.float64]


def hilum(chest: Chest, side: int) -> tuple[float, float]:
    """Centre of the hilum on one side."""
    x, y = _HILUM
    return side * x + chest.shift, y - (0.03 if side == LEFT else 0.0)


def grow_vessels(chest: Chest, seed: int) -> list[Stroke]:
    """Both lungs' trees as strokes, thin ones first; the same seed always grows the same tree.

    `chest.cephalised` widens what goes up.
    """
    rng = np.random.default_rng(seed)
    count = len(_BRANCHES)
    side = np.repeat(np.array(SIDES, np.float64), count)
    degrees, length, width = (np.tile(column, 2) for column in _BRANCHES.T)
    up = np.where(degrees < 0, 1.0, 0.1)
    angle = np.radians(degrees + rng.normal(0, 6, 2 * count))
    start = np.repeat(np.array([hilum(chest, s) for s in SIDES]), count, axis=0) + rng.normal(0, 0.012, (2 * count, 2))
    strokes: list[Stroke] = []
    for _ in range(_GENERATIONS):
        points, bends = _walk(rng, start, angle, side, length)
        wide = width * (1 + 0.9 * chest.cephalised * up)
        strokes += _tapered(points, wide)
        start = np.concatenate([points[:, k] for k, _ in _FORKS])
        turns = np.repeat([turn for _, turn in _FORKS], len(angle))
        angle = np.concatenate([bends[:, k - 1] for k, _ in _FORKS]) + turns * rng.uniform(0.5, 1.4, len(turns))
        length, width = (np.tile(v, 3) * rng.uniform(0.45, 0.68, len(turns)) for v in (length, width))
        side, up = np.tile(side, 3), np.tile(up, 3)
    return sorted(strokes, key=lambda stroke: stroke[1])


def _walk(
    rng: np.random.Generator, start: Vector, angle: Vector, side: Vector, length: Vector
) -> tuple[Vector, Vector]:
    """Points (n, _BENDS + 1, 2) and directions (n, _BENDS) of n wandering branches."""
    bends = angle[:, None] + np.cumsum(rng.normal(0, 0.16, (len(angle), _BENDS)), axis=1)
    steps = np.stack([side[:, None] * np.cos(bends), np.sin(bends)], axis=2) * (length / _BENDS)[:, None, None]
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(steps, axis=1)], axis=1), bends


def _tapered(points: Vector, width: Vector) -> list[Stroke]:
    """Cut each branch into pieces that get thinner and fainter outwards."""
    strokes: list[Stroke] = []
    for k in range(0, _BENDS, 2):
        taper = width * (1 - 0.6 * k / _BENDS)
        brightness = np.minimum(1.0, 0.25 + 24 * taper)
        strokes += zip(points[:, k : k + 3], taper.tolist(), brightness.tolist(), strict=True)
    return strokes
