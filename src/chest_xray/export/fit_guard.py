"""The guard's statistics from training films, and its thresholds from validation films.

Films of the shards, not augmented, through the exported graph: what serving will measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import GuardProfile, QualityProfile
from chest_xray.bundle.film_statistics import POSES, FilmStatistics
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.evaluation.graph_scores import GraphScores, GraphSession, run_graph, thinned
from chest_xray.export.fit_poses import POSE_IMAGES, fit_poses
from chest_xray.images.coarse import grey_range, thumbnail
from chest_xray.statistics import Floats

FALSE_REFUSAL_RATE: Final = 0.01
GUARD_IMAGES: Final = 5000
COMPONENTS: Final = 32
FEWEST_IMAGES: Final = 8
# 4 of 8 bits: what a film of less shows is noise.
BLANK_RANGE: Final = 16.0


@dataclass(frozen=True, slots=True)
class FittedGuard:
    """What `fit_guard` writes into a bundle."""

    statistics: FilmStatistics
    guard: GuardProfile
    quality: QualityProfile


def fit_guard(session: GraphSession, shards: Shards, validation: GraphScores) -> FittedGuard:
    """Fit on training films, evenly thinned to `GUARD_IMAGES`, and set the thresholds on the validation films.

    Raises:
        TrainingError: there are fewer than `FEWEST_IMAGES` training films.
    """
    rows = thinned(shards.rows("train"), GUARD_IMAGES)
    if len(rows) < FEWEST_IMAGES:
        raise TrainingError(
            f"{shards.root} holds {len(rows)} training images; the guard needs at least {FEWEST_IMAGES}. "
            "Prepare a folder with more."
        )
    training = run_graph(session, shards, rows, title="Guard")
    poses = fit_poses(shards, thinned(rows, POSE_IMAGES))
    statistics = fit_distance(training.embeddings, poses).as_stored()
    bound = conformal_bound(statistics.distance(validation.embeddings), FALSE_REFUSAL_RATE)
    guard = GuardProfile(
        threshold=bound.value,
        false_refusal_rate=bound.rate,
        training_images=len(rows),
        validation_images=len(validation.rows),
    )
    return FittedGuard(statistics, guard, fit_quality(statistics, shards, validation.rows))


def fit_distance(embeddings: NDArray[np.floating[Any]], poses: tuple[Floats, Floats]) -> FilmStatistics:
    """Probabilistic PCA (Tipping and Bishop, 1999) of the standardised square roots of embeddings (N, 1024)."""
    roots = np.sqrt(np.maximum(embeddings.astype(np.float64), 0.0))
    mean, spread = roots.mean(axis=0), roots.std(axis=0)
    # A unit that is silent on training films would make any film infinitely far.
    scale = np.maximum(spread, max(0.01 * float(np.median(spread)), 1e-6))
    standard = (roots - mean) / scale
    _, singular, directions = np.linalg.svd(standard, full_matrices=False)
    variances = np.maximum(singular**2 / len(standard), 1e-6)
    kept = min(COMPONENTS, (len(standard) - 1) // 2)
    rest = variances[kept:].sum() / (roots.shape[1] - kept)
    return FilmStatistics(mean, scale, directions[:kept], variances[:kept], np.asarray(rest), *poses)


@dataclass(frozen=True, slots=True)
class Bound:
    """A value, and the rate at most at which another draw from where the sample came exceeds it."""

    value: float
    rate: float


def conformal_bound(values: Floats, rate: float) -> Bound:
    """The least value of a sample (n,) that a new draw exceeds with a probability of at most `rate`.

    The ceil((n + 1) (1 - rate))-th smallest, by exchangeability. Where n is too small for the rate it is the largest,
    and the bound's rate is 1 / (n + 1).
    """
    count = len(values) + 1
    above = max(1, floor(count * rate))
    return Bound(float(np.sort(values)[-above]), above / count)


def fit_quality(statistics: FilmStatistics, shards: Shards, rows: NDArray[np.int64]) -> QualityProfile:
    """The margins of the quality checks from validation films."""
    ranges, gains = [], []
    for row in rows:
        pixels = shards.read([row])[0]
        ranges.append(-float(grey_range(pixels)))
        gains.append(statistics.pose_gains(thumbnail(pixels)[np.newaxis])[0])
    blank = conformal_bound(np.asarray(ranges), FALSE_REFUSAL_RATE)
    every = np.asarray(gains)

    def margin(check: str) -> float:
        poses = [k for k, pose in enumerate(POSES[1:]) if pose.startswith(check)]
        return max(0.0, conformal_bound(every[:, poses].max(axis=1), FALSE_REFUSAL_RATE).value)

    return QualityProfile(
        blank_range=min(BLANK_RANGE, -blank.value),
        inverted_margin=margin("inverted"),
        rotated_margin=margin("rotated"),
        cropped_margin=margin("cropped"),
        false_warning_rate=blank.rate,
        validation_images=len(rows),
    )
