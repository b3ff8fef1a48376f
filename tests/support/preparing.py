"""Small datasets out of prepare-data, and what is compared of them."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from chest_xray.data.nih import ImageFiles, Manifest
from chest_xray.data.nih_tables import Box, Entry
from chest_xray.data.prepare.pack_source import PackSettings, pack_unpacked
from chest_xray.data.prepare.prepare import SHARD_BYTES, PrepareReport, prepare_data
from chest_xray.data.prepare.shard_files import PROGRESS_FOLDER
from chest_xray.data.prepare.write_dataset import write_dataset
from chest_xray.data.split import Split
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


class LabelledFilm(NamedTuple):
    """A film of a data set that is not NIH's: a patient has one. `labels` are 0 or 1, in the order of its findings."""

    pixels: np.ndarray
    labels: tuple[int, ...]
    split: Split
    boxes: tuple[Box, ...] = ()


def prepare_films(films: Mapping[str, LabelledFilm], findings: tuple[str, ...], folder: Path, *, side: int) -> Path:
    """Write the films by their names, and shards of them; returns the folder of the shards."""
    (folder / "films").mkdir(parents=True)
    for name, film in films.items():
        Image.fromarray(film.pixels).save(folder / "films" / name)
    entries = [
        Entry(name, patient, 50.0, "F" if patient % 2 else "M", "PA", film.labels)
        for patient, (name, film) in enumerate(films.items())
    ]
    manifest = Manifest(
        label_version="other",
        findings=findings,
        split_source="lists",
        entries=tuple(entries),
        splits={name: film.split for name, film in films.items()},
        boxes={name: list(film.boxes) for name, film in films.items() if film.boxes},
        images=ImageFiles({name: str(folder / "films" / name) for name in films}, (), {}),
        unknown=Counter(),
        fingerprint="0" * 64,
    )
    settings = PackSettings(folder / "shards", side, SHARD_BYTES, workers=1)
    (settings.output / PROGRESS_FOLDER).mkdir(parents=True)
    packed = pack_unpacked(manifest.images, frozenset(films), settings, lambda _: None)
    write_dataset(manifest, packed, settings, 0.1)
    return settings.output
