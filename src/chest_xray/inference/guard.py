"""The guard: whether a film is like the training films, by its embedding."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle, GuardProfile
from chest_xray.bundle.film_statistics import FilmStatistics
from chest_xray.prediction import GuardVerdict


class Guard:
    """Measures embeddings against one bundle's training films. Safe to call from several threads at once."""

    def __init__(self, statistics: FilmStatistics, profile: GuardProfile):
        self._statistics = statistics
        self._profile = profile

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """The guard with the bundle's statistics and threshold."""
        return cls(bundle.statistics, bundle.manifest.guard)

    def judge(self, embedding: NDArray[np.floating[Any]]) -> GuardVerdict:
        """Measure one film's embedding (1024,); a film at the threshold is still in distribution."""
        distance = float(self._statistics.distance(embedding[np.newaxis])[0])
        return GuardVerdict(
            in_distribution=distance <= self._profile.threshold,
            distance=distance,
            threshold=self._profile.threshold,
            false_refusal_rate=self._profile.false_refusal_rate,
        )
