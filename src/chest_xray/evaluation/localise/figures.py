"""From hits and misses, a row a box, to shares with intervals over patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Interval
from chest_xray.evaluation.localise.regions import MEASURES
from chest_xray.evaluation.localise.results import (
    FEWEST_BOXES,
    THRESHOLDS,
    LocalisationFigure,
    LocalisedFinding,
)
from chest_xray.statistics import Floats


@dataclass(frozen=True, slots=True)
class Hits:
    """n boxes and whether maps hit them.

    Attributes:
        names: F findings of the data.
        findings: (n,), places in `names`.
        rows: (n,), which image.
        patients: (n,).
        model: (n, M), 0 or 1 by MEASURES; NaN where a measure of the map stands with another box of the same map.
        random: (n, M), the share of the maps of noise; NaN as in `model`.
        middle: (n, M), 0 or 1 of the map that is always in the middle; NaN as in `model`.
        place: (n, M), 0 or 1 of the average place; NaN as in `model`, and where there is none.
        empty: (n,), whether the map is without evidence, told with its first box.
        false_regions: (n,), regions that touch no box of the finding, told with the first box, else NaN.
    """

    names: tuple[str, ...]
    findings: NDArray[np.int64]
    rows: NDArray[np.int64]
    patients: NDArray[np.int64]
    model: Floats
    random: Floats
    middle: Floats
    place: Floats
    empty: NDArray[np.bool_]
    false_regions: Floats

    def of(self, finding: int) -> Hits:
        """The boxes of one finding."""
        kept = self.findings == finding
        return Hits(
            self.names,
            self.findings[kept],
            self.rows[kept],
            self.patients[kept],
            self.model[kept],
            self.random[kept],
            self.middle[kept],
            self.place[kept],
            self.empty[kept],
            self.false_regions[kept],
        )


class Localised(NamedTuple):
    """All boxes together, and each finding that has some."""

    overall: LocalisedFinding
    findings: dict[str, LocalisedFinding]


def figures_of(hits: Hits, *, rounds: int, seed: int) -> Localised:
    """The figures of at least one box; intervals are percentiles of `rounds` resamples of the patients."""
    present = [k for k in range(len(hits.names)) if (hits.findings == k).any()]
    return Localised(
        overall=_summary(hits, rounds, seed),
        findings={hits.names[k]: _summary(hits.of(k), rounds, seed) for k in present},
    )


def _summary(hits: Hits, rounds: int, seed: int) -> LocalisedFinding:
    figures = _figures(hits, rounds, seed)
    return LocalisedFinding(
        boxes=len(hits.rows),
        maps=int(np.isfinite(hits.false_regions).sum()),
        images=len(np.unique(hits.rows)),
        patients=len(np.unique(hits.patients)),
        few_boxes=len(hits.rows) < FEWEST_BOXES,
        empty_maps=int(hits.empty.sum()),
        false_regions=float(np.nanmean(hits.false_regions)),
        pointing_game=figures["pointing"],
        pointing_game_strict=figures["strict"],
        centre=figures["centre"],
        iou={str(t): figures[f"iou {t}"] for t in THRESHOLDS},
        iobb={str(t): figures[f"iobb {t}"] for t in THRESHOLDS},
    )


def _figures(hits: Hits, rounds: int, seed: int) -> dict[str, LocalisationFigure]:
    patients = len(np.unique(hits.patients))
    gains = hits.model - hits.place
    shares = _resampled(hits.model, hits.patients, rounds, seed)
    gain_rounds = _resampled(gains, hits.patients, rounds, seed)
    return {
        name: LocalisationFigure(
            value=float(np.nanmean(hits.model[:, m])),
            ci95=_share_interval(float(np.nanmean(hits.model[:, m])), shares, m, patients),
            random=float(np.nanmean(hits.random[:, m])),
            centre_cell=float(np.nanmean(hits.middle[:, m])),
            average_place=_mean(hits.place[:, m]),
            gain=_mean(gains[:, m]),
            gain_ci95=_interval(gain_rounds, m),
        )
        for m, name in enumerate(MEASURES)
    }


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _resampled(values: Floats, patients: NDArray[np.int64], rounds: int, seed: int) -> Floats | None:
    """Means (R, M) of what is known of values (n, M), patients drawn with replacement; None with one patient."""
    unique, index = np.unique(patients, return_inverse=True)
    if len(unique) < 2:
        return None
    sums, counts = np.zeros((2, len(unique), values.shape[1]))
    np.add.at(sums, index, np.nan_to_num(values))
    np.add.at(counts, index, np.isfinite(values))
    draws = np.random.default_rng(seed).multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=rounds)
    hit, of = draws @ sums, draws @ counts
    means: Floats = np.divide(hit, of, out=np.full_like(hit, np.nan), where=of > 0)
    return means


def _share_interval(share: float, rounds: Floats | None, measure: int, patients: int) -> Interval | None:
    """The percentile interval, or at 0 and 1 the exact one of that many patients (Clopper and Pearson 1934).

    Where no box is hit, or every one, resampling shows no spread.
    """
    if rounds is None or 0 < share < 1:
        return _interval(rounds, measure)
    rest = 1 - 0.025 ** (1 / patients)
    return (0.0, rest) if share == 0 else (1 - rest, 1.0)


def _interval(rounds: Floats | None, measure: int) -> Interval | None:
    known = np.empty(0) if rounds is None else rounds[np.isfinite(rounds[:, measure]), measure]
    if rounds is None or len(known) < 0.9 * len(rounds):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
