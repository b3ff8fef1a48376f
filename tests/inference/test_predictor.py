"""The predictor's numbers against the tiny graph's, which are known by hand."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from tests.support.bundles import BIASES, SIZE, film, graph, known_outputs, manifest, png, profile, write_bundle

from chest_xray.bundle import Golden, OperatingPoint
from chest_xray.cpus import available_cpus, cpu_quota
from chest_xray.errors import BundleError, ImageError, SettingsError
from chest_xray.findings import FINDINGS
from chest_xray.images.preprocess import preprocess
from chest_xray.inference.explain import parse_explain
from chest_xray.inference.predictor import OnnxPredictor, sigmoid


@pytest.mark.parametrize("seed", range(3))
def test_logits_are_those_of_the_graph(tiny_predictor: OnnxPredictor, seed: int) -> None:
    pixels = film(seed)
    np.testing.assert_allclose(tiny_predictor.logits(png(pixels)), known_outputs(pixels).logits, atol=1e-5)


def test_a_film_of_another_size_passes_through_the_one_preprocessing(tiny_predictor: OnnxPredictor) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(150, 90), dtype=np.uint8)
    expected = known_outputs(preprocess(pixels, SIZE)).logits
    np.testing.assert_allclose(tiny_predictor.logits(png(pixels)), expected, atol=1e-5)


def test_probabilities_and_flags_are_calibration_and_threshold_by_hand(tiny_predictor: OnnxPredictor) -> None:
    image = png(film(1))
    logits = tiny_predictor.logits(image)
    scores = tiny_predictor.predict(image).findings
    assert tuple(score.finding for score in scores) == FINDINGS
    for index, score in enumerate(scores):
        known = profile(index)
        line = known.calibration.slope * float(logits[index]) + known.calibration.intercept
        assert score.probability == pytest.approx(1 / (1 + math.exp(-line)), rel=1e-14)
        if known.operating_point is None:
            assert (score.finding, score.operating_point, score.flag) == ("Hernia", None, None)
        else:
            assert score.operating_point == known.operating_point.threshold
            assert score.flag is (score.probability >= known.operating_point.threshold)
    assert {score.flag for score in scores} == {True, False, None}


def test_a_probability_at_its_operating_point_is_flagged_and_one_below_is_not(tmp_path: Path) -> None:
    image = png(film(1))
    first = OnnxPredictor.load(write_bundle(tmp_path / "first").root).predict(image).findings[0].probability
    for name, threshold, flag in (("at", first, True), ("above", math.nextafter(first, 1), False)):
        point = OperatingPoint(threshold=threshold, aim="youden", sensitivity=0.5, specificity=0.5)
        findings = {finding: profile(index) for index, finding in enumerate(FINDINGS)}
        findings[FINDINGS[0]] = profile(0).model_copy(update={"operating_point": point})
        predictor = OnnxPredictor.load(write_bundle(tmp_path / name, findings=findings).root)
        assert predictor.predict(image).findings[0].flag is flag


def test_sigmoid_has_neither_overflow_nor_loss() -> None:
    x = np.array([-1000.0, -40.0, 0.0, 1.0, 40.0, 1000.0])
    expected = [0.0, math.exp(-40) / (1 + math.exp(-40)), 0.5, 1 / (1 + math.exp(-1)), 1.0, 1.0]
    np.testing.assert_allclose(sigmoid(x), expected, rtol=1e-15)


def test_heat_maps_are_those_asked_for_and_add_up_to_the_logit(tiny_predictor: OnnxPredictor) -> None:
    pixels = film(2)
    known = known_outputs(pixels)
    prediction = tiny_predictor.predict(png(pixels), explain=["Mass", "Atelectasis"])
    assert list(prediction.heat_maps) == ["Atelectasis", "Mass"]
    for name, cam in prediction.heat_maps.items():
        index = FINDINGS.index(name)
        assert (cam.shape, cam.dtype) == ((2, 2), np.float32)
        np.testing.assert_allclose(cam, known.cam[index], atol=1e-5)
        assert cam.mean() + BIASES[index] == pytest.approx(known.logits[index], abs=1e-5)


def test_no_heat_map_comes_unasked_and_asking_changes_no_score(tiny_predictor: OnnxPredictor) -> None:
    image = png(film(2))
    plain = tiny_predictor.predict(image)
    assert plain.heat_maps == {}
    assert tiny_predictor.predict(image, explain=FINDINGS).findings == plain.findings


def test_identity_is_what_was_loaded(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    identity = OnnxPredictor.load(bundle.root, name="chest-xray-v1", version=3).identity
    assert (identity.name, identity.version, identity.digest) == ("chest-xray-v1", 3, bundle.digest)
    assert OnnxPredictor.load(bundle.root).identity.version is None


def test_threads_at_once_give_the_numbers_of_one_thread(tiny_predictor: OnnxPredictor) -> None:
    images = [png(film(seed)) for seed in range(8)]
    alone = [tiny_predictor.predict(image, explain=["Mass"]) for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda image: tiny_predictor.predict(image, explain=["Mass"]), images * 8))
    for index, prediction in enumerate(together):
        expected = alone[index % len(images)]
        assert prediction.findings == expected.findings
        np.testing.assert_array_equal(prediction.heat_maps["Mass"], expected.heat_maps["Mass"])


def test_bytes_that_are_no_image_are_an_image_error(tiny_predictor: OnnxPredictor) -> None:
    with pytest.raises(ImageError):
        tiny_predictor.predict(png(film())[:200])


@pytest.mark.parametrize(("off", "accepted"), [(0.8e-4, True), (-0.8e-4, True), (1.2e-4, False), (-1.2e-4, False)])
def test_the_golden_film_decides_within_its_tolerance(tmp_path: Path, off: float, accepted: bool) -> None:
    logits = known_outputs(film()).logits
    logits[4] += off
    root = write_bundle(tmp_path / "tiny", golden=Golden(logits=tuple(logits.tolist()))).root
    if accepted:
        assert OnnxPredictor.load(root).manifest.golden.logits[4] == logits[4]
    else:
        with pytest.raises(BundleError, match="golden film gives Mass the logit"):
            OnnxPredictor.load(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": (TensorProto.FLOAT, ["B", 1, SIZE, SIZE])}, r"input image is tensor\(float\)"),
        ({"image": (TensorProto.UINT8, [1, 1, SIZE, SIZE])}, r"input image is .*expected tensor\(uint8\) \(B, 1, 64"),
        ({"image": (TensorProto.UINT8, ["B", 1, "H", "W"])}, r"input image is .*'H', 'W'"),
    ],
)
def test_a_graph_that_takes_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    model = graph(**changes)
    if changes["image"][0] == TensorProto.FLOAT:
        del model.graph.output[:]
        model.graph.output.extend(graph().graph.output)
    root = write_bundle(tmp_path / "tiny", onnx_bytes=model.SerializeToString()).root
    with pytest.raises(BundleError, match=message):
        OnnxPredictor.load(root)


def test_a_graph_of_another_image_size_is_refused(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny", image_size=128).root
    with pytest.raises(BundleError, match=r"input image is .*64, 64.*expected .*\(B, 1, 128, 128\)"):
        OnnxPredictor.load(root)


@pytest.mark.parametrize("name", ["logits", "embedding", "cam"])
def test_a_graph_that_lacks_an_output_is_refused(tmp_path: Path, name: str) -> None:
    model = graph()
    kept = [output for output in model.graph.output if output.name != name]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    root = write_bundle(tmp_path / "tiny", onnx_bytes=model.SerializeToString()).root
    with pytest.raises(BundleError, match=rf"has input image, .*; expected .*output {name}"):
        OnnxPredictor.load(root)


def test_a_graph_that_gives_no_number_is_refused(tmp_path: Path) -> None:
    model = graph()
    for tensor in model.graph.initializer:
        if tensor.name == "biases":
            tensor.CopyFrom(numpy_helper.from_array(np.full(len(FINDINGS), np.nan, dtype=np.float32), "biases"))
    root = write_bundle(tmp_path / "tiny", onnx_bytes=model.SerializeToString()).root
    with pytest.raises(BundleError, match="not finite"):
        OnnxPredictor.load(root)


@pytest.mark.parametrize("raw", [b"not a graph", b"\x08\x09"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx (cannot be loaded|has )"):
        OnnxPredictor.load(write_bundle(tmp_path / "tiny", onnx_bytes=raw).root)


def test_the_manifest_is_the_bundles(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    assert tiny_predictor.manifest.findings == manifest(tmp_path).findings


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        (["none"], ()),
        (["all"], FINDINGS),
        (["Mass,Effusion", "Mass"], ("Effusion", "Mass")),
        ([" Hernia , "], ("Hernia",)),
    ],
)
def test_explain_is_read_in_the_order_of_the_findings(values: list[str], expected: tuple[str, ...]) -> None:
    assert parse_explain(values, FINDINGS) == expected


@pytest.mark.parametrize(("values", "message"), [(["mass"], "Known: Atelectasis"), (["none", "Mass"], "both 'none'")])
def test_explain_refuses_what_is_no_finding(values: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_explain(values, FINDINGS)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_cpu_quota_of_both_cgroup_versions(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == expected


def test_available_cpus_is_at_least_one_and_never_above_the_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("10000 100000\n")
    assert available_cpus(tmp_path) == 1
