"""Which layers stay in float: none where that holds, else the ones that disturb the network most.

Chosen on validation films; the test list only accepts or rejects what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress, say
from chest_xray.data.shards import Shards
from chest_xray.evaluation.graph_scores import thinned
from chest_xray.evaluation.graphs import GraphOutputs, map_correlations, open_session, run_all
from chest_xray.export.compress.quantise import Calibrated

# Stricter than what the test list is held to, as these films set the ranges.
LEAST_MAP_CORRELATION: Final = 0.985
LARGEST_LOGIT_ERROR: Final = 0.15
_PROBES: Final = 8
_STEP: Final = 0.05
_MOST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How far a graph is from the one it came from, on the same films.

    `logits` is the root mean square difference over the standard deviation of the logits of each finding, the mean
    over findings; `maps` the mean correlation of heat maps.
    """

    logits: float
    maps: float

    @property
    def holds(self) -> bool:
        """Whether the graph is near enough to be tried on the test list."""
        return self.logits <= LARGEST_LOGIT_ERROR and self.maps >= LEAST_MAP_CORRELATION


@dataclass(frozen=True, slots=True)
class Quantised:
    """A graph in int8 and the layers that it left in float."""

    graph: bytes
    excluded: tuple[str, ...]


def disturbance(before: GraphOutputs, after: GraphOutputs) -> Disturbance:
    """How far `after` is from `before`."""
    error = np.sqrt(((after.logits - before.logits) ** 2).mean(axis=0))
    spread = np.maximum(before.logits.std(axis=0), 1e-6)
    found = map_correlations(before.cams, after.cams)
    known = found[np.isfinite(found)]
    return Disturbance(float((error / spread).mean()), float(known.mean()) if len(known) else 1.0)


def choose_layers(calibrated: Calibrated, shards: Shards, before: GraphOutputs) -> Quantised:
    """Quantise every layer, then ever fewer, until the graph holds on the films of `before`.

    At most half of the layers are left out; the last try is returned, for the test list to judge.
    """
    graph = calibrated.quantised()
    found = _measure(graph, shards, before)
    if found.holds:
        return Quantised(graph, ())
    say(f"All layers in int8: logits off by {found.logits:.2f} deviations, maps {found.maps:.3f}. Searching layers.")
    ranked = _by_sensitivity(calibrated, shards, before)
    excluded: tuple[str, ...] = ()
    for count in _counts(len(ranked)):
        excluded = tuple(ranked[:count])
        graph = calibrated.quantised(excluded)
        if _measure(graph, shards, before).holds:
            break
    return Quantised(graph, excluded)


def _counts(layers: int) -> list[int]:
    most = max(1, int(layers * _MOST))
    return sorted({min(most, max(1, round(layers * _STEP * step))) for step in range(1, round(_MOST / _STEP) + 1)})


def _by_sensitivity(calibrated: Calibrated, shards: Shards, before: GraphOutputs) -> Sequence[str]:
    """Layers, the worst first, by what quantising each of them alone does to logits and maps."""
    chosen: NDArray[np.int64] = thinned(np.arange(len(before.rows)), _PROBES)
    probes = GraphOutputs(
        before.rows[chosen], before.logits[chosen], before.embeddings[chosen], before.cams[chosen]
    )  # fmt: skip
    harm = {}
    with progress("Measuring layers", len(calibrated.layers), "layers") as advance:
        for layer in calibrated.layers:
            alone = calibrated.quantised([name for name in calibrated.layers if name != layer])
            found = _measure(alone, shards, probes)
            harm[layer] = found.logits + (1 - found.maps)
            advance(1)
    return sorted(harm, key=lambda layer: -harm[layer])


def _measure(graph: bytes, shards: Shards, before: GraphOutputs) -> Disturbance:
    return disturbance(before, run_all(open_session(graph), shards, before.rows, title="Checking int8"))
