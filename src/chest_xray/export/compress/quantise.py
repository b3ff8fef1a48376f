"""Static int8: the convolutions in 8 bits, everything between them in float.

Of DenseNet's layers only the convolutions are quantised. In its pre-activation order a batch normalisation stands
between a concatenation and a convolution and cannot be folded into weights; with the concatenations in 8 bits as well,
each feature is rounded again at every layer, which moved logits four times as far and took a quarter longer
(docs/decisions.md has the figures).

Weights are rounded per output channel; activations by the range that calibration images gave. Weights have 7 bits:
without VNNI, 8 bits of both saturate the processor's 16-bit sums (ONNX Runtime's documentation), and one bundle would
give two answers. With VNNI, 7 bits are as fast and as near to float as 8.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError

CALIBRATION_IMAGES = 128
_QUANTISED = ("Conv",)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A graph with the ranges of its activations, from which any choice of layers is quantised in seconds."""

    model: onnx.ModelProto
    ranges: TensorsData
    layers: tuple[str, ...]

    def quantised(self, excluded: Collection[str] = ()) -> bytes:
        """The graph with every layer but the excluded ones in int8."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        options = {"ActivationSymmetric": False, "WeightSymmetric": True}
        quantizer = QDQQuantizer(
            model,
            True,  # a scale for each output channel
            True,  # 7 bits
            QuantType.QInt8,
            QuantType.QUInt8,
            self.ranges,
            [],  # all layers,
            list(excluded),  # but these
            list(_QUANTISED),
            options,
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        content: bytes = stripped(quantizer.model.model).SerializeToString()
        return content


class _Films:
    """What a calibrator reads: one film after another, then None."""

    def __init__(self, shards: Shards, rows: NDArray[np.int64], advance: Callable[[int], None]) -> None:
        self._films = ({"image": shards.read([row])[:, None]} for row in rows)
        self._advance = advance

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next film as the graph takes it."""
        film = next(self._films, None)
        if film is not None:
            self._advance(1)
        return film


def calibrate_ranges(graph: Path, shards: Shards, rows: NDArray[np.int64]) -> Calibrated:
    """The least and the greatest value of every convolution's input and output over the films at `rows`.

    Raises:
        BundleError: the graph has no convolution.
    """
    with tempfile.TemporaryDirectory(prefix="cxr-compress-") as folder:
        named = Path(folder) / "named.onnx"
        onnx.save(_named(onnx.load(graph)), named)
        model = load_model_with_shape_infer(named)
        layers = tuple(node.name for node in model.graph.node if node.op_type in _QUANTISED)
        if not layers:
            raise BundleError(f"{graph} has no convolution to quantise.")
        augmented = str(Path(folder) / "augmented.onnx")
        calibrator = create_calibrator(named, list(_QUANTISED), augmented, CalibrationMethod.MinMax)
        with progress("Calibrating ranges", len(rows)) as advance:
            calibrator.collect_data(_Films(shards, rows, advance))
        ranges = calibrator.compute_data()
    return Calibrated(model, ranges, layers)


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every node gets a name: layers are excluded by it."""
    for place, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{place}"
    return stripped(model)


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what an exporter notes about its own sources: 1.5 MB of stack traces, and paths of a machine."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model
