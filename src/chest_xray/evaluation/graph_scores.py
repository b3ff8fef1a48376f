"""What a graph gives for films of the shards: logits and embeddings, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards

_BATCH = 16


class GraphSession(Protocol):
    """What runs a graph: an ONNX Runtime session, or what is called as one is."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any]) -> Sequence[Any]:
        """The named outputs."""
        ...


@dataclass(frozen=True, slots=True)
class GraphScores:
    """Logits (N, F) and embeddings (N, 1024), float32, of the films at `rows` of a shard folder."""

    rows: NDArray[np.int64]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def thinned(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of the rows, evenly spaced, the first and the last among them."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64)]


def run_graph(session: GraphSession, shards: Shards, rows: NDArray[np.int64], *, title: str) -> GraphScores:
    """Score the films at `rows`, as they are stored, with progress."""
    logits, embeddings = run_batches(session, shards, rows, ("logits", "embedding"), title=title)
    return GraphScores(rows, logits, embeddings)


def run_batches(
    session: GraphSession, shards: Shards, rows: NDArray[np.int64], outputs: Sequence[str], *, title: str
) -> list[NDArray[np.float32]]:
    """The named outputs (N, ...) for the films at `rows` (N,), as they are stored, with progress."""
    found: list[Sequence[NDArray[np.float32]]] = []
    with progress(title, len(rows)) as advance:
        for start in range(0, len(rows), _BATCH):
            image = shards.read(rows[start : start + _BATCH])[:, None]
            found.append(session.run(outputs, {"image": image}))
            advance(len(image))
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
