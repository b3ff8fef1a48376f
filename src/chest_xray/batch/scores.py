"""scores.parquet: a row for each film, and the parts that it is made of while a folder is scored.

    OUTPUT/scores.parquet     all rows, in the order of their keys
    OUTPUT/parts/N.parquet    rows since then, each part whole or not there

Columns: key, bytes, modified_ns (the file's), outcome (`scored` or `refused`), code and detail (why it was refused),
event_id, what is known of the film, the guard's verdict, quality (codes of warnings), withheld (why the scores are not
to be read), and for each finding `NAME.probability` and `NAME.flag`. The model stands in the file's metadata.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from chest_xray.batch.films import FilmFile
from chest_xray.errors import DataError, ImageError
from chest_xray.files import write_atomically
from chest_xray.inference.http.problems import image_code
from chest_xray.prediction import ModelIdentity, Prediction

FILE: Final = "scores.parquet"
PARTS: Final = "parts"
_FORMAT: Final = "cxr-scores/1"
_METADATA: Final = b"cxr"
_COLUMNS: Final[Mapping[str, pa.DataType]] = {
    "key": pa.string(),
    "bytes": pa.int64(),
    "modified_ns": pa.int64(),
    "outcome": pa.string(),
    "code": pa.string(),
    "detail": pa.string(),
    "event_id": pa.string(),
    "media_type": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "view": pa.string(),
    "age": pa.int32(),
    "sex": pa.string(),
    "in_distribution": pa.bool_(),
    "guard_distance": pa.float64(),
    "quality": pa.list_(pa.string()),
    "withheld": pa.string(),
}

Row = dict[str, Any]


def row_of(film: FilmFile, result: Prediction | ImageError) -> Row:
    """The row of one film."""
    row: Row = {"key": film.key, "bytes": film.bytes, "modified_ns": film.modified_ns}
    if isinstance(result, ImageError):
        return row | {"outcome": "refused", "code": image_code(result), "detail": str(result)}
    facts, guard = result.film, result.guard
    row |= {
        "outcome": "scored",
        "event_id": result.event_id,
        "media_type": facts.media_type,
        "width": facts.width,
        "height": facts.height,
        "view": facts.view,
        "age": facts.age,
        "sex": facts.sex,
        "in_distribution": guard.in_distribution,
        "guard_distance": guard.distance,
        "quality": [warning.check for warning in result.quality],
        "withheld": result.withheld,
    }
    for score in result.findings:
        row |= {f"{score.finding}.probability": score.probability, f"{score.finding}.flag": score.flag}
    return row


class ScoresFolder:
    """The output folder of one model's scores. Belongs to one process at a time."""

    def __init__(self, root: Path, model: ModelIdentity, findings: Sequence[str]) -> None:
        self.root, self.file = root, root / FILE
        self._model = {"format": _FORMAT, "name": model.name, "version": model.version, "digest": model.digest}
        self._schema = pa.schema(
            [
                *_COLUMNS.items(),
                *((f"{name}.probability", pa.float64()) for name in findings),
                *((f"{name}.flag", pa.bool_()) for name in findings),
            ],
            metadata={_METADATA: json.dumps(self._model).encode()},
        )

    def done(self) -> set[tuple[str, int, int]]:
        """Key, size and time of every film that has a row.

        Raises:
            DataError: the folder holds the scores of another model, or a file that cannot be read.
        """
        columns = ("key", "bytes", "modified_ns")
        return {
            row
            for path in self._files()
            for row in zip(*(self._read(path)[name].to_pylist() for name in columns), strict=True)
        }

    def add(self, rows: Sequence[Row]) -> None:
        """Keep some rows as the next part."""
        if rows:
            number = max((int(path.stem) for path in self._parts()), default=0) + 1
            table = pa.Table.from_pylist(list(rows), schema=self._schema)
            write_atomically(self.root / PARTS / f"{number:06}.parquet", _bytes(table))

    def finish(self, keys: Iterable[str]) -> pa.Table:
        """Make one file of all rows whose film is still there, the newest of each key, and delete the parts."""
        rows = {row["key"]: row for path in self._files() for row in self._read(path).to_pylist()}
        table = pa.Table.from_pylist([rows[key] for key in sorted(keys)], schema=self._schema)
        write_atomically(self.file, _bytes(table))
        shutil.rmtree(self.root / PARTS, ignore_errors=True)
        return table

    def _files(self) -> list[Path]:
        return [*([self.file] if self.file.is_file() else []), *self._parts()]

    def _parts(self) -> list[Path]:
        return sorted((self.root / PARTS).glob("*.parquet"))

    def _read(self, path: Path) -> pa.Table:
        try:
            table = pq.read_table(path)
            model = json.loads((table.schema.metadata or {})[_METADATA])
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
            raise DataError(f"{path} holds no scores of `cxr score` ({error}). Use another --output.") from error
        if model != self._model:
            raise DataError(
                f"{path} holds scores of {model.get('name')} version {model.get('version')} "
                f"({str(model.get('digest'))[:12]}), not of the deployed {self._model['name']} version "
                f"{self._model['version']} ({str(self._model['digest'])[:12]}). Use another --output."
            )
        return table


def _bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()
