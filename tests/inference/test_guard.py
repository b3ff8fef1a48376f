"""The guard and the quality checks: the tiny bundle's numbers by hand, and what is fitted on phantoms."""

import hashlib
import json
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.bundles import GUARD, SIZE, film, known_outputs, png, statistics, upright_film, write_bundle

from chest_xray.bundle import GUARD_FILE, MANIFEST, load_bundle
from chest_xray.bundle.film_statistics import POSES, FilmStatistics
from chest_xray.data.phantom import DIFFICULTY
from chest_xray.data.phantom.cohort import sample_cohort
from chest_xray.data.phantom.film import draw_film
from chest_xray.errors import BundleError, TrainingError
from chest_xray.evaluation.graph_scores import GraphScores, thinned
from chest_xray.export.fit_guard import conformal_bound, fit_distance, fit_guard, fit_quality
from chest_xray.export.fit_poses import fit_poses, in_each_pose
from chest_xray.images.coarse import grey_range, thumbnail
from chest_xray.images.preprocess import preprocess
from chest_xray.inference.guard import Guard
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.quality import QualityChecks

Pixels = NDArray[np.uint8]
WHITE = np.full((SIZE, SIZE), 255, np.uint8)


class Films:
    """Phantoms as the shards give them: the first two thirds to train on, the rest to validate."""

    root = Path("phantoms")

    def __init__(self, pixels: Pixels):
        self._pixels = pixels

    def rows(self, split: str) -> NDArray[np.int64]:
        cut = 2 * len(self._pixels) // 3
        return np.arange(cut) if split == "train" else np.arange(cut, len(self._pixels))

    def read(self, rows: NDArray[np.int64]) -> Pixels:
        return self._pixels[rows]


