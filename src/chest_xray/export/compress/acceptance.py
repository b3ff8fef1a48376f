"""Whether a compressed graph may stand in for the one it came from: measured on the test list, held to four bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.evaluation.comparison.results import Comparison, Difference
from chest_xray.evaluation.graphs import map_correlations
from chest_xray.export.compress.report import MapAgreement

LARGEST_MEAN_DROP: Final = 0.002
LARGEST_FINDING_DROP: Final = 0.01
LEAST_MAP_CORRELATION: Final = 0.98


def agreement_of(findings: Sequence[str], before: NDArray[np.float32], after: NDArray[np.float32]) -> MapAgreement:
    """How alike two sets of heat maps (N, F, h, w) of the findings are; 0 where no pair can be correlated."""
    found = map_correlations(before, after)
    known = found[np.isfinite(found)]
    if len(known) == 0:
        return MapAgreement(mean=0, least=0, percentiles={}, by_finding={}, flat=found.size)
    columns = {name: found[np.isfinite(found[:, k]), k] for k, name in enumerate(findings)}
    return MapAgreement(
        mean=float(known.mean()),
        least=float(known.min()),
        percentiles={str(q): float(np.percentile(known, q)) for q in (1, 5, 25, 50)},
        by_finding={name: float(column.mean()) for name, column in columns.items() if len(column)},
        flat=int(found.size - len(known)),
    )


def broken_bars(comparison: Comparison, agreement: MapAgreement) -> list[str]:
    """The bars that do not hold, each with its figure; an empty list accepts.

    A finding's fall counts where the paired interval over patients excludes 0: a fall within noise is none.
    """
    broken = []
    fall = None if comparison.mean.difference is None else -comparison.mean.difference
    if fall is None:
        broken.append("no finding has enough test images of each class to compare")
    elif not fall <= LARGEST_MEAN_DROP:
        broken.append(f"mean AUROC falls by {fall:.4f}, at most {LARGEST_MEAN_DROP} is accepted")
    for name, row in comparison.findings.items():
        if _fell(row):
            broken.append(
                f"AUROC of {name} falls by {-(row.difference or 0):.4f} beyond noise, at most "
                f"{LARGEST_FINDING_DROP} is accepted"
            )
    if not agreement.mean >= LEAST_MAP_CORRELATION:
        broken.append(f"heat maps correlate at {agreement.mean:.4f}, at least {LEAST_MAP_CORRELATION} is expected")
    return broken


def _fell(row: Difference) -> bool:
    if row.difference is None:
        return False
    noise = row.ci95 is not None and row.ci95[1] >= 0
    return -row.difference > LARGEST_FINDING_DROP and not noise
