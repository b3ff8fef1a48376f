"""What runs the graph: ONNX Runtime, or OpenVINO where it is installed and gives the same numbers.

Both take films uint8 (B, S, S) and give `Outputs`. The graph is checked against the manifest before either runs it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle, Variant
from chest_xray.bundle.film_statistics import EMBEDDING_SIZE
from chest_xray.errors import BundleError, SettingsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

EngineName = Literal["onnxruntime", "openvino"]
OUTPUTS: Final = ("logits", "embedding", "cam")
_BY_OPENVINO: Final[dict[str | None, str]] = {"bf16": "bf16", "fp16": "f16"}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The graph's answer for B films: logits (B, F), embedding (B, 1024), cam (B, F, h, w), float32."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    cam: NDArray[np.float32]


class Engine(Protocol):
    """Runs one graph. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Which engine this is: `onnxruntime` or `openvino`."""
        ...

    def run(self, films: NDArray[np.uint8]) -> Outputs:
        """Score films (B, S, S)."""
        ...


class OnnxRuntimeEngine:
    """ONNX Runtime on the processors: a lone film gets `threads` of them, films at once share them.

    On two processors, 16 clients get 31 films a second from two films on one thread each, and 27 from films on two
    threads each; a lone film takes 30 ms on two threads and 54 on one. Each number of threads needs a session of its
    own (40 MB and 45 ms for DenseNet121). All are opened at once, from the bytes that were verified: what becomes of
    the bundle's files later changes no answer.
    """

    name: Final = "onnxruntime"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._threads = threads
        shares = sorted({share_of(threads, films) for films in range(1, threads + 1)}, reverse=True)
        self._sessions = {share: _open_session(bundle, share) for share in shares}
        self._running = 0
        self._lock = threading.Lock()

    def run(self, films: NDArray[np.uint8]) -> Outputs:
        """Score films (B, S, S)."""
        with self._share() as session:
            results = session.run(OUTPUTS, {"image": films[:, np.newaxis]})
        return Outputs(*(np.asarray(result, dtype=np.float32) for result in results))

    @contextmanager
    def _share(self) -> Iterator[InferenceSession]:
        """The session with as many threads as are this film's share."""
        with self._lock:
            self._running += 1
            session = self._sessions[share_of(self._threads, self._running)]
        try:
            yield session
        finally:
            with self._lock:
                self._running -= 1


def share_of(threads: int, films: int) -> int:
    """Threads for each of `films` at once: all of them halved, and halved again, until they go round; at least 1."""
    while films > 1 and threads > 1:
        threads //= 2
        films = (films + 1) // 2
    return threads


class OpenVinoEngine:
    """OpenVINO on the processors, in single precision, or in that of a variant made for it."""

    name: Final = "openvino"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        ov = _import_openvino()
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": _hint(ov, bundle.manifest.variant),
            "PERFORMANCE_HINT": "LATENCY",
        }
        core = ov.Core()
        self._graph = core.compile_model(core.read_model(io.BytesIO(bundle.graph)), "CPU", options)
        # An OpenVINO request holds one film's buffers, so each thread has its own.
        self._requests = threading.local()

    def run(self, films: NDArray[np.uint8]) -> Outputs:
        """Score films (B, S, S)."""
        if not hasattr(self._requests, "mine"):
            self._requests.mine = self._graph.create_infer_request()
        results = self._requests.mine.infer({"image": films[:, np.newaxis]})
        return Outputs(*(np.array(results[name], dtype=np.float32) for name in OUTPUTS))


def open_engine(bundle: Bundle, name: EngineName, threads: int) -> Engine:
    """The engine of a bundle; OpenVINO must agree with ONNX Runtime on a film of its own before it serves.

    Raises:
        BundleError: the graph is not the manifest's, or the engines differ by more than the golden tolerance.
        SettingsError: OpenVINO is not installed, or the bundle is a variant for it and another engine was asked for.
    """
    if bundle.manifest.variant in _BY_OPENVINO:
        if name != "openvino":
            raise SettingsError(
                f"Variant {bundle.manifest.variant} is computed by OpenVINO; the engine is {name}. "
                "Serve with CXR_ENGINE=openvino or deploy another variant."
            )
        # ONNX Runtime checks the graph, but computes in another precision: the golden film holds the engine.
        _open_session(bundle, threads)
        return OpenVinoEngine(bundle, threads)
    reference = OnnxRuntimeEngine(bundle, threads)
    if name == "onnxruntime":
        return reference
    engine = OpenVinoEngine(bundle, threads)
    _check_agreement(bundle, reference, engine)
    return engine


