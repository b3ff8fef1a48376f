"""Reading shards: rows in the order asked for, and incomplete folders refused."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.preparing import SIZE, refusal

from chest_xray.data.index import read_index
from chest_xray.data.shards import Shards


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, 21), max_size=40))
def test_read_gives_the_rows_in_the_order_asked_for(prepared: Path, rows: list[int]) -> None:
    shards = Shards.open(prepared)
    index = read_index(prepared / "index.parquet")
    places = [(index["shard"][row].as_py(), index["row"][row].as_py()) for row in rows]
    expected = [np.load(prepared / f"shard-{shard:05d}.npy")[place] for shard, place in places]
    np.testing.assert_array_equal(shards.read(np.array(rows, np.int64)), np.reshape(expected, (-1, SIZE, SIZE)))


def test_shards_travel_to_another_process_as_a_path(prepared: Path) -> None:
    shards = Shards.open(prepared)
    pickled = pickle.dumps(shards)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).read([3, 1]), shards.read([3, 1]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "dataset.json").unlink(), "has no dataset.json: run prepare-data on it"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json is not JSON"),
        (lambda folder: (folder / "dataset.json").write_text('{"version": 7}'), "format version 7, expected 1"),
        (lambda folder: (folder / "shard-00003.npy").unlink(), "shard-00003.npy cannot be read"),
        (lambda folder: (folder / "shard-00003.npy").write_bytes(b"\x93NUMPY"), "shard-00003.npy cannot be read"),
        (lambda folder: shutil.copy(folder / "shard-00004.npy", folder / "shard-00000.npy"), "(4, 32, 32), expected"),
        (lambda folder: (folder / "index.parquet").write_bytes(b"PAR1"), "index.parquet cannot be read"),
        (lambda folder: (folder / "index.parquet").unlink(), "index.parquet cannot be read"),
    ],
    ids=["no dataset", "no json", "version", "no shard", "cut shard", "other shard", "no parquet", "no index"],
)
def test_open_refuses_an_incomplete_folder(
    prepared: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    damage(copy)
    assert message in refusal(lambda: Shards.open(copy))
