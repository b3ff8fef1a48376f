"""The linear discriminant that tells an upright film from an inverted, a turned or a cropped one.

Each training film is shown in each of `POSES`; the poses' mean thumbnails and one covariance within the poses, shrunk
after Ledoit and Wolf (2004), give the log likelihood of a pose up to a term that all poses share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.images.coarse import thumbnail
from chest_xray.statistics import Floats

# Their thumbnails in all poses are 115 MB.
POSE_IMAGES: Final = 1000
# Of the scales tried on real films, alone and together, this one told most crops at one false warning in a hundred.
CROP_SIDE: Final = 0.65


def in_each_pose(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """A film (S, S) as it is in each of `POSES`, in their order; the crops are smaller. Turns are to the left."""
    yield pixels
    yield 255 - pixels
    for quarter_turns in (1, 2, 3):
        yield np.ascontiguousarray(np.rot90(pixels, quarter_turns))
    side = len(pixels)
    kept = max(1, round(CROP_SIDE * side))
    places = (0, (side - kept) // 2, side - kept)
    for top in places:
        for left in places:
            yield np.ascontiguousarray(pixels[top : top + kept, left : left + kept])


def fit_poses(shards: Shards, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Weights (14, 1024) and biases (14,): thumbnail @ weights.T + biases is each pose's log likelihood."""
    from sklearn.covariance import ledoit_wolf

    shown = _thumbnails(shards, rows)
    means = shown.mean(axis=0)
    covariance, _ = ledoit_wolf((shown - means).reshape(-1, shown.shape[2]), assume_centered=True)
    # A direction in which no film differs says nothing of a pose.
    weights = means @ np.linalg.pinv(covariance, hermitian=True)
    return weights, -0.5 * (weights * means).sum(axis=1)


def _thumbnails(shards: Shards, rows: NDArray[np.int64]) -> Floats:
    """(N, 14, 1024)."""
    shown = []
    with progress("Poses", len(rows)) as advance:
        for row in rows:
            shown.append([thumbnail(pose) for pose in in_each_pose(shards.read([row])[0])])
            advance(1)
    return np.asarray(shown)
