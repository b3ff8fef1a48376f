"""What a graph gives for films of the shards: logits, embeddings and heat maps, by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from chest_xray.cpus import available_cpus
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, SettingsError
from chest_xray.evaluation.graph_scores import GraphScores, GraphSession, run_batches

Precision = Literal["bf16", "fp16"]
OUTPUTS = ("logits", "embedding", "cam")
# As OpenVINO names them among a processor's capabilities and among its hints.
_CAPABILITY = {"bf16": "BF16", "fp16": "FP16"}
_HINT = {"bf16": "bf16", "fp16": "f16"}
_PRECISIONS = ("FP32", "BF16", "FP16", "INT8")


@dataclass(frozen=True, slots=True)
class GraphOutputs:
    """Logits (N, F), embeddings (N, 1024) and heat maps (N, F, h, w), float32, of the films at `rows`."""

    rows: NDArray[np.int64]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    cams: NDArray[np.float32]

    @property
    def scores(self) -> GraphScores:
        """What the guard and the baseline take."""
        return GraphScores(self.rows, self.logits, self.embeddings)


def openvino_core(precision: Precision) -> Any:
    """OpenVINO, on a processor that computes in `precision`.

    Raises:
        SettingsError: OpenVINO is not installed, or would compute in another precision.
    """
    try:
        import openvino
    except ImportError as error:
        raise SettingsError(
            f"{precision} is computed by OpenVINO, which is not installed. "
            "Install it with `pip install chest-xray-classifier[openvino]` or compress with --method int8."
        ) from error
    core = openvino.Core()
    found: list[str] = [name for name in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") if name in _PRECISIONS]
    if _CAPABILITY[precision] not in found:
        raise SettingsError(
            f"OpenVINO computes in {', '.join(sorted(found))} on this processor, not in {_CAPABILITY[precision]}. "
            "Compress with --method int8, or on the kind of processor that will serve."
        )
    return core


class OpenVinoGraph:
    """A graph that OpenVINO computes in bf16 or fp16; called as an ONNX Runtime session is."""

    def __init__(self, path: Path, precision: Precision) -> None:
        options = {"INFERENCE_PRECISION_HINT": _HINT[precision], "INFERENCE_NUM_THREADS": available_cpus()}
        compiled = openvino_core(precision).compile_model(path, "CPU", options | {"PERFORMANCE_HINT": "LATENCY"})
        self._request = compiled.create_infer_request()

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[Any]:
        """The outputs by name."""
        results = self._request.infer(dict(feed))
        return [np.array(results[name], dtype=np.float32) for name in names]


def open_session(graph: Path | bytes, *, optimised: bool = True, threads: int | None = None) -> GraphSession:
    """A session on the processors; not `optimised` computes the graph as it is written, node by node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cpus()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session: GraphSession = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session


def run_all(session: GraphSession, shards: Shards, rows: NDArray[np.int64], *, title: str) -> GraphOutputs:
    """All three outputs for the films at `rows`, as they are stored, with progress.

    Raises:
        BundleError: logits are not finite.
    """
    logits, embeddings, cams = run_batches(session, shards, rows, OUTPUTS, title=title)
    if not np.isfinite(logits).all():
        raise BundleError("the graph gave logits that are not finite. Export the bundle again.")
    return GraphOutputs(rows, logits, embeddings, cams)


def map_correlations(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Pearson's correlation of each pair of heat maps (N, F, h, w): (N, F), NaN where one map is flat."""
    first, second = (cams.reshape(*cams.shape[:2], -1).astype(np.float64) for cams in (a, b))
    first, second = (flat - flat.mean(axis=-1, keepdims=True) for flat in (first, second))
    scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    together = (first * second).sum(axis=-1)
    return np.asarray(np.divide(together, scale, out=np.full(scale.shape, np.nan), where=scale > 0))
