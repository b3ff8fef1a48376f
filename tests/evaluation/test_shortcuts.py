"""What can be predicted without the lungs, on films whose labels are made of one thing beside them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chest_xray.data.index import index_schema
from chest_xray.data.shards import Shards
from chest_xray.evaluation.evaluate import OFFICIAL_TEST_IMAGES, OFFICIAL_TEST_PATIENTS, list_source, scored_images
from chest_xray.evaluation.groups.shortcuts import border_features, measure_shortcuts, size_features
from chest_xray.findings import FINDINGS
from chest_xray.notices import PHANTOM

FILMS, SIDE = 400, 32
BORDER, SIZE, VIEW, NOTHING = (FINDINGS.index(name) for name in ("Mass", "Nodule", "Edema", "Hernia"))


def shards_of(films: int = FILMS, **changes: object) -> Shards:
    """Half train, half test; one finding is the corner's brightness, one the width of the file, one the view."""
    rng = np.random.default_rng(0)
    labels = (rng.random((films, len(FINDINGS))) < 0.4).astype(np.uint8)
    pixels = rng.integers(90, 130, (films, SIDE, SIDE), dtype=np.uint8)
    pixels[labels[:, BORDER] == 1, :2, :4] = 200
    columns: dict[str, object] = {
        "shard": np.zeros(films, np.int32),
        "row": np.arange(films, dtype=np.int32),
        "image": [f"{k}.png" for k in range(films)],
        "patient": np.arange(films) // 2,
        "age": np.full(films, 50, np.float32),
        "sex": ["F", "M"] * (films // 2),
        "view": np.where(labels[:, VIEW], "AP", "PA").tolist(),
        "split": np.repeat(["train", "test"], films // 2).tolist(),
        **{name: labels[:, k] for k, name in enumerate(FINDINGS)},
        "boxes": [[] for _ in range(films)],
        "height": np.full(films, 2000, np.int32),
        "width": np.where(labels[:, SIZE] == 1, 2500, 2000).astype(np.int32),
        "pixel_mean": pixels.mean(axis=(1, 2)).astype(np.float32),
        "pixel_std": pixels.std(axis=(1, 2)).astype(np.float32),
    }
    dataset = {"image_size": SIDE, "data_hash": "d" * 64, "label_version": "v2020", "split_source": "lists"}
    return Shards(Path("films"), dataset | changes, pa.table(columns, schema=index_schema(FINDINGS)), [pixels])


def test_each_input_predicts_what_was_made_of_it_and_nothing_else() -> None:
    shards = shards_of()
    rows = shards.rows("test")
    logits = np.random.default_rng(1).normal(size=(len(rows), len(FINDINGS))).astype(np.float32)
    found = measure_shortcuts(shards, scored_images(shards, rows, logits), rows)
    assert found is not None
    assert found.training_images == FILMS // 2
    for name, place in (("border", BORDER), ("size", SIZE), ("view", VIEW)):
        aurocs = {finding: row.value for finding, row in found.alone[name].findings.items()}
        assert aurocs.pop(FINDINGS[place]) == 1.0
        assert max(abs(value - 0.5) for value in aurocs.values()) < 0.15
    # Within a view, the finding that is the view has one class only and is not there.
    assert [FINDINGS[VIEW] in within.findings for within in found.within_view] == [False, False]
    assert len(found.within_view[0].findings) == len(FINDINGS) - 1


def test_borders_are_those_of_the_four_sides() -> None:
    """A bright stripe at the bottom left: the first stretch of the bottom and the last of the left side."""
    shards = shards_of(2)
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[-4:, :2] = 255
    shards.read = lambda rows: pixels[None].repeat(len(rows), axis=0)
    features = border_features(shards, np.array([0]))[0].reshape(4, 8, 2)
    assert features.shape == (4, 8, 2)
    bright = {(side, part) for side in range(4) for part in range(8) if features[side, part, 0] > 0}
    top, bottom, left, right = range(4)
    assert bright == {(bottom, 0), (left, 7)}
    assert features[left, 7].tolist() == [1.0, 0.0]
    assert features[bottom, 0, 0] == pytest.approx(0.5)
    assert (top, right) == (0, 3)


def test_sizes_are_on_a_logarithmic_scale() -> None:
    shards = shards_of(2)
    width, height = float(shards.widths[0]), 2000.0
    expected = [np.log(width), np.log(height), np.log(width) ** 2, np.log(height) ** 2, np.log(width / height)]
    np.testing.assert_allclose(size_features(shards, np.array([0]))[0], expected)


def test_only_the_whole_list_of_nih_is_called_official() -> None:
    assert list_source(shards_of()) == "lists"
    assert list_source(shards_of(split_source="patient hash")) == "patient hash"
    whole = shards_of()
    whole.rows = lambda split: np.arange(OFFICIAL_TEST_IMAGES)
    whole.patients = np.arange(OFFICIAL_TEST_IMAGES) % OFFICIAL_TEST_PATIENTS
    assert list_source(whole) == "official"
    whole.label_version = PHANTOM
    assert list_source(whole) == "lists"