class Session:
    """A graph whose embedding is 64 means of rows and columns of quarters, 16 times."""

    def run(self, outputs: list[str], given: dict[str, Pixels]) -> list[NDArray[np.float32]]:
        films = given["image"][:, 0].astype(np.float32)
        cells = films.reshape(len(films), 8, SIZE // 8, 8, SIZE // 8).mean(axis=(2, 4)).reshape(len(films), 64)
        return [np.zeros((len(films), 14), np.float32), np.tile(cells, (1, 16))]


@pytest.fixture(scope="module")
def phantoms() -> Pixels:
    """Ninety drawn films, (90, 64, 64)."""
    visits = [(patient, visit) for patient in sample_cohort(90, 3, DIFFICULTY) for visit in patient.visits]
    return np.stack([draw_film(patient, visit, SIZE, 3).pixels for patient, visit in visits])


@pytest.fixture(scope="module")
def checks(phantoms: Pixels) -> QualityChecks:
    """The quality checks fitted on two thirds of the phantoms, with margins from the rest."""
    films: Any = Films(phantoms)
    fitted = fit_distance(np.random.default_rng(0).random((20, 1024)), fit_poses(films, films.rows("train")))
    return QualityChecks(fitted, fit_quality(fitted, films, films.rows("val")), SIZE)


def warned(checks: QualityChecks, pixels: Pixels) -> list[str]:
    return [warning.check for warning in checks.judge(pixels, width=SIZE, height=SIZE)]


# The tiny bundle, by hand.


@pytest.mark.parametrize(("grey", "distance"), [(255, 2.0**0.5), (191, ((191 / 255 - 0.5) / 0.25) ** 0.5), (0, 0.0)])
def test_the_distance_is_the_root_of_the_mean_cell(tiny_predictor: OnnxPredictor, grey: int, distance: float) -> None:
    verdict = tiny_predictor.predict(png(np.full((SIZE, SIZE), grey, np.uint8))).guard
    assert verdict.distance == pytest.approx(distance, abs=1e-4)
    assert verdict.in_distribution is (distance <= 1.0)
    assert (verdict.threshold, verdict.false_refusal_rate) == (1.0, 0.01)


def test_directions_outside_the_components_have_the_variance_of_the_rest() -> None:
    """Root 3 in one unit, of which u takes u[0] / sqrt(512.5); mean, scale and rest changed from the tiny ones."""
    tiny = statistics()
    changed = FilmStatistics(
        mean=np.eye(1024)[0],
        scale=np.full(1024, 0.5),
        components=tiny.components,
        variances=np.array([2.0]),
        rest=np.array(4.0),
        pose_weights=tiny.pose_weights,
        pose_biases=tiny.pose_biases,
    )
    along = 4.0 * (1 / 1024) ** 0.5 / 512.5**0.5
    expected = ((along**2 / 2 + (16 - along**2) / 4) / 1024) ** 0.5
    assert changed.distance(9.0 * np.eye(1024)[:1])[0] == pytest.approx(expected, rel=1e-12)


def test_a_film_at_the_threshold_is_still_in_distribution() -> None:
    guard = Guard(statistics(), GUARD)
    at = np.arange(1, 1025) / 1024
    assert guard.judge(at * (1 - 1e-9)).in_distribution
    assert not guard.judge(at * (1 + 1e-6)).in_distribution


def test_tiny_films_are_in_distribution_and_have_no_warning(tiny_predictor: OnnxPredictor) -> None:
    for seed in range(3):
        answer = tiny_predictor.predict(png(film(seed)))
        mean = float(known_outputs(film(seed)).embedding[-1])
        assert answer.guard.distance == pytest.approx(max(mean, 0.0) ** 0.5, abs=1e-3)
        assert answer.guard.in_distribution
        assert answer.quality == ()


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (255 - upright_film(), "The film looks inverted: bone dark and air bright."),
        (np.rot90(upright_film(), 1), "The film looks turned to the left by 90 degrees."),
        (np.rot90(upright_film(), 2), "The film looks turned upside down."),
        (np.rot90(upright_film(), 3), "The film looks turned to the right by 90 degrees."),
        (WHITE // 2, "The film is almost blank: its grey values span 0 of 255 levels."),
        (upright_film()[::2], "The film has 64x32 pixels; the network looks at 64x64 and sees a blur."),
    ],
)
def test_each_change_of_an_upright_film_has_its_sentence(
    tiny_predictor: OnnxPredictor, pixels: Pixels, sentence: str
) -> None:
    assert tiny_predictor.predict(png(upright_film())).quality == ()
    assert [warning.detail for warning in tiny_predictor.predict(png(pixels)).quality] == [sentence]


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
def test_one_pixel_is_answered_with_warnings(tiny_predictor: OnnxPredictor, grey: int) -> None:
    answer = tiny_predictor.predict(png(np.full((1, 1), grey, np.uint8)))
    assert [warning.check for warning in answer.quality] == ["too_small", "blank"]
    assert np.isfinite(answer.guard.distance)


# The file.


def test_equal_statistics_give_equal_bytes_and_come_back_in_single_precision(tmp_path: Path) -> None:
    raw = statistics().to_bytes()
    assert raw == statistics().to_bytes()
    (tmp_path / GUARD_FILE).write_bytes(raw)
    found = FilmStatistics.parse((tmp_path / GUARD_FILE).read_bytes(), tmp_path / GUARD_FILE)
    assert found.to_bytes() == raw
    np.testing.assert_array_equal(found.components, statistics().components.astype(np.float32))
    np.testing.assert_array_equal(found.components, statistics().as_stored().components)


def rehash(root: Path) -> None:
    """Put the guard file's own hash into the manifest, so that only its content is wrong."""
    path = root / MANIFEST
    document = json.loads(path.read_text())
    document["files"][GUARD_FILE] = hashlib.sha256((root / GUARD_FILE).read_bytes()).hexdigest()
    path.write_text(json.dumps(document))


