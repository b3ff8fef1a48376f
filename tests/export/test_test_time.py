"""Several looks at a film: views that are known, maps that come back to their place, and an equal result for equals."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.bundles import SIZE, film, write_bundle
from tests.support.nih_folders import write_nih_folder, write_shards
from typer.testing import CliRunner

from chest_xray.bundle import Bundle
from chest_xray.cli import app
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.errors import BundleError, DataError
from chest_xray.export.test_time.measure import in_turn, measure_test_time
from chest_xray.export.test_time.options import OPTIONS, PLAIN, corners, uncrop, unflip
from chest_xray.export.test_time.report import TestTime

BY_NAME = {option.name: option for option in (PLAIN, *OPTIONS)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("films"), SIZE, patients=60)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def found(bundle: Bundle, data: Path) -> TestTime:
    return measure_test_time([bundle.root, bundle.root], data, rounds=100, timed_films=4)


def test_a_symmetric_film_is_its_own_mirror_image() -> None:
    half = film()[:, : SIZE // 2]
    views = BY_NAME["flip"].views(np.hstack([half, half[:, ::-1]]))
    np.testing.assert_array_equal(views[0], views[1])


def test_the_map_of_a_mirror_image_is_turned_back() -> None:
    maps = np.random.default_rng(0).normal(size=(14, 7, 7))
    back = BY_NAME["flip"].back(np.stack([maps, maps[..., ::-1]]))
    np.testing.assert_allclose(back, maps)
    assert not np.allclose(maps, maps[..., ::-1])
    np.testing.assert_array_equal(unflip(np.stack([maps, maps]))[1], maps[..., ::-1])


def test_crops_lie_in_the_corners_and_in_the_middle() -> None:
    """Each crop of a ramp along rows starts where its corner is."""
    ramp = np.repeat(np.arange(SIZE, dtype=np.uint8)[:, None] * 3, SIZE, axis=1)
    views = BY_NAME["five-crop"].views(ramp)
    assert views.shape == (5, SIZE, SIZE)
    for view, (top, _) in zip(views, corners(), strict=True):
        centre = (top + 0.875 / 2) * SIZE - 0.5
        assert view.mean() == pytest.approx(3 * centre, abs=1)


def test_ten_crops_are_five_and_their_mirror_images() -> None:
    ten = BY_NAME["ten-crop"].views(film())
    np.testing.assert_array_equal(ten[:5], BY_NAME["five-crop"].views(film()))
    np.testing.assert_array_equal(ten[5:], ten[:5, :, ::-1])


@pytest.mark.parametrize("cells", [1, 2, 7, 12, 16])
def test_maps_of_crops_cover_the_film_and_equal_ones_stay_equal(cells: int) -> None:
    assert uncrop(np.full((5, 14, cells, cells), 3.0)) == pytest.approx(3)


def test_maps_of_crops_come_back_to_where_the_crops_were() -> None:
    """A plane over the film, seen by each crop in its own cells, comes back but for the edges."""
    cells = 16
    centres = (np.arange(cells) + 0.5) / cells
    seen = [(left + 0.875 * centres)[None, :] + 2 * (top + 0.875 * centres)[:, None] for top, left in corners()]
    back = uncrop(np.repeat(np.stack(seen)[:, None], 14, axis=1))
    expected = centres[None, :] + 2 * centres[:, None]
    np.testing.assert_allclose(back[0], expected, atol=3 * 0.5 / cells)
    np.testing.assert_allclose(back[0, 3:13, 3:13], expected[3:13, 3:13], atol=1e-9)


def test_a_mean_over_ten_crops_of_a_uniform_film_is_the_film() -> None:
    ten = BY_NAME["ten-crop"]
    assert ten.passes == len(ten.views(film()))
    assert (ten.views(np.full((SIZE, SIZE), 90, np.uint8)) == 90).all()
    assert ten.back(np.full((10, 14, 7, 7), -1.5)) == pytest.approx(-1.5)


def test_a_network_that_does_not_care_for_sides_gains_nothing_from_flips(found: TestTime) -> None:
    flip = next(option for option in found.options if option.name == "flip")
    assert flip.mean.difference == pytest.approx(0, abs=1e-3)
    assert flip.maps.mean == pytest.approx(1, abs=1e-6)


def test_an_ensemble_of_equals_is_the_bundle(found: TestTime, bundle: Bundle) -> None:
    both = found.options[-1]
    assert (both.name, both.passes, found.bundles) == ("ensemble", 2, [bundle.digest] * 2)
    assert both.mean.difference == 0
    assert both.maps.mean == pytest.approx(1)


def test_every_option_looks_at_every_film_in_turn() -> None:
    seen: list[tuple[str, int]] = []
    films = np.arange(2, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    times = in_turn({name: lambda one, name=name: seen.append((name, int(one[0, 0]))) for name in "ab"}, films)
    assert set(times) == {"a", "b"}
    assert seen[-4:] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_films_of_another_data_set_are_noted(found: TestTime) -> None:
    assert found.notes[0].endswith("was trained on other prepared data: that none of its training patients is in this "
                                   "test list cannot be checked here.")  # fmt: skip


def test_shards_of_another_size_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    write_nih_folder(tmp_path / "nih")
    prepare_data(tmp_path / "nih", tmp_path / "shards", image_size=32, workers=1)
    with pytest.raises(DataError, match="takes images of 64 x 64"):
        measure_test_time([bundle.root], tmp_path / "shards")


def test_a_variant_in_bf16_is_not_measured_in_float(data: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "bf16", variant="bf16", compressed_from="c" * 64)
    with pytest.raises(BundleError, match=r"is computed in bf16\. Measure the bundle it came from"):
        measure_test_time([other.root], data)


def test_the_command_prints_and_writes_one_report(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    arguments = ["--bundle", str(bundle.root), "--data", str(data), "--images", "20", "--rounds", "100"]
    result = CliRunner().invoke(app, ["test-time", *arguments, "--output", str(tmp_path), "--json"])
    assert result.exit_code == 0
    written = json.loads((tmp_path / "test_time.json").read_text())
    assert [option["name"] for option in written["options"]] == ["flip", "five-crop", "ten-crop"]
    assert (written["images"], written["options"][2]["passes"]) == (20, 10)
    assert json.loads(result.stdout) == written
    table = CliRunner().invoke(app, ["test-time", *arguments])
    assert "less plain (95%)" in table.stdout
