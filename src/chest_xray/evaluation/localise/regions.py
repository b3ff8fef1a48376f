"""From a map to its peak and its regions, and whether these hit a box.

Places are in pixels of the enlarged map: a box is (left, top, right, bottom), a point (x, y), and the centre of the
pixel in column c and row r is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chest_xray.evaluation.localise.results import REGION_SHARE, THRESHOLDS
from chest_xray.statistics import Floats

_OVERLAPS: Final = tuple(f"{kind} {threshold}" for kind in ("iou", "iobb") for threshold in THRESHOLDS)
MEASURES: Final = ("pointing", "strict", "centre", *_OVERLAPS)
POINT_MEASURES: Final = 3  # the first ones, which are of a map and not of a box
_EIGHT_NEIGHBOURS: Final = np.ones((3, 3))


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a map says that the finding is. A map without evidence has no region, and its peak is NaN.

    Attributes:
        peak: (2,), the map's maximum; of several the one nearest to their mean.
        regions: (n, 4), the bounding boxes of its regions.
        centre: (2,), the centre of the region's box that holds the peak.
    """

    peak: Floats
    regions: Floats
    centre: Floats


def find_marks(levels: NDArray[np.floating]) -> Marks:
    """The marks of a non-negative map (S, S)."""
    highest = float(levels.max())
    if highest <= 0:
        nowhere = np.full(2, np.nan)
        return Marks(nowhere, np.empty((0, 4)), nowhere)
    row, column = _peak(levels, highest)
    components, _ = ndimage.label(levels >= REGION_SHARE * highest, structure=_EIGHT_NEIGHBOURS)
    regions = np.array(
        [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(components)],
        dtype=np.float64,
    )
    left, top, right, bottom = regions[components[row, column] - 1]
    return Marks(
        peak=np.array([column + 0.5, row + 0.5]),
        regions=regions,
        centre=np.array([(left + right) / 2, (top + bottom) / 2]),
    )


def _peak(levels: NDArray[np.floating], highest: float) -> tuple[int, int]:
    places = np.argwhere(levels == highest)
    nearest = np.square(places - places.mean(axis=0)).sum(axis=1).argmin()
    row, column = places[nearest].tolist()
    return row, column


@dataclass(frozen=True, slots=True)
class StackedMarks:
    """The marks of D maps, side by side, so that a box is held to all of them at once.

    Attributes:
        peaks: (D, 2).
        centres: (D, 2).
        regions: (K, 4), of all maps.
        owners: (K,), which map a region belongs to.
    """

    peaks: Floats
    centres: Floats
    regions: Floats
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, marks: list[Marks]) -> StackedMarks:
        """Stack at least one map's marks."""
        counts = [len(one.regions) for one in marks]
        return cls(
            peaks=np.stack([one.peak for one in marks]),
            centres=np.stack([one.centre for one in marks]),
            regions=np.concatenate([one.regions for one in marks]),
            owners=np.repeat(np.arange(len(marks)), counts),
        )

    def hits(self, box: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Whether each map hits `box` (4,): (D, M), a column each of MEASURES. `tolerance` is in pixels."""
        distance = _distance(self.peaks, box)
        iou, iobb = overlaps(self.regions, box)
        best = [self._best(values) for values in (iou, iobb)]
        columns = [distance <= tolerance, distance <= 0, _distance(self.centres, box) <= 0]
        columns += [values > threshold for values in best for threshold in THRESHOLDS]
        return np.stack(columns, axis=1)

    def _best(self, values: Floats) -> Floats:
        """The largest value among each map's regions (K,) -> (D,); 0 where it has none."""
        best = np.zeros(len(self.peaks))
        np.maximum.at(best, self.owners, values)
        return best


def overlaps(regions: Floats, box: Floats) -> tuple[Floats, Floats]:
    """Intersection over union, and over the region's own area, of regions (K, 4) and one box: two (K,) arrays."""
    sides = np.minimum(regions[:, 2:], box[2:]) - np.maximum(regions[:, :2], box[:2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(regions[:, 2:] - regions[:, :2], axis=1)
    return shared / (areas + np.prod(box[2:] - box[:2]) - shared), shared / areas


def _distance(points: Floats, box: Floats) -> Floats:
    """Distance of points (D, 2) from a box, 0 inside; NaN, which no tolerance covers, for a map without evidence."""
    outside: Floats = np.maximum(np.maximum(box[:2] - points, points - box[2:]), 0)
    return np.hypot(outside[:, 0], outside[:, 1])
