"""Maps that never saw the film: noise, the middle, and the mean place of a finding's boxes in other patients.

A figure of a network's map means something only beside theirs: a large box is hit by chance, and hearts are where
hearts are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chest_xray.evaluation.localise.regions import Marks, StackedMarks, find_marks
from chest_xray.images.class_maps import evidence
from chest_xray.statistics import Floats

RANDOM_DRAWS = 1000


def random_marks(cells: tuple[int, int], side: int, *, draws: int, seed: int) -> StackedMarks:
    """Marks of maps of independent standard normal cells (h, w), which are drawn and marked as a network's are."""
    rng = np.random.default_rng([seed, *cells])
    noise = rng.standard_normal((draws, *cells)).astype(np.float32)
    return StackedMarks.of([find_marks(evidence(cam, side, side)) for cam in noise])


def centre_marks(cells: tuple[int, int], side: int) -> StackedMarks:
    """Marks of the map (h, w) that always has its evidence in the middle: in one cell, or in the two or four there."""
    middle = np.zeros(cells, np.float32)
    rows, columns = ([(count - 1) // 2, count // 2] for count in cells)
    middle[np.ix_(rows, columns)] = 1
    return StackedMarks.of([find_marks(evidence(middle, side, side))])


def average_places(boxes: Floats, patients: NDArray[np.int64], side: int) -> list[Marks | None]:
    """For each box (n, 4) of one finding, in pixels, the marks of the mean over the boxes of other patients.

    None for a box that no other patient's stands beside. One patient's boxes are left out together, because films of
    one patient show the same place.
    """
    masks = np.stack([_mask(box, side) for box in boxes])
    total = masks.sum(axis=0, dtype=np.int32)
    marks: dict[int, Marks | None] = {}
    for patient in np.unique(patients).tolist():
        others = total - masks[patients == patient].sum(axis=0, dtype=np.int32)
        marks[patient] = find_marks(others.astype(np.float32)) if others.any() else None
    return [marks[patient] for patient in patients.tolist()]


def _mask(box: Floats, side: int) -> NDArray[np.uint8]:
    """(S, S), 1 at pixels whose centre lies in the box, and at one pixel at least."""
    left, top, right, bottom = np.ceil(box - 0.5).astype(int).tolist()
    left, top = (min(max(edge, 0), side - 1) for edge in (left, top))
    mask = np.zeros((side, side), np.uint8)
    mask[top : max(bottom, top + 1), left : max(right, left + 1)] = 1
    return mask
