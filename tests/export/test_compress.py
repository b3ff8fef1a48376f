"""A compressed graph: what it keeps, when it is refused, and that it deploys only from a bundle that holds it."""

import re
import shutil
import signal
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.support.asgi import Client
from tests.support.bundles import SIZE, WEIGHTS, film, graph, png, write_bundle
from tests.support.nih_folders import write_shards
from tests.support.processes import run_python
from typer.testing import CliRunner

from chest_xray.backends import get_backend
from chest_xray.bundle import VARIANTS, Bundle, Calibration, Variant, load_bundle, load_variant
from chest_xray.cli import app, main
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, CompressionError, DataError, NotDeployedError, SettingsError
from chest_xray.evaluation.comparison.results import Comparison, Difference, MeanDifference
from chest_xray.evaluation.graphs import GraphOutputs, map_correlations, open_session, run_all
from chest_xray.export.compress import acceptance, search
from chest_xray.export.compress import compress as steps
from chest_xray.export.compress.acceptance import agreement_of, broken_bars
from chest_xray.export.compress.calibrated import with_calibrations
from chest_xray.export.compress.compress import Compressed, compress
from chest_xray.export.compress.quantise import Calibrated, calibrate_ranges
from chest_xray.export.compress.report import MapAgreement
from chest_xray.export.compress.search import Disturbance, Quantised, choose_layers, disturbance
from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.prediction import ModelIdentity
from chest_xray.settings import Settings


def convolved() -> bytes:
    """The tiny graph with its product of cells and weights as a convolution."""
    model = graph()
    nodes = list(model.graph.node)
    place = next(n for n, node in enumerate(nodes) if node.output[0] == "cam")
    nodes[place] = helper.make_node("Conv", ["cells", "kernels"], ["cam"], kernel_shape=[1, 1])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(WEIGHTS.reshape(-1, 1, 1, 1), "kernels"))
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("films"), SIZE, patients=60, validation_fraction=0.3)