def arrays(**changes: Any) -> dict[str, Any]:
    tiny = statistics()
    names = ("mean", "scale", "components", "variances", "rest", "pose_weights", "pose_biases")
    every = {name: np.float32(getattr(tiny, name)) for name in names} | changes
    return {name: value for name, value in every.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": np.zeros(1000, np.float32)}, r"mean is float32 \(1000,\); expected float32 \(1024,\)"),
        ({"mean": np.zeros(1024)}, r"mean is float64 \(1024,\); expected float32"),
        ({"components": np.float32(1.0)}, r"components is float32 \(\); expected float32 \(0, 1024\)"),
        ({"variances": np.ones(2, np.float32)}, r"variances is float32 \(2,\); expected float32 \(1,\)"),
        ({"rest": np.float32(0.0)}, "rest has a value that is not above 0"),
        ({"scale": np.full(1024, np.nan, np.float32)}, "scale has a value that is not finite|not above 0"),
        ({"pose_biases": np.full(14, np.inf, np.float32)}, "pose_biases has a value that is not finite"),
        ({"pose_weights": None}, "expected mean, scale, components, variances, rest, pose_weights, pose_biases"),
        ({"more": np.zeros(1)}, "holds .* more; expected mean"),
    ],
)
def test_a_guard_file_with_other_arrays_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    root = write_bundle(tmp_path / "tiny").root
    np.savez(root / GUARD_FILE, **arrays(**changes))
    rehash(root)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(root)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Export the bundle again.")


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04K\x01.", statistics().to_bytes()[:-40]])
def test_a_guard_file_that_is_no_archive_is_refused_in_one_line(tmp_path: Path, raw: bytes) -> None:
    root = write_bundle(tmp_path / "tiny").root
    (root / GUARD_FILE).write_bytes(raw)
    rehash(root)
    with pytest.raises(BundleError, match=r"guard\.npz is not an archive of arrays: ") as caught:
        load_bundle(root)
    assert "\n" not in str(caught.value)


def test_a_pickle_in_the_guard_file_is_not_read(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny").root
    np.savez(root / GUARD_FILE, allow_pickle=True, **arrays(mean=np.array([{"a": 1}], dtype=object)))
    rehash(root)
    with pytest.raises(BundleError, match=r"guard\.npz is not an archive of arrays: Object arrays cannot be loaded"):
        load_bundle(root)


# What training fits.


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.sampled_from([0.01, 0.02, 0.05, 0.2]))
def test_a_bound_is_exceeded_by_no_more_than_its_rate_and_none_lower_would_do(sample: list[float], rate: float) -> None:
    values = np.asarray(sample)
    bound = conformal_bound(values, rate)
    count = len(sample) + 1
    allowed = max(1, floor(round(count * rate, 9)))
    assert bound.rate == allowed / count
    assert bound.rate <= rate or bound.value == values.max()
    assert (values > bound.value).sum() < allowed
    lower = values[values < bound.value]
    assert lower.size == 0 or (values > lower.max()).sum() >= allowed


@pytest.mark.parametrize(("count", "rank", "rate"), [(99, 99, 0.01), (199, 198, 0.01), (299, 297, 0.01), (9, 9, 0.1)])
def test_the_bound_is_the_conformal_rank(count: int, rank: int, rate: float) -> None:
    bound = conformal_bound(np.random.default_rng(0).permutation(np.arange(1.0, count + 1)), 0.01)
    assert (bound.value, bound.rate) == (rank, rate)


def test_the_distance_is_mahalanobis_where_all_components_are_kept() -> None:
    """32 components of 70 films in 1024 dimensions: against the covariance written out."""
    rng = np.random.default_rng(1)
    embeddings = rng.gamma(2.0, size=(70, 40)) @ rng.random((40, 1024))
    fitted = fit_distance(embeddings, (statistics().pose_weights, statistics().pose_biases))
    axes = fitted.components
    covariance = float(fitted.rest) * np.eye(1024) + axes.T @ np.diag(fitted.variances - float(fitted.rest)) @ axes
    standard = (np.sqrt(embeddings[:3]) - fitted.mean) / fitted.scale
    expected = np.sqrt(np.einsum("ij,jk,ik->i", standard, np.linalg.inv(covariance), standard) / 1024)
    np.testing.assert_allclose(fitted.distance(embeddings[:3]), expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.variances.sum() + 992 * float(fitted.rest), 1024, rtol=1e-6)


