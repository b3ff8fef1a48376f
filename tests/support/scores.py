"""Scores of drawn images with known properties, for what is measured on scores."""

from __future__ import annotations

import numpy as np

from chest_xray.evaluation.scored import Origin, ScoredImages, Scores
from chest_xray.findings import FINDINGS


def origin(**changes: object) -> Origin:
    """Of drawn scores."""
    fields: dict[str, object] = {
        "data_hash": "d" * 64,
        "label_version": "v2020",
        "split_source": "lists",
        "weights_sha256": "e" * 64,
        "positive_weights": (2.0,) * len(FINDINGS),
    }
    return Origin.model_validate(fields | changes)


def drawn(images: int, patients: int, *, first: int = 0, seed: int = 0, prevalence: float = 0.3) -> ScoredImages:
    """Images whose logits are two standard deviations apart by label; every patient has one at least."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(patients), rng.integers(0, patients, images - patients)])
    labels = (rng.random((images, len(FINDINGS))) < prevalence).astype(np.float32)
    return ScoredImages(
        findings=FINDINGS,
        images=np.array([f"{k:05d}.png" for k in range(images)]),
        patients=owner.astype(np.int64) + first,
        ages=rng.integers(20, 90, patients)[owner].astype(np.float32),
        sexes=rng.choice(["F", "M"], patients)[owner],
        views=rng.choice(["PA", "AP"], images),
        seen_in_training=np.zeros(images, dtype=bool),
        labels=labels,
        logits=(rng.normal(size=labels.shape) + 2 * labels - 1).astype(np.float32),
    )


def scores(images: int = 600, patients: int = 200, **changes: object) -> Scores:
    """As many validation images as test images, of other patients."""
    validation = drawn(images, patients, first=10_000, seed=1)
    return Scores(origin(**changes), validation, drawn(images, patients, seed=2))