def _check_agreement(bundle: Bundle, reference: Engine, engine: Engine) -> None:
    size = bundle.manifest.image_size
    film = (np.indices((1, size, size)).sum(axis=0) * 255 // (2 * size)).astype(np.uint8)
    expected, found = reference.run(film), engine.run(film)
    tolerance = bundle.manifest.golden.tolerance
    for output in OUTPUTS:
        difference = float(np.abs(getattr(expected, output) - getattr(found, output)).max())
        if not difference <= tolerance:
            raise BundleError(
                f"{engine.name} differs from onnxruntime by {difference:.2g} in {output}; at most {tolerance:g} is "
                "accepted. Serve with CXR_ENGINE=onnxruntime."
            )


def _hint(ov: Any, variant: Variant | None) -> str:
    """OpenVINO's name of the precision; single unless the bundle was accepted in another."""
    if variant is None or variant not in _BY_OPENVINO:
        return "f32"  # bfloat16 is off by 0.01 in the logits
    if variant.upper() not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise SettingsError(f"This processor does not compute in {variant}. Deploy without --variant, or int8.")
    return _BY_OPENVINO[variant]


def _import_openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise SettingsError(
            "CXR_ENGINE is openvino, which is not installed. "
            "Install it with `pip install chest-xray-classifier[openvino]` or serve with onnxruntime."
        ) from error
    return openvino


def _open_session(bundle: Bundle, threads: int) -> InferenceSession:
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    unloadable = (
        failures.Fail,
        failures.InvalidArgument,
        failures.InvalidGraph,
        failures.InvalidProtobuf,
        failures.NotImplemented,
        failures.RuntimeException,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads spin between the operators of a film, which saves 5 ms of 35, and sleep between the films.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = ort.InferenceSession(bundle.graph, options, providers=["CPUExecutionProvider"])
    except unloadable as error:
        raise BundleError(f"{bundle.onnx_path} cannot be loaded: {error}. Export the bundle again.") from error
    # Kept by the wrapper for a fallback to other providers, of which there is none: 28 MB for DenseNet121.
    session._model_bytes = None
    _check_graph(bundle, session)
    return session


def _check_graph(bundle: Bundle, session: InferenceSession) -> None:
    size = bundle.manifest.image_size
    count = len(bundle.manifest.findings)
    expected: dict[str, tuple[str, list[int | None]]] = {
        "input image": ("tensor(uint8)", [None, 1, size, size]),
        "output logits": ("tensor(float)", [None, count]),
        "output embedding": ("tensor(float)", [None, EMBEDDING_SIZE]),
        "output cam": ("tensor(float)", [None, count, -1, -1]),
        "output probability": ("tensor(float)", [None, count]),
    }
    found = {f"input {node.name}": node for node in session.get_inputs()}
    found |= {f"output {node.name}": node for node in session.get_outputs()}
    # Nothing here fetches the probability, and a graph from before it had one serves as well.
    if found.keys() | {"output probability"} != expected.keys():
        raise BundleError(
            f"{bundle.onnx_path} has {', '.join(found)}; expected {', '.join(expected)}. Export the bundle again."
        )
    for label, (kind, shape) in expected.items():
        if label in found and not _fits(found[label], kind, shape):
            raise BundleError(
                f"{bundle.onnx_path}: {label} is {found[label].type} {found[label].shape}; expected {kind} "
                f"{_written(shape)}. Export the bundle again."
            )


def _fits(node: NodeArg, kind: str, shape: list[int | None]) -> bool:
    """None in `shape` stands for a free batch axis, -1 for any extent."""
    if node.type != kind or len(node.shape) != len(shape):
        return False
    pairs = zip(node.shape, shape, strict=True)
    return all(not isinstance(is_, int) if want is None else want in (-1, is_) for is_, want in pairs)


def _written(shape: list[int | None]) -> str:
    return "(" + ", ".join({None: "B", -1: "*"}.get(extent, str(extent)) for extent in shape) + ")"