def test_the_guard_is_fitted_on_training_films_and_bounded_by_validation_films(phantoms: Pixels) -> None:
    films: Any = Films(phantoms)
    session: Any = Session()
    rows = films.rows("val")
    validation = GraphScores(rows, np.zeros((30, 14), np.float32), session.run([], {"image": phantoms[rows, None]})[1])
    fitted = fit_guard(session, films, validation)
    distances = fitted.statistics.distance(validation.embeddings)
    assert fitted.guard.threshold == distances.max()
    assert fitted.guard.false_refusal_rate == fitted.quality.false_warning_rate == 1 / 31
    assert (fitted.guard.training_images, fitted.guard.validation_images) == (60, 30)
    training = session.run([], {"image": phantoms[:60, None]})[1]
    np.testing.assert_allclose(fitted.statistics.mean, np.sqrt(training).mean(axis=0), rtol=1e-6)
    assert np.median(fitted.statistics.distance(training)) == pytest.approx(1, abs=0.1)


def test_too_few_training_films_are_refused(phantoms: Pixels) -> None:
    films: Any = Films(phantoms[:9])
    session: Any = Session()
    scores = GraphScores(np.arange(3), np.zeros((3, 14), np.float32), np.zeros((3, 1024), np.float32))
    with pytest.raises(TrainingError, match="holds 6 training images; the guard needs at least 8"):
        fit_guard(session, films, scores)


def test_thinned_rows_are_even_and_keep_both_ends() -> None:
    np.testing.assert_array_equal(thinned(np.arange(10, 21), 3), [10, 15, 20])
    np.testing.assert_array_equal(thinned(np.arange(4), 9), np.arange(4))


@pytest.mark.parametrize(
    ("change", "check", "least"),
    [
        (lambda pixels: 255 - pixels, "inverted", 0.9),
        (lambda pixels: np.rot90(pixels, 1), "rotated", 0.8),
        (lambda pixels: np.rot90(pixels, 2), "rotated", 0.8),
        (lambda pixels: np.rot90(pixels, 3), "rotated", 0.8),
        (lambda pixels: preprocess(pixels[11:53, 11:53], SIZE), "cropped", 0.9),
        (lambda pixels: preprocess(pixels[:42, :42], SIZE), "cropped", 0.9),
        (lambda pixels: (120 + pixels // 20).astype(np.uint8), "blank", 1.0),
    ],
)
def test_changed_phantoms_are_told_from_upright_ones(
    phantoms: Pixels, checks: QualityChecks, change: Any, check: str, least: float
) -> None:
    found = [warned(checks, np.ascontiguousarray(change(pixels))) for pixels in phantoms[60:]]
    assert np.mean([check in warnings for warnings in found]) >= least
    assert all(warned(checks, pixels) == [] for pixels in phantoms[60:])


def test_poses_are_those_that_their_names_say() -> None:
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)
    shown = dict(zip(POSES, in_each_pose(pixels), strict=True))
    assert shown["inverted"][0, 0] == 255
    assert shown["rotated_90"][0, 0] == 9  # what was top right is top left
    assert shown["rotated_270"][0, 0] == 90
    np.testing.assert_array_equal(shown["cropped_top_0"], pixels[:6, :6])
    np.testing.assert_array_equal(shown["cropped_middle_1"], pixels[2:8, 2:8])
    np.testing.assert_array_equal(shown["cropped_bottom_2"], pixels[4:, 4:])


@pytest.mark.parametrize("side", [32, 50, 224])
def test_a_thumbnail_has_mean_0_and_deviation_1_and_a_constant_film_is_0(side: int) -> None:
    found = thumbnail(np.random.default_rng(0).integers(0, 256, (side, side), np.uint8))
    assert found.shape == (1024,)
    assert (found.mean(), found.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    np.testing.assert_array_equal(thumbnail(np.full((side, side), 7, np.uint8)), np.zeros(1024))


def test_the_grey_range_leaves_out_a_hundredth_at_each_end() -> None:
    pixels = np.full((100, 100), 100, np.uint8)
    pixels[0, :90], pixels[1, :90] = 0, 255
    assert grey_range(pixels) == 0
    pixels[2:52] = 140
    assert grey_range(pixels) == 40
