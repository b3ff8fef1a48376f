"""Two sets of logits of the same test images, compared on all of them: findings and mean, no groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.shards import Shards
from chest_xray.evaluation.comparison.paired import PairedImages, compare
from chest_xray.evaluation.comparison.results import ComparedBundle, Comparison


def compare_logits(
    shards: Shards,
    rows: NDArray[np.int64],
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    *,
    rounds: int,
    seed: int,
) -> Comparison:
    """The paired comparison of logits A and B (n, F) of the images at `rows` (n,)."""
    images = PairedImages(
        findings=shards.findings,
        labels=shards.labels[rows],
        patients=shards.patients[rows],
        # Without tags there is no group.
        ages=np.full(len(rows), np.nan, dtype=np.float32),
        sexes=np.full(len(rows), ""),
        views=np.full(len(rows), ""),
        a=a,
        b=b,
    )
    sides = [
        ComparedBundle(name=name, digest="0" * 64, image_size=shards.image_size, data_hash=shards.data_hash)
        for name in ("A", "B")
    ]
    return compare(
        images, sides[0], sides[1], label_version=shards.label_version, notes=[], rounds=rounds, seed=seed
    )  # fmt: skip
