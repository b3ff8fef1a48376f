"""The calibrated probabilities of a graph, and the calibrations of a compressed one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chest_xray.bundle import Calibration, Manifest
from chest_xray.data.shards import Shards
from chest_xray.evaluation.calibration.operating_points import YOUDEN
from chest_xray.training.config import TrainConfig
from chest_xray.training.recipe import positive_weights

PROBABILITY = "probability"


def with_calibrations(graph: bytes, calibrations: Sequence[Calibration]) -> bytes:
    """The graph with `probability` (B, F) by these calibrations of its logits, in place of what it had."""
    model = onnx.load_model_from_string(graph)
    body = model.graph
    kept = [output for output in body.output if output.name != PROBABILITY]
    _drop_what_nothing_needs(body, {output.name for output in kept})
    del body.output[:]
    slopes = np.array([one.slope for one in calibrations], dtype=np.float32)
    intercepts = np.array([one.intercept for one in calibrations], dtype=np.float32)
    names = ("calibration.slopes", "calibration.intercepts")
    body.initializer.extend(map(numpy_helper.from_array, (slopes, intercepts), names))
    body.node.extend(
        [
            helper.make_node("Mul", ["logits", names[0]], ["calibration.sloped"]),
            helper.make_node("Add", ["calibration.sloped", names[1]], ["calibration.log_odds"]),
            helper.make_node("Sigmoid", ["calibration.log_odds"], [PROBABILITY]),
        ]
    )
    shape: list[str | int | None] = [_batch_axis(model), len(calibrations)]
    body.output.extend([*kept, helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, shape)])
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def _batch_axis(model: onnx.ModelProto) -> str:
    return model.graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"


def _drop_what_nothing_needs(body: onnx.GraphProto, needed: set[str]) -> None:
    """Remove the nodes and initializers that none of the outputs `needed` is computed from."""
    nodes = []
    for node in reversed(body.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed = needed.union(node.input)
    initializers = [one for one in body.initializer if one.name in needed]
    del body.node[:]
    body.node.extend(reversed(nodes))
    del body.initializer[:]
    body.initializer.extend(initializers)


def weights_of_positives(manifest: Manifest, shards: Shards) -> tuple[float, ...]:
    """The weight of a positive in the training loss, by finding, which a bundle does not state.

    It is in the intercept wherever the calibration undid it; elsewhere it is what the training list and the default
    cap give.
    """
    labels = shards.labels[shards.rows("train")]
    assumed = positive_weights(labels, TrainConfig().positive_weight_cap)
    return tuple(
        _undone(profile.calibration) or assumed[k] for k, profile in enumerate(manifest.findings.values())
    )  # fmt: skip


def _undone(calibration: Calibration) -> float | None:
    if calibration.method == "platt" or calibration.prior is not None or calibration.slope <= 0:
        return None
    return math.exp(-calibration.intercept / calibration.slope)


def aim_of(manifest: Manifest) -> str:
    """The aim of the bundle's operating points."""
    points = (profile.operating_point for profile in manifest.findings.values())
    return next((point.aim for point in points if point is not None), YOUDEN)


def priors_of(manifest: Manifest) -> dict[str, float]:
    """The prevalences to which the bundle's calibrations were moved, by finding."""
    priors = {name: profile.calibration.prior for name, profile in manifest.findings.items()}
    return {name: prior for name, prior in priors.items() if prior is not None}
