"""What the exported graph gives for films of the shards: for the bundle's baseline, and for its guard."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.evaluation.graph_scores import GraphScores, thinned

BASELINE_IMAGES = 2000


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


def write_baseline(directory: Path, shards: Shards, scores: GraphScores) -> None:
    """Logits, embeddings and tags of validation images, with no image name and no patient id."""
    rows, embedding = scores.rows, scores.embeddings.astype(np.float16)
    columns: dict[str, object] = {name: scores.logits[:, k] for k, name in enumerate(shards.findings)}
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
