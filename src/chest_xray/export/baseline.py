"""What the exported graph gives for films of the shards: for the bundle's baseline, and for its guard."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.findings import FINDINGS

BASELINE_IMAGES = 2000
_BATCH = 16


class GraphSession(Protocol):
    """What runs a graph: an ONNX Runtime session, or what is called as one is."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any]) -> Sequence[Any]:
        """The named outputs."""
        ...


@dataclass(frozen=True, slots=True)
class GraphScores:
    """Logits (N, 14) and embeddings (N, 1024), float32, of the films at `rows` of a shard folder."""

    rows: NDArray[np.int64]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def thinned(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of the rows, evenly spaced, the first and the last among them."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64)]


def baseline_rows(shards: Shards) -> NDArray[np.int64]:
    """Validation rows, evenly thinned to `BASELINE_IMAGES`.

    Raises:
        TrainingError: there is none.
    """
    rows = shards.rows("val")
    if len(rows) == 0:
        raise TrainingError(
            f"{shards.root} holds no validation image, from which the guard takes its threshold. "
            "Prepare the data again with more patients."
        )
    return thinned(rows, BASELINE_IMAGES)


def run_graph(session: GraphSession, shards: Shards, rows: NDArray[np.int64], *, title: str) -> GraphScores:
    """Score the films at `rows`, as they are stored, with progress."""
    logits, embeddings = [], []
    with progress(title, len(rows)) as advance:
        for start in range(0, len(rows), _BATCH):
            image = shards.read(rows[start : start + _BATCH])[:, None]
            a, b = session.run(["logits", "embedding"], {"image": image})
            logits.append(a)
            embeddings.append(b)
            advance(len(image))
    return GraphScores(rows, np.concatenate(logits), np.concatenate(embeddings))


def write_baseline(directory: Path, shards: Shards, scores: GraphScores) -> None:
    """Logits, embeddings and tags of validation images, with no image name and no patient id."""
    rows, embedding = scores.rows, scores.embeddings.astype(np.float16)
    columns: dict[str, object] = {name: scores.logits[:, k] for k, name in enumerate(FINDINGS)}
    columns |= {
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(embedding.ravel()), embedding.shape[1]),
        "age": shards.ages[rows],
        "sex": [shards.sexes[row] for row in rows],
        "view": [shards.views[row] for row in rows],
        "pixel_mean": shards.pixel_mean[rows],
        "pixel_std": shards.pixel_std[rows],
    }
    directory.mkdir()
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, compression="zstd")
    (directory / "validation.parquet").write_bytes(stream.getvalue())
