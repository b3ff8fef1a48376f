"""Small datasets out of prepare-data, and what is compared of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chest_xray.data.prepare.prepare import PrepareReport, prepare_data
from chest_xray.errors import DataError

SIZE = 32
FIVE_ROWS = 5 * SIZE * SIZE
SHARD = 20 * 64 * 64


def prepare(source: Path, output: Path, workers: int = 1, **options: float) -> PrepareReport:
    """Small images in shards of five rows."""
    return prepare_data(source, output, **{"image_size": SIZE, "shard_bytes": FIVE_ROWS, "workers": workers} | options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def data_files(folder: Path) -> dict[str, bytes]:
    """Everything but the note on the source, which says folder or archives."""
    return {name: content for name, content in contents(folder).items() if name != "prepare.json"}


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)
