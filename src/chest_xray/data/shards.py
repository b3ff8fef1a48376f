"""Prepared images: `shard-00000.npy` ... (uint8, N x S x S), `index.parquet` and `dataset.json`.

`dataset.json` is written last: a folder without it is not a data set. Any row can be read at random without decoding,
so an epoch can be shuffled exactly and resumed exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.index import BOX_FIELDS, INDEX_FILE, findings_of, read_index
from chest_xray.data.nih_tables import Box
from chest_xray.errors import DataError
from chest_xray.finding_names import check_findings

if TYPE_CHECKING:
    import pyarrow as pa

DATASET_FILE = "dataset.json"
FORMAT_VERSION = 1


class Shards:
    """A prepared data set, opened for reading. Columns are in the order of the index; positions count from 0.

    Attributes:
        root: the folder.
        dataset: `dataset.json`, parsed: counts, source, software.
        image_size: S, the side of every stored image in pixels.
        data_hash: SHA-256 of pixels and index.
        label_version: 'v2020', '2017' or 'phantom'.
        findings: F names, in the order of the labels.
        images: names of the source files.
        patients: (N,) int64.
        ages: (N,) float32, years, NaN when not known.
        sexes: 'M', 'F' or ''.
        views: 'PA', 'AP' or ''.
        splits: 'train', 'val' or 'test'.
        labels: (N, F) uint8, 0 or 1.
        boxes: of each image, as fractions of its width and height.
        heights: (N,) int32, of the source file in pixels.
        widths: (N,) int32, of the source file in pixels.
        pixel_mean: (N,) float32 of the stored pixels, 0..255.
        pixel_std: (N,) float32 of the stored pixels.
    """

    def __init__(self, root: Path, dataset: dict[str, Any], table: pa.Table, pixels: list[NDArray[np.uint8]]) -> None:
        self.root = root
        self.dataset = dataset
        self.image_size: int = dataset["image_size"]
        self.data_hash: str = dataset["data_hash"]
        self.label_version: str = dataset["label_version"]
        self.findings: tuple[str, ...] = findings_of(table)
        self.images: list[str] = table["image"].to_pylist()
        self.patients: NDArray[np.int64] = table["patient"].to_numpy()
        self.ages: NDArray[np.float32] = table["age"].to_numpy()
        self.sexes: list[str] = table["sex"].to_pylist()
        self.views: list[str] = table["view"].to_pylist()
        self.splits: list[str] = table["split"].to_pylist()
        self.labels: NDArray[np.uint8] = np.column_stack([table[finding].to_numpy() for finding in self.findings])
        self.boxes: list[tuple[Box, ...]] = [_boxes(cell) for cell in table["boxes"].to_pylist()]
        self.heights: NDArray[np.int32] = table["height"].to_numpy()
        self.widths: NDArray[np.int32] = table["width"].to_numpy()
        self.pixel_mean: NDArray[np.float32] = table["pixel_mean"].to_numpy()
        self.pixel_std: NDArray[np.float32] = table["pixel_std"].to_numpy()
        self._shard: NDArray[np.int32] = table["shard"].to_numpy()
        self._row: NDArray[np.int32] = table["row"].to_numpy()
        self._pixels = pixels

    @classmethod
    def open(cls, root: Path) -> Shards:
        """Open a folder that prepare-data has finished. Checks everything but the pixels' hashes.

        Raises:
            DataError: unfinished, of another format version, or a file is missing or has another shape.
        """
        dataset = read_dataset(root)
        table = read_index(root / INDEX_FILE)
        if table.num_rows != dataset["counts"]["images"]:
            raise DataError(
                f"{root / INDEX_FILE} has {table.num_rows} rows and {DATASET_FILE} says "
                f"{dataset['counts']['images']}: run prepare-data into a new folder."
            )
        _check_findings(root, dataset, table)
        side = dataset["image_size"]
        pixels = [_open_shard(root / shard["file"], (shard["rows"], side, side)) for shard in dataset["shards"]]
        opened = cls(root, dataset, table, pixels)
        foreign = {box.finding for boxes in opened.boxes for box in boxes} - set(opened.findings)
        if foreign:
            raise DataError(
                f"{root / INDEX_FILE} has a box of {min(foreign)!r}, which is none of {', '.join(opened.findings)}: "
                "run prepare-data into a new folder."
            )
        return opened

    def __len__(self) -> int:
        return len(self.images)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the files again; no pixels are copied to it."""
        return partial(Shards.open, self.root), ()

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of the images of a split ('train', 'val' or 'test'), ascending."""
        return np.flatnonzero(np.asarray(self.splits) == split)

    def read(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """The pixels (n, S, S) at n positions, in the order asked for; a position may come twice."""
        places = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(places), self.image_size, self.image_size), np.uint8)
        for image, shard, row in zip(out, self._shard[places].tolist(), self._row[places].tolist(), strict=True):
            image[:] = self._pixels[shard][row]
        return out


def read_dataset(root: Path) -> dict[str, Any]:
    """Read `dataset.json`.

    Raises:
        DataError: it is not there, cannot be read, or is of another format version.
    """
    path = root / DATASET_FILE
    if not path.is_file():
        raise DataError(f"{root} has no {DATASET_FILE}: run prepare-data on it until it says that it has finished.")
    try:
        dataset = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): run prepare-data into a new folder.") from error
    version = dataset.get("version") if isinstance(dataset, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {version!r}, expected {FORMAT_VERSION}: run prepare-data into a new folder."
        )
    return dict(dataset)


def _check_findings(root: Path, dataset: dict[str, Any], table: pa.Table) -> None:
    """The index's columns are the findings; `dataset.json` repeats them, but for one from before it did."""
    findings = findings_of(table)
    named = dataset.get("findings", list(findings))
    if named != list(findings):
        raise DataError(
            f"{root / DATASET_FILE} names the findings {named} and {INDEX_FILE} has {', '.join(findings)}: "
            "run prepare-data into a new folder."
        )
    try:
        check_findings(findings)
    except ValueError as error:
        raise DataError(f"{root / INDEX_FILE}: {error}. Run prepare-data into a new folder.") from error


def _open_shard(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    try:
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): run prepare-data into a new folder.") from error
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise DataError(f"{path} holds {pixels.dtype} {pixels.shape}, expected uint8 {shape}: prepare a new folder.")
    return np.asarray(pixels)


def _boxes(cell: list[dict[str, Any]] | None) -> tuple[Box, ...]:
    return tuple(Box(*(box[name] for name in BOX_FIELDS)) for box in cell or ())
