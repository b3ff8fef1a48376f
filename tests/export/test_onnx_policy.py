"""What a graph in a bundle may hold, wherever in it the rest is hidden; and that a bundle has no links."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.support.bundles import graph, write_bundle

from chest_xray.bundle import load_bundle
from chest_xray.bundle.onnx_policy import check_graph
from chest_xray.errors import BundleError

HERE = Path("model.onnx")
SOUND = graph().SerializeToString()


def outside(name: str = "weights") -> TensorProto:
    """A tensor whose values stand in another file."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/hostname"
    return tensor


def alien() -> onnx.NodeProto:
    return helper.make_node("Relu", ["a"], ["b"], domain="com.example")


def inner(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "inner", [], [], list(tensors))


def changed(change: Callable[[onnx.ModelProto], Any]) -> bytes:
    model = graph()
    change(model)
    return model.SerializeToString()


def branch(model: onnx.ModelProto, then: onnx.GraphProto) -> None:
    model.graph.node.append(helper.make_node("If", ["a"], ["b"], then_branch=then, else_branch=inner()))


def function(model: onnx.ModelProto, domain: str, nodes: list[onnx.NodeProto]) -> None:
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function(domain, "f", ["a"], ["b"], nodes, opsets))


EXTERNAL: dict[str, Callable[[onnx.ModelProto], Any]] = {
    "an initializer": lambda model: model.graph.initializer.append(outside()),
    "only the location": lambda model: setattr(model.graph.initializer[0], "data_location", TensorProto.EXTERNAL),
    "only the file": lambda model: model.graph.initializer[0].external_data.add(key="location", value="x"),
    "a constant": lambda model: model.graph.node.append(helper.make_node("Constant", [], ["a"], value=outside())),
    "a branch": lambda model: branch(model, inner(tensors=(outside(),))),
    "a branch of a branch": lambda model: branch(
        model, inner(helper.make_node("If", ["a"], ["b"], then_branch=inner(tensors=(outside(),)), else_branch=inner()))
    ),
    "a function": lambda model: function(model, "", [helper.make_node("Constant", [], ["b"], value=outside())]),
    "a sparse initializer": lambda model: model.graph.sparse_initializer.add().values.CopyFrom(outside()),
    "training": lambda model: model.training_info.add().initialization.CopyFrom(inner(tensors=(outside(),))),
}
FOREIGN: dict[str, Callable[[onnx.ModelProto], Any]] = {
    "a node": lambda model: model.graph.node.append(alien()),
    "an operator set": lambda model: model.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
    "a branch": lambda model: branch(model, inner(alien())),
    "a function": lambda model: function(model, "", [alien()]),
    "a function's name": lambda model: function(model, "com.example", []),
    "training": lambda model: model.training_info.add().algorithm.CopyFrom(inner(alien())),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_weights_in_other_files_are_refused(name: str) -> None:
    with pytest.raises(BundleError, match=r"^model\.onnx has weights in other files \(external data\); a bundle's"):
        check_graph(changed(EXTERNAL[name]), HERE)


@pytest.mark.parametrize("name", FOREIGN)
def test_operators_of_a_foreign_domain_are_refused(name: str) -> None:
    with pytest.raises(BundleError, match=r"^model\.onnx has operators of a foreign domain; a bundle's graph"):
        check_graph(changed(FOREIGN[name]), HERE)


def test_onnx_own_operators_and_weights_pass() -> None:
    check_graph(SOUND, HERE)
    check_graph(changed(lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 18))), HERE)
    check_graph(changed(lambda model: branch(model, inner(helper.make_node("Relu", ["a"], ["b"])))), HERE)


def test_a_second_graph_in_the_same_file_is_looked_at_too() -> None:
    """Protobuf merges a field that is there twice."""
    more = onnx.ModelProto()
    more.graph.node.append(alien())
    with pytest.raises(BundleError, match="foreign domain"):
        check_graph(SOUND + more.SerializeToString(), HERE)


@given(
    cut=st.integers(1, len(SOUND) - 1),
    flips=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(1, 255)), max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_damage_is_one_bundle_error_or_none(cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(SOUND)
    for place, change in flips:
        damaged[place] ^= change
    for data in (SOUND[:cut], bytes(damaged)):
        with suppress(BundleError):
            check_graph(data, HERE)


def test_a_bundle_with_such_a_graph_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx has weights in other files"):
        write_bundle(tmp_path / "outside", onnx_bytes=changed(EXTERNAL["an initializer"]))
    with pytest.raises(BundleError, match=r"model\.onnx has operators of a foreign domain"):
        write_bundle(tmp_path / "foreign", onnx_bytes=changed(FOREIGN["a node"]))


@pytest.mark.parametrize("name", ["model.onnx", "model_card.md", "baseline", "baseline/more.csv"])
def test_a_link_in_a_bundle_is_refused_wherever_it_leads(tmp_path: Path, name: str) -> None:
    root, aside = write_bundle(tmp_path / "tiny").root, tmp_path / "aside"
    if (root / name).exists():
        (root / name).rename(aside)
    (root / name).symlink_to(aside)
    with pytest.raises(BundleError, match=rf"holds {name}, a link or no file at all\. Copy the bundle again"):
        load_bundle(root)


def test_a_pipe_in_a_bundle_is_refused(tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "tiny").root
    os.mkfifo(root / "pipe")
    with pytest.raises(BundleError, match=r"holds pipe, a link or no file at all"):
        load_bundle(root)


def test_a_folder_that_is_reached_by_a_link_is_a_bundle(tmp_path: Path) -> None:
    """As a deployment's current version often is."""
    bundle = write_bundle(tmp_path / "tiny")
    (tmp_path / "current").symlink_to(bundle.root)
    assert load_bundle(tmp_path / "current").digest == bundle.digest
