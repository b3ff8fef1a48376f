"""Reading shards: rows in the order asked for, findings by their own names, and incomplete folders refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.preparing import SIZE, refusal

from chest_xray.data.index import read_index
from chest_xray.data.shards import Shards
from chest_xray.findings import FINDINGS


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


def rename_columns(folder: Path, names: dict[str, str]) -> None:
    """Give columns of the index other names."""
    table = pq.read_table(folder / "index.parquet", memory_map=False)
    pq.write_table(
        table.rename_columns([names.get(name, name) for name in table.column_names]), folder / "index.parquet"
    )


def name_findings(folder: Path, findings: list[str] | None) -> None:
    """Write another list into dataset.json; None takes it out, as files from before it have none."""
    path = folder / "dataset.json"
    dataset = json.loads(path.read_text())
    dataset.pop("findings")
    path.write_text(json.dumps(dataset if findings is None else dataset | {"findings": findings}))


@pytest.fixture
def copied(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "copied"))


def test_the_folder_says_which_findings_its_labels_are_of(copied: Path) -> None:
    assert json.loads((copied / "dataset.json").read_text())["findings"] == list(FINDINGS)
    before = Shards.open(copied)
    assert before.findings == FINDINGS
    name_findings(copied, None)
    assert Shards.open(copied).findings == FINDINGS
    np.testing.assert_array_equal(Shards.open(copied).labels, before.labels)


def test_findings_of_other_names_are_read_in_their_order(copied: Path) -> None:
    before = Shards.open(copied)
    rename_columns(copied, {"Hernia": "Line-Tube", "Atelectasis": "Lung Opacity"})
    names = ["Lung Opacity", *FINDINGS[1:-1], "Line-Tube"]
    name_findings(copied, names)
    assert Shards.open(copied).findings == tuple(names)
    np.testing.assert_array_equal(Shards.open(copied).labels, before.labels)


def test_findings_that_contradict_each_other_are_refused(copied: Path) -> None:
    name_findings(copied, [*FINDINGS[1:], FINDINGS[0]])
    assert "names the findings ['Cardiomegaly', " in refusal(lambda: Shards.open(copied))
    name_findings(copied, None)
    rename_columns(copied, {"Mass": "Tumour"})
    assert "has a box of 'Mass', which is none of Atelectasis, " in refusal(lambda: Shards.open(copied))
    rename_columns(copied, {"Tumour": "../x"})
    assert "index.parquet: '../x' cannot be a finding's name; expected letters" in refusal(lambda: Shards.open(copied))
    rename_columns(copied, {"split": "part"})
    assert "has other columns than this version writes" in refusal(lambda: Shards.open(copied))
