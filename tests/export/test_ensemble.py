"""Several bundles in one graph: means that are known, one calibration, one guard, and members that do not fit."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tests.support.bundles import BIASES, MEAN, SIZE, STD, WEIGHTS, film, graph, known_outputs, png, write_bundle
from tests.support.nih_folders import write_shards

from chest_xray.bundle import Bundle, Golden, Normalisation
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.graphs import OUTPUTS, open_session
from chest_xray.export.ensemble.ensemble import Ensembled, ensemble
from chest_xray.export.ensemble.merge import merge_graphs
from chest_xray.findings import FINDINGS
from chest_xray.inference.predictor import OnnxPredictor


def scaled(factor: float) -> bytes:
    """The tiny graph with its weights times `factor`."""
    model = graph()
    place = next(n for n, one in enumerate(model.graph.initializer) if one.name == "weights")
    model.graph.initializer[place].CopyFrom(numpy_helper.from_array(factor * WEIGHTS.reshape(1, -1, 1, 1), "weights"))
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("films"), SIZE, patients=60, validation_fraction=0.3)


@pytest.fixture(scope="module")
def members(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    """The tiny bundle, and one with three times its weights."""
    folder = tmp_path_factory.mktemp("members")
    first = write_bundle(folder / "other")
    origin = first.manifest.provenance.model_copy(update={"data_hash": Shards.open(data).data_hash})
    logits = 3 * known_outputs(film()).cam.mean(axis=(1, 2)) + BIASES
    return [
        write_bundle(folder / "one", provenance=origin),
        write_bundle(
            folder / "three", onnx_bytes=scaled(3), provenance=origin, golden=Golden(logits=tuple(logits.tolist()))
        ),
    ]


@pytest.fixture(scope="module")
def done(members: list[Bundle], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ensembled:
    return ensemble([one.root for one in members], data, tmp_path_factory.mktemp("outputs") / "both", rounds=100)


def test_twice_the_same_bundle_is_that_bundle(members: list[Bundle]) -> None:
    feed = {"image": np.stack([film(1), film(2)])[:, None]}
    once = open_session(members[1].onnx_path).run(OUTPUTS, feed)
    twice = open_session(merge_graphs([members[1].onnx_path] * 2)).run(OUTPUTS, feed)
    for expected, found in zip(once, twice, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_logits_and_maps_are_means_and_the_embedding_is_the_first_members(members: list[Bundle]) -> None:
    known = known_outputs(film(4))
    session = open_session(merge_graphs([one.onnx_path for one in members]))
    logits, embedding, cam = session.run(OUTPUTS, {"image": film(4)[None, None]})
    np.testing.assert_allclose(cam[0], 2 * known.cam, atol=1e-5)
    np.testing.assert_allclose(logits[0], 2 * known.cam.mean(axis=(1, 2)) + BIASES, atol=1e-5)
    np.testing.assert_allclose(embedding[0], known.embedding, atol=1e-5)


def test_the_bundle_names_its_members_and_serves_with_the_first_ones_guard(
    members: list[Bundle], done: Ensembled
) -> None:
    assert done.bundle.manifest.ensemble_of == tuple(one.digest for one in members)
    assert [one.digest for one in done.report.members] == [one.digest for one in members]
    assert done.bundle.manifest.guard == members[0].manifest.guard
    predictor = OnnxPredictor.load(done.bundle.root)
    alone = OnnxPredictor.load(members[0].root)
    assert predictor.predict(png(film(5))).guard == alone.predict(png(film(5))).guard


def test_the_card_says_whose_figures_stand_in_it(done: Ensembled) -> None:
    card = (done.bundle.root / "model_card.md").read_text()
    own = next((name, row.auroc) for name, row in done.bundle.manifest.findings.items() if row.auroc is not None)
    assert card.startswith("# An ensemble of 2 bundles\n")
    assert f"| {own[0]} | {own[1]:.3f} (" in card
    assert card.index("is of member 0, whose card follows whole") < card.index("# Tiny")


def test_the_golden_logits_are_the_mean_of_the_members(members: list[Bundle], done: Ensembled) -> None:
    expected = np.mean([one.manifest.golden.logits for one in members], axis=0)
    np.testing.assert_allclose(done.bundle.manifest.golden.logits, expected)


def test_the_graph_gives_the_probabilities_of_the_ensembles_own_calibrations(done: Ensembled) -> None:
    logits, found = open_session(done.bundle.onnx_path).run(["logits", "probability"], {"image": film(2)[None, None]})
    for k, name in enumerate(FINDINGS):
        one = done.bundle.manifest.findings[name].calibration
        assert found[0, k] == pytest.approx(1 / (1 + np.exp(-(one.slope * logits[0, k] + one.intercept))), abs=1e-6)


def test_the_weights_of_every_member_are_in_the_bundle(done: Ensembled) -> None:
    weights = load_file(done.bundle.root / "weights.safetensors")
    assert sorted(weights) == [f"{n}.classifier.{kind}" for n in (0, 1) for kind in ("bias", "weight")]
    np.testing.assert_array_equal(weights["1.classifier.weight"], WEIGHTS)


def test_an_ensemble_has_two_members(members: list[Bundle], data: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="An ensemble has two members at least"):
        ensemble([members[0].root], data, tmp_path / "out")


def test_a_member_of_another_training_is_refused(members: list[Bundle], data: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other")
    with pytest.raises(DataError, match="was trained on data dddddddddddd"):
        ensemble([members[0].root, other.root], data, tmp_path / "out")


def test_an_ensemble_is_no_member(members: list[Bundle], done: Ensembled, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is an ensemble itself\. Name the bundles that it was made of"):
        ensemble([members[0].root, done.bundle.root], data, tmp_path / "out")


def test_members_that_normalise_in_another_way_are_refused(members: list[Bundle], data: Path, tmp_path: Path) -> None:
    origin = members[0].manifest.provenance
    other = write_bundle(tmp_path / "other", provenance=origin, normalisation=Normalisation(mean=MEAN, std=2 * STD))
    with pytest.raises(BundleError, match="normalises pixels in another way"):
        ensemble([members[0].root, other.root], data, tmp_path / "out")


def test_members_with_maps_of_another_grid_are_refused(members: list[Bundle], data: Path, tmp_path: Path) -> None:
    model = graph(cam=(TensorProto.FLOAT, ["B", len(FINDINGS), 1, 1]))
    place = next(n for n, node in enumerate(model.graph.node) if "cam" in node.output)
    model.graph.node[place].output[0] = "grid"
    model.graph.node.insert(place + 1, helper.make_node("GlobalAveragePool", ["grid"], ["cam"]))
    other = write_bundle(
        tmp_path / "other", onnx_bytes=model.SerializeToString(), provenance=members[0].manifest.provenance
    )
    with pytest.raises(BundleError, match="The members' cam differ in shape"):
        ensemble([members[0].root, other.root], data, tmp_path / "out")


def test_a_folder_that_is_there_is_kept(members: list[Bundle], data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="is there already"):
        ensemble([one.root for one in members], data, tmp_path / "out")
