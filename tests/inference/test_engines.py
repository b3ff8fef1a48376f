"""The engines behind one class: ONNX Runtime, and OpenVINO where it agrees."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.support.bundles import film, known_outputs, png, write_bundle

from chest_xray.bundle import Bundle, Golden, load_bundle
from chest_xray.errors import BundleError, SettingsError
from chest_xray.inference import engines
from chest_xray.inference.engines import OUTPUTS, OnnxRuntimeEngine, OpenVinoEngine, Outputs, open_engine, share_of
from chest_xray.inference.predictor import OnnxPredictor

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_bundle(tmp_path_factory.mktemp("engines") / "bundle").root)


def test_both_engines_give_the_same_three_outputs(bundle: Bundle) -> None:
    films = np.stack([film(seed) for seed in range(3)])
    expected, found = OnnxRuntimeEngine(bundle, 1).run(films), open_engine(bundle, "openvino", 1).run(films)
    for output in OUTPUTS:
        np.testing.assert_allclose(getattr(found, output), getattr(expected, output), atol=1e-5)
        assert getattr(found, output).shape == getattr(expected, output).shape


@pytest.mark.parametrize(
    ("threads", "films", "share"),
    [(1, 1, 1), (2, 1, 2), (2, 2, 1), (2, 9, 1), (16, 2, 8), (16, 3, 4), (6, 2, 3), (6, 3, 1)],
)
def test_films_at_once_share_the_processors(threads: int, films: int, share: int) -> None:
    assert share_of(threads, films) == share


def test_a_film_has_the_same_numbers_alone_and_among_others(bundle: Bundle) -> None:
    engine = OnnxRuntimeEngine(bundle, 4)
    films = [film(seed)[np.newaxis] for seed in range(4)]
    alone = [engine.run(one).logits for one in films]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: engine.run(one).logits, films * 32))
    for number, logits in enumerate(together):
        np.testing.assert_array_equal(logits, alone[number % 4])


def test_a_predictor_on_openvino_proves_its_golden_film_and_gives_the_same_probabilities(bundle: Bundle) -> None:
    image = png(film(3))
    theirs = OnnxPredictor.load(bundle.root).predict(image, explain=["Mass"])
    ours = OnnxPredictor.load(bundle.root, engine="openvino").predict(image, explain=["Mass"])
    assert [s.probability for s in ours.findings] == pytest.approx([s.probability for s in theirs.findings], abs=1e-5)
    np.testing.assert_allclose(ours.heat_maps["Mass"], theirs.heat_maps["Mass"], atol=1e-5)


def test_answers_of_several_threads_are_not_mixed(bundle: Bundle) -> None:
    engine = OpenVinoEngine(bundle, 1)
    films = [film(seed)[np.newaxis] for seed in range(4)]
    alone = [engine.run(one).logits for one in films]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: engine.run(one).logits, films * 16))
    for number, logits in enumerate(together):
        np.testing.assert_array_equal(logits, alone[number % 4])


def test_an_engine_that_disagrees_does_not_serve(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(OpenVinoEngine):
        def run(self, films: np.ndarray) -> Outputs:
            right = super().run(films)
            return Outputs(right.logits, right.embedding + np.float32(0.001), right.cam)

    monkeypatch.setattr(engines, "OpenVinoEngine", Off)
    with pytest.raises(
        BundleError, match=r"^openvino differs from onnxruntime by 0\.001 in embedding; at most 0\.0001 is"
    ):
        open_engine(bundle, "openvino", 1)


def test_without_openvino_one_line_says_what_to_do(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match=r"^CXR_ENGINE is openvino, which is not installed\. .*\[openvino\]"):
        open_engine(bundle, "openvino", 1)


def test_the_setting_chooses_the_engine_of_a_deployed_endpoint(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.endpoints import deploy_folder

    from chest_xray.backends import get_backend
    from chest_xray.settings import load_settings

    deploy_folder(tmp_path, bundle.root, endpoint="clinic")
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    monkeypatch.setenv("CXR_ENGINE", "openvino")
    predictor = get_backend(load_settings()).predictor("clinic")
    assert isinstance(predictor, OnnxPredictor)
    assert predictor.engine == "openvino"


@pytest.fixture(scope="module")
def bf16(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle as a variant for OpenVINO; its graph is the same."""
    core = pytest.importorskip("openvino").Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not compute in bf16")
    golden = Golden(logits=tuple(known_outputs(film()).logits.tolist()), tolerance=0.05)
    root = tmp_path_factory.mktemp("variants") / "bf16"
    return write_bundle(root, variant="bf16", compressed_from="c" * 64, golden=golden)


def test_a_variant_for_openvino_serves_there_within_its_own_tolerance(bf16: Bundle, bundle: Bundle) -> None:
    assert OnnxPredictor.load(bf16.root, engine="openvino").manifest.variant == "bf16"
    films = np.stack([film(seed) for seed in range(3)])
    expected, found = OnnxRuntimeEngine(bundle, 1).run(films), open_engine(bf16, "openvino", 1).run(films)
    np.testing.assert_allclose(found.logits, expected.logits, atol=0.05)


def test_a_variant_for_openvino_is_not_served_in_another_precision(bf16: Bundle) -> None:
    with pytest.raises(SettingsError, match=r"^Variant bf16 is computed by OpenVINO; the engine is onnxruntime\. "):
        open_engine(bf16, "onnxruntime", 1)


def test_a_precision_that_the_processor_lacks_is_one_line(bf16: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def get_property(self, *_: str) -> list[str]:
            return ["FP32"]

    monkeypatch.setattr(sys.modules["openvino"], "Core", Old)
    with pytest.raises(SettingsError, match=r"^This processor does not compute in bf16\. Deploy without --variant"):
        open_engine(bf16, "openvino", 1)
