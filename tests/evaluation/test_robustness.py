"""Perturbed films: level 0 is the film, levels are graded, and chance comes from the seed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.bundles import SIZE, film, write_bundle
from tests.support.nih_folders import write_shards
from typer.testing import CliRunner

from chest_xray.bundle import Bundle
from chest_xray.cli import app
from chest_xray.cli.robustness import quality_warnings
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.graphs import open_session
from chest_xray.evaluation.robustness.measure import flags_of, measure_robustness
from chest_xray.evaluation.robustness.perturbations import PERTURBATIONS, Perturbation, generator
from chest_xray.evaluation.robustness.plot import auroc_limits, plot_robustness
from chest_xray.evaluation.robustness.report import Robustness
from chest_xray.findings import FINDINGS
from chest_xray.statistics.metrics import RankedScores

NAMES = [one.name for one in PERTURBATIONS]
BY_NAME = {one.name: one for one in PERTURBATIONS}
# The tiny graph's means of quarters are deaf to noise and hear exposure.
SOME = [BY_NAME["over-exposure"], BY_NAME["noise"]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("films"), SIZE, patients=60)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def found(bundle: Bundle, data: Path) -> Robustness:
    return measure_robustness(bundle, data, lambda film: film.max() == 255, rounds=100, perturbations=SOME)


@pytest.mark.parametrize("one", PERTURBATIONS, ids=NAMES)
def test_level_0_is_the_identity(one: Perturbation) -> None:
    assert np.array_equal(one.apply(film(), 0, generator(0, 0, one.name)), film())


@pytest.mark.parametrize("one", PERTURBATIONS, ids=NAMES)
def test_a_film_is_further_from_itself_at_each_level(one: Perturbation) -> None:
    changed = [one.apply(film(), level, generator(0, 7, one.name)) for level in one.levels]
    distances = [float(np.abs(found.astype(float) - film()).mean()) for found in changed]
    assert all(found.shape == film().shape and found.dtype == np.uint8 for found in changed)
    assert 0 < distances[0] < distances[1] < distances[2]


def test_noise_is_of_the_seed_and_the_film_and_grows_with_the_signal() -> None:
    noise = next(one for one in PERTURBATIONS if one.name == "noise")
    grey = np.full((64, 64), 100, dtype=np.uint8)

    def noisy(seed: int, row: int) -> np.ndarray:
        return noise.apply(grey, 15, generator(seed, row, "noise"))

    assert np.array_equal(noisy(0, 1), noisy(0, 1))
    assert not np.array_equal(noisy(0, 1), noisy(0, 2))
    assert noisy(0, 1).std() == pytest.approx(15 * np.sqrt(100 / 255), rel=0.05)


def test_gain_and_gamma_are_their_formulas() -> None:
    by_name = {one.name: one for one in PERTURBATIONS}
    grey, rng = np.full((2, 2), 64, dtype=np.uint8), np.random.default_rng(0)
    assert by_name["over-exposure"].apply(grey, 0.5, rng)[0, 0] == 96
    assert by_name["gamma up"].apply(grey, 1.0, rng)[0, 0] == round(255 * (64 / 255) ** 2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("under-exposure", [0.9, 0.75, 0.5]),
        ("gamma up", [2**0.25, 2**0.5, 2]),
        ("cropping", [5, 10, 20]),
        ("JPEG", [80, 50, 20]),
        ("resolution", [75, 50, 25]),
    ],
)
def test_a_setting_is_a_level_as_people_know_it(name: str, settings: list[float]) -> None:
    one = BY_NAME[name]
    assert [one.setting(level) for level in one.levels] == pytest.approx(settings)


def test_a_crop_loses_its_share_of_the_side() -> None:
    """Of a ramp along columns, the slope falls to the part of the side that is kept."""
    ramp = np.repeat(np.arange(SIZE, dtype=np.uint8)[None] * 3, SIZE, axis=0)
    cropped = BY_NAME["cropping"].apply(ramp, 0.2, np.random.default_rng(0))
    assert cropped.shape == ramp.shape
    assert np.polyfit(np.arange(SIZE), cropped[0], 1)[0] == pytest.approx(3 * 0.8, rel=0.02)


def test_clean_values_are_the_aurocs_of_the_films_as_they_are(found: Robustness, bundle: Bundle, data: Path) -> None:
    shards = Shards.open(data)
    rows = shards.rows("test")
    logits = open_session(bundle.onnx_path).run(["logits"], {"image": shards.read(rows)[:, None]})[0]
    for name, value in found.clean.items():
        k = FINDINGS.index(name)
        assert value == pytest.approx(RankedScores(shards.labels[rows, k], logits[:, k]).auroc()[0])
    assert found.clean_mean == pytest.approx(np.mean(list(found.clean.values())))
    assert found.images == len(rows)
    assert found.left_out["Nodule"] == "one class only"
    assert set(found.clean) | set(found.left_out) == set(FINDINGS)


def test_a_level_that_changes_nothing_has_no_difference_and_changes_no_flag(bundle: Bundle, data: Path) -> None:
    still = replace(BY_NAME["noise"], levels=(0.0,))
    found = measure_robustness(bundle, data, lambda _: False, rounds=100, perturbations=[still])
    level = found.curves[0].levels[0]
    assert (level.mean.difference, level.mean.ci95, level.flags_changed) == (0, (0, 0), 0)
    assert level.warned == found.clean_warned


def test_changes_are_against_the_clean_value(found: Robustness) -> None:
    for curve in found.curves:
        for level in curve.levels:
            assert level.mean.difference == pytest.approx(level.mean.auroc - found.clean_mean)
            for name, row in level.findings.items():
                assert row.difference == pytest.approx(row.auroc - found.clean[name])


def test_films_are_counted_that_guard_or_checks_warn_of(found: Robustness) -> None:
    """The tiny guard refuses bright films; the check here warns of any film with a white pixel."""
    exposed = found.curves[0].levels
    assert found.clean_warned.guard <= exposed[0].warned.guard <= exposed[2].warned.guard
    assert exposed[2].warned.guard > found.clean_warned.guard
    assert exposed[2].warned.quality > found.clean_warned.quality
    for level in exposed:
        assert max(level.warned.guard, level.warned.quality) <= level.warned.either
        assert level.warned.either <= level.warned.guard + level.warned.quality


def test_the_same_seed_gives_the_same_report(found: Robustness, bundle: Bundle, data: Path) -> None:
    def again(seed: int) -> Robustness:
        return measure_robustness(
            bundle, data, lambda film: film.max() == 255, rounds=100, seed=seed, perturbations=SOME
        )

    assert again(0) == found
    assert again(1).curves[1] != found.curves[1]


def test_flags_are_probabilities_at_or_over_their_operating_points(bundle: Bundle) -> None:
    """Hernia, the last finding, has no operating point."""
    low, high = (np.full((1, len(FINDINGS)), value, np.float32) for value in (-20, 20))
    assert flags_of(bundle, np.concatenate([low, high])).tolist() == [[False] * 13, [True] * 13]


def test_servings_own_checks_warn(bundle: Bundle) -> None:
    warns = quality_warnings(bundle)
    assert warns(np.full((SIZE, SIZE), 90, np.uint8))


def test_too_few_films_to_measure_is_one_line(bundle: Bundle, data: Path) -> None:
    with pytest.raises(DataError, match=r"no finding has 10 images with and without it among 5 test images"):
        measure_robustness(bundle, data, lambda _: False, images=5)


def test_a_variant_in_bf16_is_not_measured_in_float(data: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "bf16", variant="bf16", compressed_from="c" * 64)
    with pytest.raises(BundleError, match=r"is computed in bf16\. Measure the bundle it came from"):
        measure_robustness(other, data, lambda _: False)


def test_the_verdict_names_the_worst_level_by_its_setting(found: Robustness) -> None:
    falls = {(curve.name, curve.unit, level.setting): level.mean for curve in found.curves for level in curve.levels}
    (name, unit, setting), worst = min(falls.items(), key=lambda item: item[1].difference)
    assert f"falls most under {name} ({unit}: {setting:.3g}), to {worst.auroc:.3f}" in found.verdict


def test_the_plots_scale_holds_every_value_and_chance(found: Robustness) -> None:
    low, high = auroc_limits(found)
    drawn = [row.auroc for curve in found.curves for level in curve.levels for row in level.findings.values()]
    assert low <= min(0.5, *drawn)
    assert max(*drawn, *found.clean.values()) <= high


def test_the_plot_is_a_png(found: Robustness) -> None:
    assert plot_robustness(found).startswith(b"\x89PNG")


def test_the_command_writes_a_report_beside_the_bundle(bundle: Bundle, data: Path) -> None:
    arguments = ["robustness", "--bundle", str(bundle.root), "--data", str(data), "--rounds", "100"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.exception
    assert "over-exposure" in result.stdout
    folder = bundle.root.with_name("tiny-robustness")
    written = json.loads((folder / "robustness.json").read_text())
    assert [curve["name"] for curve in written["curves"]] == NAMES
    assert (folder / "robustness.png").read_bytes().startswith(b"\x89PNG")
