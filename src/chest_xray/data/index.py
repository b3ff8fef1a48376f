"""`index.parquet`: one line for each stored image, in the order of the image names.

Columns: shard, row (the place of its pixels), image, patient, age (years, NaN when not known), sex, view, split, one
0/1 column for each finding, boxes (fractions of the image's width and height, so that they hold at any size), height
and width (of the source file, in pixels), pixel_mean and pixel_std (of the stored pixels, 0..255).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

INDEX_FILE = "index.parquet"
BOX_FIELDS = ("finding", "x", "y", "width", "height")


def index_schema(findings: Sequence[str]) -> pa.Schema:
    """The columns of the index, in order."""
    import pyarrow as pa

    box = pa.struct([(BOX_FIELDS[0], pa.string()), *((name, pa.float64()) for name in BOX_FIELDS[1:])])
    return pa.schema(
        [
            ("shard", pa.int32()),
            ("row", pa.int32()),
            ("image", pa.string()),
            ("patient", pa.int64()),
            ("age", pa.float32()),
            ("sex", pa.string()),
            ("view", pa.string()),
            ("split", pa.string()),
            *((finding, pa.uint8()) for finding in findings),
            ("boxes", pa.list_(box)),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("pixel_mean", pa.float32()),
            ("pixel_std", pa.float32()),
        ]
    )


def encode_index(columns: dict[str, list[Any]], findings: Sequence[str]) -> bytes:
    """The bytes of a Parquet file of these columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=index_schema(findings)), sink, compression="zstd")
    return sink.getvalue()


def read_index(path: Path) -> pa.Table:
    """Read `index.parquet`.

    Raises:
        DataError: the file is not there, is not Parquet, or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, memory_map=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read ({error}): run prepare-data into a new folder.") from error
    if table.schema.names != index_schema(findings_of(table)).names:
        raise DataError(f"{path} has other columns than this version writes: run prepare-data into a new folder.")
    return table


def findings_of(table: pa.Table) -> tuple[str, ...]:
    """The findings whose columns stand between `split` and `boxes`; none where the table is no index."""
    names: list[str] = table.schema.names
    if not {"split", "boxes"}.issubset(names):
        return ()
    return tuple(names[names.index("split") + 1 : names.index("boxes")])


def content_hash(shard_hashes: Iterable[str], table: pa.Table) -> str:
    """SHA-256 of the data itself: the pixels of every shard and every value of the index.

    Taken over values, not over Parquet's bytes, so that another pyarrow gives the same hash.
    """
    digest = hashlib.sha256()
    for shard_hash in shard_hashes:
        digest.update(bytes.fromhex(shard_hash))
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            digest.update(json.dumps(list(row.values())).encode() + b"\n")
    return digest.hexdigest()
