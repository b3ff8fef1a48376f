"""The boxes of test images as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.shards import Shards
from chest_xray.statistics import Floats


@dataclass(frozen=True, slots=True)
class BoxTable:
    """The boxes of test images, one row each: n of them.

    Attributes:
        rows: (n,), positions in the shards.
        names: F findings of the data.
        findings: (n,), places in `names`.
        places: (n, 4), left, top, right, bottom in shares of the image's sides.
        patients: (n,).
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    findings: NDArray[np.int64]
    places: Floats
    patients: NDArray[np.int64]

    @classmethod
    def of(cls, shards: Shards, rows: NDArray[np.int64]) -> BoxTable:
        """The boxes of the images at `rows`, in their order."""
        boxes = [(int(row), box) for row in rows for box in shards.boxes[row]]
        found = np.array([row for row, _ in boxes], dtype=np.int64)
        places = [(box.x, box.y, box.x + box.width, box.y + box.height) for _, box in boxes]
        return cls(
            names=shards.findings,
            rows=found,
            findings=np.array([shards.findings.index(box.finding) for _, box in boxes], dtype=np.int64),
            places=np.array(places, dtype=np.float64).reshape(-1, 4),
            patients=shards.patients[found],
        )
