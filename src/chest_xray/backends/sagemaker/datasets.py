"""Prepared data in S3: what `dataset.json` says of them, and a copy of them on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chest_xray.console import progress
from chest_xray.data.index import INDEX_FILE
from chest_xray.data.shards import DATASET_FILE
from chest_xray.errors import CloudError, DataError
from chest_xray.files import sha256_of
from chest_xray.lock import only_one

if TYPE_CHECKING:
    from pathlib import Path

    from chest_xray.backends.sagemaker.store import Store
    from chest_xray.locations import S3Prefix


def read_remote(store: Store, place: S3Prefix) -> dict[str, Any]:
    """`dataset.json` of a prefix that prepare-data has finished.

    Raises:
        DataError: there is none.
        CloudError: it cannot be read.
    """
    try:
        dataset: dict[str, Any] = json.loads(store.read(str(place / DATASET_FILE)))
    except CloudError as error:
        if "NoSuchKey" not in str(error):
            raise
        raise DataError(
            f"{place} holds no prepared data ({DATASET_FILE} is not there): run cxr prepare-data."
        ) from error
    return dataset


def fetch_dataset(store: Store, place: S3Prefix, folder: Path) -> Path:
    """Copy prepared data below `folder`, once; returns where. What was copied before an interruption is kept.

    Raises:
        DataError: there are none, or a shard is not what `dataset.json` says.
        CloudError: they cannot be read.
    """
    dataset = read_remote(store, place)
    to = folder / str(dataset["data_hash"])[:16]
    if (to / DATASET_FILE).is_file():
        return to
    with only_one(folder / f"{to.name}.lock", DataError(f"{place} is being copied by another command: wait for it.")):
        if not (to / DATASET_FILE).is_file():
            _fetch(store, place, dataset, to)
    return to


def _fetch(store: Store, place: S3Prefix, dataset: dict[str, Any], to: Path) -> None:
    shards = {shard["file"]: shard["sha256"] for shard in dataset["shards"]}
    with progress(f"Copying {place}", len(shards), unit="shards") as advance:
        for name, sha256 in shards.items():
            path = to / name
            if not (path.is_file() and sha256_of(path) == sha256):
                store.download(str(place / name), path)
                if sha256_of(path) != sha256:
                    path.unlink()
                    raise DataError(f"{place / name} is not what {DATASET_FILE} says: prepare the data again.")
            advance(1)
    # The last one says that all are there.
    for name in (INDEX_FILE, DATASET_FILE):
        store.download(str(place / name), to / name)