@pytest.fixture(scope="module")
def source(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("bundles") / "float"
    first = write_bundle(root.with_name("other"), onnx_bytes=convolved())
    origin = first.manifest.provenance.model_copy(update={"data_hash": Shards.open(data).data_hash})
    return write_bundle(root, onnx_bytes=convolved(), provenance=origin)


@pytest.fixture(scope="module")
def done(source: Bundle, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    patch = pytest.MonkeyPatch()
    patch.setattr(steps, "broken_bars", lambda *_: [])
    output = tmp_path_factory.mktemp("outputs") / "int8"
    result = compress(source.root, data, output, rounds=100)
    patch.undo()
    return result


def test_the_variant_is_bound_to_its_bundle_by_digest(source: Bundle, done: Compressed) -> None:
    assert done.variant.manifest.compressed_from == source.digest
    assert done.variant.manifest.variant == "int8"
    assert done.bundle.manifest.files[f"{VARIANTS}/int8/model.json"] == done.variant.digest
    assert load_variant(done.bundle.root, "int8").digest == done.variant.digest
    assert done.bundle.digest != source.digest


def test_eight_bits_give_nearly_the_logits_of_float(source: Bundle, done: Compressed) -> None:
    image = film(3)[None, None]
    expected, found = (open_session(b.onnx_path).run(["logits"], {"image": image})[0] for b in (source, done.variant))
    assert 0 < np.abs(expected - found).max() < 0.1


def test_the_variant_serves_and_proves_its_golden_film(done: Compressed) -> None:
    predictor = OnnxPredictor.load(done.variant.root)
    assert predictor.manifest.variant == "int8"
    assert len(predictor.predict(png(film(1))).findings) == len(FINDINGS)


def test_the_graph_gives_the_probabilities_of_the_new_calibrations(done: Compressed) -> None:
    logits, found = open_session(done.variant.onnx_path).run(["logits", "probability"], {"image": film(2)[None, None]})
    for k, name in enumerate(FINDINGS):
        one = done.variant.manifest.findings[name].calibration
        assert found[0, k] == pytest.approx(1 / (1 + np.exp(-(one.slope * logits[0, k] + one.intercept))), abs=1e-6)


def test_manifest_and_card_have_the_figures_of_the_compressed_graph(source: Bundle, done: Compressed) -> None:
    """The source's manifest states figures of its own; the variant's stand in its table beside them."""
    measured = {name: one.auroc for name, one in done.variant.manifest.findings.items() if one.auroc is not None}
    name, own = next(iter(measured.items()))
    stated = source.manifest.findings[name].auroc
    assert stated is not None
    assert own != pytest.approx(stated, abs=1e-3)
    card = (done.variant.root / "model_card.md").read_text()
    assert card.startswith("# Variant int8\n\nmean AUROC ")
    assert f"Compressed from bundle {source.digest}" in card
    row = next(line for line in card.splitlines() if line.startswith(f"| {name} |"))
    assert row.startswith(f"| {name} | {own:.3f} (")
    assert f"| {stated:.3f} (" in row
    assert card.index("is of the bundle it was compressed from") < card.index("# Tiny")


def test_a_changed_variant_is_not_loaded(done: Compressed, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(done.bundle.root, tmp_path / "copy"))
    (copy / VARIANTS / "int8" / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"variants/int8/model\.onnx was changed"):
        load_variant(copy, "int8")


def test_a_variant_that_is_not_there_says_how_to_make_it(source: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no variant int8; it has none. Make one with `cxr compress"):
        load_variant(source.root, "int8")


def test_a_version_deploys_as_its_variant_only_if_it_holds_one(
    source: Bundle, done: Compressed, tmp_path: Path
) -> None:
    backend = get_backend(Settings(home=tmp_path / "home"))
    backend.register(done.bundle.root, model_name="chest", by="engineer")
    backend.set_approval("chest", 1, "Approved", by="radiologist", reason="good")
    with pytest.raises(BundleError, match=r"has no variant bf16; it has int8\. Make one with `cxr compress"):
        backend.deploy("chest", version=1, endpoint="clinic", variant="bf16")
    with pytest.raises(NotDeployedError):
        backend.predictor("clinic")
    deployed = backend.deploy("chest", version=1, endpoint="clinic", variant="int8")
    assert deployed.model == ModelIdentity(name="chest", version=1, digest=done.variant.digest)
    card = Client(create_app(backend.predictor("clinic"))).get("/v1/model").json()
    assert (card["variant"], card["compressed_from"]) == ("int8", source.digest)
    assert card["model"]["digest"] == done.variant.digest
    backend.deploy("chest", version=1, endpoint="clinic")
    assert backend.predictor("clinic").manifest.variant is None


def test_a_rejected_graph_writes_nothing(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "broken_bars", lambda *_: ["mean AUROC falls by 0.0030, at most 0.002 is accepted"])
    arguments = [
        "compress",
        str(source.root),
        "--data",
        str(data),
        "--output",
        str(tmp_path / "out"),
        "--rounds",
        "100",
    ]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CompressionError)
    assert str(result.exception).startswith("int8 is rejected, nothing was written: mean AUROC falls by 0.0030")
    assert list(tmp_path.iterdir()) == []


def test_a_rejection_is_one_line_and_exit_code_2(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held to maps that no graph of 8 bits gives, the tiny graph is rejected by the figure that was measured."""
    monkeypatch.setattr(acceptance, "LEAST_MAP_CORRELATION", 1.1)
    output = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["compress", str(source.root), "--data", str(data), "--output", str(output), "--rounds", "100"])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: int8 is rejected, nothing was written: ")
    assert re.search(r"heat maps correlate at [01]\.\d{4}, at least 1\.1 is expected\.$", last)
    assert list(tmp_path.iterdir()) == []


def test_a_deployment_without_its_variant_is_one_line_that_names_the_command(
    source: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "home"))
    backend = get_backend(Settings(home=tmp_path / "home"))
    backend.register(source.root, model_name="chest", by="engineer")
    backend.set_approval("chest", 1, "Approved", by="radiologist", reason="good")
    with pytest.raises(SystemExit) as ended:
        main(["deploy", "--model-name", "chest", "--endpoint", "clinic", "--variant", "int8"])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "has no variant int8; it has none. Make one with `cxr compress BUNDLE --data SHARDS --method int8`" in last


KILLED = """
import os, signal, sys
from pathlib import Path
from chest_xray.export.compress import compress as steps

bundle, data, output, step = sys.argv[1:]
steps.broken_bars = lambda *_: []
original = getattr(steps, step)

def killed(*args, **kwargs):
    original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(steps, step, killed)
steps.compress(Path(bundle), Path(data), Path(output), rounds=100)
"""


@pytest.mark.parametrize("step", ["write_variant", "write_manifest"])
def test_a_kill_leaves_the_bundle_as_it_was_and_no_half_of_another(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    output = tmp_path / "out"
    killed = run_python(KILLED, source.root, data, output, step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not output.exists()
    assert load_bundle(source.root) == source
    monkeypatch.setattr(steps, "broken_bars", lambda *_: [])
    again = compress(source.root, data, output, rounds=100)
    assert load_variant(output, "int8").digest == again.variant.digest
    assert list(tmp_path.iterdir()) == [output]


def test_nothing_is_written_into_the_bundle_itself(source: Bundle, data: Path) -> None:
    with pytest.raises(BundleError, match="is inside the bundle"):
        compress(source.root, data, source.root / "variants" / "mine")
    assert load_bundle(source.root) == source


def capable_of(*names: str) -> ModuleType:
    """OpenVINO on a processor that computes in these."""
    module = ModuleType("openvino")
    core = SimpleNamespace(get_property=lambda *_: ["WINOGRAD", *names, "EXPORT_IMPORT"])
    vars(module)["Core"] = lambda: core
    return module


@pytest.mark.parametrize("method", ["bf16", "fp16"])
def test_a_processor_without_the_precision_is_named_before_anything_is_scored(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Variant
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", capable_of("INT8", "FP32"))
    monkeypatch.setattr(steps, "run_all", lambda *_, **__: pytest.fail("films were scored"))
    expected = rf"^OpenVINO computes in FP32, INT8 on this processor, not in {method.upper()}\. Compress with --method"
    with pytest.raises(SettingsError, match=expected):
        compress(source.root, data, tmp_path / "out", method=method)


def test_openvino_is_asked_for_where_it_is_missing(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match=r"^bf16 is computed by OpenVINO, which is not installed\."):
        compress(source.root, data, tmp_path / "out", method="bf16")


def test_bf16_is_measured_as_openvino_computes_it(
    source: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variant's golden logits are of bf16: near those of float, held with the tolerance that was measured."""
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not compute in bf16")
    monkeypatch.setattr(steps, "broken_bars", lambda *_: [])
    done = compress(source.root, data, tmp_path / "out", method="bf16", rounds=100)
    golden = done.variant.manifest.golden
    assert np.abs(np.subtract(golden.logits, source.manifest.golden.logits)).max() <= golden.tolerance
    assert done.report.agreement.mean > 0.98
    assert OnnxPredictor.load(done.variant.root, engine="openvino").manifest.variant == "bf16"


def test_a_layer_that_disturbs_too_much_stays_in_float(
    source: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bar that no graph of 8 bits reaches, the only layer is left out and the logits are those of float."""
    shards = Shards.open(data)
    before = run_all(open_session(source.onnx_path), shards, shards.rows("val"), title="Float")
    calibrated = calibrate_ranges(source.onnx_path, shards, before.rows)
    held = choose_layers(calibrated, shards, before)
    assert held.excluded == ()
    monkeypatch.setattr(search, "LARGEST_LOGIT_ERROR", 0.0)
    left = choose_layers(calibrated, shards, before)
    assert left.excluded == calibrated.layers
    after = run_all(open_session(left.graph), shards, before.rows, title="Left out")
    np.testing.assert_allclose(after.logits, before.logits, atol=1e-5)


@dataclass
class Layers:
    """Ten layers, of which some do harm in int8; the rest do next to none. A graph is the names of its int8 layers."""

    harmful: dict[str, float]
    layers: tuple[str, ...] = tuple(f"layer{k}" for k in range(10))
    tried: list[tuple[str, ...]] = field(default_factory=list)

    def quantised(self, excluded: Collection[str] = ()) -> bytes:
        self.tried.append(tuple(excluded))
        return ",".join(name for name in self.layers if name not in excluded).encode()

    def measure(self, graph: bytes, shards: object, before: GraphOutputs) -> Disturbance:
        del shards, before
        return Disturbance(sum(self.harmful.get(name, 0.001) for name in graph.decode().split(",")), maps=1.0)


def search_layers(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> Quantised:
    """The search over layers whose harm is known; no graph is computed."""
    monkeypatch.setattr(search, "_measure", layers.measure)
    empty = np.zeros((20, 14), np.float32)
    return choose_layers(cast("Calibrated", layers), cast("Shards", None), GraphOutputs(np.arange(20), *[empty] * 3))


def test_the_worst_layers_are_left_out_until_the_bar_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.39 in all: the bar of 0.15 holds with the worst two of three harmful layers in float, and not with one."""
    layers = Layers({"layer7": 0.2, "layer2": 0.1, "layer5": 0.08})
    found = search_layers(layers, monkeypatch)
    assert found.excluded == ("layer7", "layer2")
    assert b"layer7" not in found.graph
    assert b"layer5" in found.graph
    assert layers.tried[0] == ()
    assert layers.tried[11:] == [("layer7",), ("layer7", "layer2")]


def test_no_layer_is_probed_where_all_of_them_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = Layers({})
    assert search_layers(layers, monkeypatch).excluded == ()
    assert layers.tried == [()]


def test_at_most_half_of_the_layers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is not enough, the last try goes to the test list, which judges it."""
    layers = Layers({f"layer{k}": 1.0 + k / 100 for k in range(10)})
    assert search_layers(layers, monkeypatch).excluded == ("layer9", "layer8", "layer7", "layer6", "layer5")


def saturating() -> bytes:
    """The tiny graph whose cells go there and back through convolutions that 8 bits do not survive.

    `up` adds a thousand and `down` takes it away: between them steps of 8 bits are wider than the cells.
    """
    model = onnx.load_model_from_string(convolved())
    nodes = list(model.graph.node)
    place = next(n for n, node in enumerate(nodes) if node.output[0] == "cam")
    nodes[place].input[0] = "same"
    nodes[place].name = "classify"
    ways = [("up", "cells", "far", 1000.0), ("down", "far", "same", -1000.0)]
    for name, start, end, bias in reversed(ways):
        nodes.insert(place, helper.make_node("Conv", [start, "one", name], [end], name=name, kernel_shape=[1, 1]))
        model.graph.initializer.append(numpy_helper.from_array(np.array([bias], np.float32), name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "one"))
    content: bytes = model.SerializeToString()
    return content


def test_a_graph_that_8_bits_destroy_is_found_out(data: Path, tmp_path: Path) -> None:
    """With one layer of three left out at most it cannot be mended, and says so by what it measures."""
    shards = Shards.open(data)
    path = tmp_path / "saturating.onnx"
    path.write_bytes(saturating())
    before = run_all(open_session(path), shards, shards.rows("val"), title="Float")
    calibrated = calibrate_ranges(path, shards, before.rows)
    assert calibrated.layers == ("up", "down", "classify")
    outputs = {
        left: run_all(open_session(calibrated.quantised(left)), shards, before.rows, title="Int8")
        for left in ((), ("classify",), ("up", "down"))
    }
    found = {left: disturbance(before, after) for left, after in outputs.items()}
    assert not found[()].holds
    assert not found["classify",].holds
    assert found["up", "down"].holds


def test_a_disturbance_is_in_deviations_of_the_logits() -> None:
    logits = np.tile(np.array([[-1.0], [1.0]], np.float32), (1, 14))
    maps = np.random.default_rng(0).normal(size=(2, 14, 4, 4)).astype(np.float32)
    before = GraphOutputs(np.arange(2), logits, np.zeros((2, 1024), np.float32), maps)
    after = GraphOutputs(np.arange(2), logits + np.float32(0.5), before.embeddings, maps)
    found = disturbance(before, after)
    assert (found.logits, found.maps) == (pytest.approx(0.5), pytest.approx(1))
    assert not found.holds


def test_shards_of_another_training_are_refused(data: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", onnx_bytes=convolved())
    with pytest.raises(DataError, match="was trained on data dddddddddddd"):
        compress(other.root, data, tmp_path / "out")


def comparison(mean: float, fall: float = 0.0, ci: tuple[float, float] = (-0.1, 0.1)) -> Comparison:
    """Only what the bars read."""
    row = Difference(positives=50, negatives=50, a=0.8, b=0.8 - fall, difference=-fall, ci95=ci, p=0.5)
    whole = MeanDifference.model_construct(difference=mean)
    return Comparison.model_construct(mean=whole, findings={"Mass": row})


SAME = MapAgreement(mean=1.0, least=1.0, percentiles={}, by_finding={}, flat=0)


def test_bars_hold_up_to_their_values_and_a_fall_within_noise_is_none() -> None:
    assert broken_bars(comparison(-0.002), SAME) == []
    assert broken_bars(comparison(0.0, fall=0.05), SAME) == []
    assert broken_bars(comparison(0.0, fall=0.009, ci=(-0.02, -0.001)), SAME) == []


def test_each_broken_bar_is_named_with_its_figure() -> None:
    worse = SAME.model_copy(update={"mean": 0.97})
    broken = broken_bars(comparison(-0.003, fall=0.02, ci=(-0.03, -0.01)), worse)
    assert broken == [
        "mean AUROC falls by 0.0030, at most 0.002 is accepted",
        "AUROC of Mass falls by 0.0200 beyond noise, at most 0.01 is accepted",
        "heat maps correlate at 0.9700, at least 0.98 is expected",
    ]


def test_maps_correlate_whatever_their_scale_and_flat_ones_are_counted() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 14, 4, 4)).astype(np.float32)
    assert map_correlations(maps, 2 * maps + 1) == pytest.approx(1)
    assert map_correlations(maps, -maps) == pytest.approx(-1)
    still = maps.copy()
    still[0, 0] = 1.0
    assert agreement_of(FINDINGS, maps, still).flat == 1


def test_a_graph_without_probabilities_gets_them() -> None:
    ones = [Calibration(method="platt", slope=2.0, intercept=-1.0)] * len(FINDINGS)
    logits, found = open_session(with_calibrations(convolved(), ones)).run(
        ["logits", "probability"], {"image": film()[None, None]}
    )
    assert found == pytest.approx(1 / (1 + np.exp(1 - 2 * logits)), abs=1e-6)
