"""The members' graphs side by side in one graph.

    image -> member 0 -> logits, embedding, cam
          -> member 1 -> logits, cam             logits = mean, cam = mean, embedding = member 0's

Logits are averaged before calibration, and maps with them: a map's mean is still its logit, less the mean of the
members' biases. Embeddings of two networks have no axis in common, so a mean of them would be of nothing; the guard
measures the first member's, with the statistics that were fitted to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import compose, helper

from chest_xray.errors import BundleError
from chest_xray.export.compress.quantise import stripped

_AVERAGED = ("logits", "cam")
_FIRST = ("embedding",)


def merge_graphs(paths: Sequence[Path]) -> bytes:
    """One graph of the members' graphs, with `logits`, `embedding` and `cam`, and without `probability`.

    Raises:
        BundleError: the graphs are of other versions of ONNX's operators.
    """
    members = [_member(path, place) for place, path in enumerate(paths)]
    _check_opsets(paths, members)
    first = members[0]
    nodes = [node for member in members for node in member.graph.node]
    nodes += [helper.make_node("Mean", [_name(k, out) for k in range(len(members))], [out]) for out in _AVERAGED]
    nodes += [helper.make_node("Identity", [_name(0, out)], [out]) for out in _FIRST]
    image = first.graph.input[0]
    image.name = "image"
    outputs = {output.name: output for output in first.graph.output}
    kept = []
    for out in ("logits", "embedding", "cam"):
        outputs[_name(0, out)].name = out
        kept.append(outputs[_name(0, out)])
    body = helper.make_graph(
        nodes, "ensemble", [image], kept, [one for member in members for one in member.graph.initializer]
    )
    model = helper.make_model(
        body,
        opset_imports=first.opset_import,
        ir_version=max(member.ir_version for member in members),
        functions=[function for member in members for function in member.functions],
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _name(place: int, name: str) -> str:
    return f"member{place}.{name}"


def _member(path: Path, place: int) -> Any:
    """A graph whose names are its own, but for the image."""
    model = compose.add_prefix(stripped(onnx.load(path)), _name(place, ""))
    for node in model.graph.node:
        for slot, name in enumerate(node.input):
            if name == _name(place, "image"):
                node.input[slot] = "image"
    return model


def _check_opsets(paths: Sequence[Path], members: Sequence[Any]) -> None:
    versions = [{one.domain: one.version for one in member.opset_import} for member in members]
    for path, found in zip(paths, versions, strict=True):
        if found != versions[0]:
            raise BundleError(
                f"{path} is of ONNX operators {found}, {paths[0]} of {versions[0]}. Export both bundles with one "
                "version of this project."
            )
