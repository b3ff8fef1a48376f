"""predictions.parquet: the scores of validation and test images with all that their evaluation needs.

Columns: split, image, patient, age, sex, view, seen_in_training (whether the patient has images in the training list),
then label, logit and calibrated probability of each finding. What they were made of stands in the file's metadata.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from chest_xray.bundle import Calibration, Frozen, Sha256
from chest_xray.errors import TrainingError
from chest_xray.evaluation.calibration.calibrate import apply_calibration
from chest_xray.evaluation.results.evaluation import ListSource

PREDICTIONS: Final = "predictions.parquet"
_METADATA: Final = b"cxr"
_KINDS: Final = ("label", "logit")


class Origin(Frozen):
    """What the scores were made of."""

    format: Literal["cxr-predictions/1"] = "cxr-predictions/1"
    data_hash: Sha256
    label_version: str
    split_source: ListSource
    weights_sha256: Sha256
    positive_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ScoredImages:
    """N images and what the network says of them.

    Attributes:
        findings: F names, in the order of labels and logits.
        images: (N,) names of files.
        patients: (N,).
        ages: (N,), years, NaN when not known.
        sexes: 'M', 'F' or ''.
        views: 'PA', 'AP' or ''.
        seen_in_training: (N,), whether the patient is in the training list.
        labels: (N, F), 0 or 1; NaN where a label is missing.
        logits: (N, F), before calibration.
    """

    findings: tuple[str, ...]
    images: NDArray[np.str_]
    patients: NDArray[np.int64]
    ages: NDArray[np.float32]
    sexes: NDArray[np.str_]
    views: NDArray[np.str_]
    seen_in_training: NDArray[np.bool_]
    labels: NDArray[np.float32]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.patients)

    def of(self, chosen: NDArray[np.bool_]) -> ScoredImages:
        """Some of them."""
        columns = {name: getattr(self, name)[chosen] for name in self.__slots__ if name != "findings"}
        return ScoredImages(findings=self.findings, **columns)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored validation and test images and their origin."""

    origin: Origin
    validation: ScoredImages
    test: ScoredImages

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read predictions.parquet.

        Raises:
            TrainingError: it is not there, is not such a file, or is from before it held what an evaluation needs.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise TrainingError(f"{path} cannot be read ({error}). Make it with `cxr evaluate --run RUN`.") from error
        content = (table.schema.metadata or {}).get(_METADATA)
        findings = _findings_of(table.schema.names)
        missing = sorted(_columns(findings) - set(table.schema.names))
        if content is None or missing:
            what = f"no column {missing[0]}" if missing else "no origin in its metadata"
            raise TrainingError(f"{path} has {what}: expected what `cxr evaluate --run RUN` writes. Make it again.")
        try:
            origin = Origin.model_validate_json(content)
        except ValidationError as error:
            raise TrainingError(f"{path}: {error.errors()[0]['msg']}. Make it again with `cxr evaluate`.") from error
        if len(findings) != len(origin.positive_weights):
            raise TrainingError(
                f"{path} has columns of {len(findings)} findings, expected {len(origin.positive_weights)}, as many as "
                "the network has. Make it again with `cxr evaluate`."
            )
        splits = np.asarray(table["split"].to_pylist(), dtype=np.str_)
        every = _images_of(table, findings)
        return cls(origin, every.of(splits == "val"), every.of(splits == "test"))

    def to_parquet(self, calibrations: Mapping[str, Calibration]) -> bytes:
        """The file, with probabilities by the calibrations of all findings."""
        parts = (self.validation, self.test)
        logits = np.concatenate([part.logits for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        columns: dict[str, object] = {"split": ["val"] * len(self.validation) + ["test"] * len(self.test)}
        for column, name in _TAGS.items():
            columns[column] = pa.array(np.concatenate([getattr(part, name) for part in parts]).tolist(), _TYPES[column])
        for k, name in enumerate(self.test.findings):
            known = np.isfinite(labels[:, k])
            columns[f"{name}.label"] = pa.array(np.where(known, labels[:, k], 0).astype(np.uint8), mask=~known)
            columns[f"{name}.logit"] = logits[:, k]
            columns[f"{name}.probability"] = apply_calibration(calibrations[name], logits[:, k])
        table = pa.table(columns).replace_schema_metadata({_METADATA: self.origin.model_dump_json().encode()})
        stream = io.BytesIO()
        pq.write_table(table, stream, compression="zstd")
        return stream.getvalue()


_TAGS: Final = {
    "image": "images",
    "patient": "patients",
    "age": "ages",
    "sex": "sexes",
    "view": "views",
    "seen_in_training": "seen_in_training",
}
_TYPES: Final = {
    "image": pa.string(),
    "patient": pa.int64(),
    "age": pa.float32(),
    "sex": pa.string(),
    "view": pa.string(),
    "seen_in_training": pa.bool_(),
}


def _findings_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The names that have a column of labels or logits, in their order."""
    parts = (column.rpartition(".") for column in columns)
    return tuple(dict.fromkeys(name for name, _, kind in parts if kind in _KINDS))


def _columns(findings: Sequence[str]) -> set[str]:
    return {"split", *_TAGS, *(f"{name}.{kind}" for name in findings for kind in _KINDS)}


def _images_of(table: pa.Table, findings: tuple[str, ...]) -> ScoredImages:
    tags = {name: np.asarray(table[column].to_pylist()) for column, name in _TAGS.items()}
    label, logit = (np.column_stack([_floats(table[f"{name}.{kind}"]) for name in findings]) for kind in _KINDS)
    return ScoredImages(
        findings=findings,
        images=tags["images"].astype(np.str_),
        patients=tags["patients"].astype(np.int64),
        ages=tags["ages"].astype(np.float32),
        sexes=tags["sexes"].astype(np.str_),
        views=tags["views"].astype(np.str_),
        seen_in_training=tags["seen_in_training"].astype(bool),
        labels=label,
        logits=logit,
    )


def _floats(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Values with NaN for what is null."""
    values: NDArray[np.float32] = column.cast(pa.float32()).to_numpy().astype(np.float32)
    return values
