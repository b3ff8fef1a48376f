"""`OnnxPredictor`: a verified bundle, run in this process by ONNX Runtime.

    bytes -> decode -> preprocess -> graph -> calibration -> operating points -> Prediction

The path is the one that training used up to the graph, so a film gives the same logits in both. That is
checked each time a bundle is loaded: its golden film must give the logits that PyTorch gave.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from chest_xray.backends.base import FindingScore, ModelIdentity, Prediction
from chest_xray.bundle import EMBEDDING_SIZE, Bundle, Manifest, load_bundle
from chest_xray.cpus import available_cpus
from chest_xray.errors import BundleError
from chest_xray.findings import FINDINGS
from chest_xray.images.decode import decode_image
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.images.preprocess import preprocess
from chest_xray.inference.explain import parse_explain

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

UNREGISTERED: Final = "unregistered"


class OnnxPredictor:
    """A `Predictor` over one bundle. Safe to call from several threads at once."""

    def __init__(self, bundle: Bundle, session: InferenceSession, identity: ModelIdentity, limits: Limits):
        self._bundle = bundle
        self._session = session
        self._identity = identity
        self._limits = limits
        self._calibration = _Calibration(bundle.manifest)

    @classmethod
    def load(
        cls,
        root: Path,
        *,
        name: str = UNREGISTERED,
        version: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        threads: int | None = None,
    ) -> Self:
        """Verify the bundle in `root`, load its graph and prove it on the golden film.

        `threads` work on one image together; by default as many as there are processors.

        Raises:
            BundleError: the bundle is incomplete or altered, its graph is another than its manifest says, or
                the golden film does not give the manifest's logits.
        """
        bundle = load_bundle(root)
        session = _open_graph(bundle, threads or available_cpus())
        identity = ModelIdentity(name=name, version=version, digest=bundle.digest)
        predictor = cls(bundle, session, identity, limits)
        predictor._prove_golden()
        return predictor

    @property
    def identity(self) -> ModelIdentity:
        """The model that answers."""
        return self._identity

    @property
    def manifest(self) -> Manifest:
        """What the model's bundle says of it."""
        return self._bundle.manifest

    def predict(self, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
        """Score one image file's bytes; `explain` names the findings whose heat maps come back.

        Raises:
            ImageError: the bytes are not an image that can be read.
            SettingsError: `explain` has a name that is no finding.
        """
        explained = parse_explain(explain)
        started = time.perf_counter()
        grey = decode_image(image, self._limits)
        decoded = time.perf_counter()
        pixels = preprocess(grey, self.manifest.image_size)
        prepared = time.perf_counter()
        logits, cam = self._run(pixels, with_cam=bool(explained))
        scored = time.perf_counter()
        return Prediction(
            model=self._identity,
            findings=self._calibration.scores(logits),
            heat_maps={finding: cam[FINDINGS.index(finding)] for finding in explained},
            timings_ms={
                "decode": (decoded - started) * 1e3,
                "preprocess": (prepared - decoded) * 1e3,
                "network": (scored - prepared) * 1e3,
            },
        )

    def logits(self, image: bytes) -> NDArray[np.float32]:
        """The raw logits (14,) of one image file's bytes, before calibration."""
        pixels = preprocess(decode_image(image, self._limits), self.manifest.image_size)
        return self._run(pixels, with_cam=False)[0]

    def _run(self, pixels: NDArray[np.uint8], *, with_cam: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (14,) and maps (14, h, w) of one film (S, S); no maps, (0,), unless asked for."""
        outputs = ["logits", "cam"] if with_cam else ["logits"]
        results = self._session.run(outputs, {"image": pixels[np.newaxis, np.newaxis]})
        arrays = [np.asarray(result, dtype=np.float32)[0] for result in results]
        if not np.isfinite(arrays[0]).all():
            raise BundleError(f"{self._bundle.onnx_path} gave logits that are not finite. Export the bundle again.")
        return arrays[0], arrays[1] if with_cam else np.empty(0, dtype=np.float32)

    def _prove_golden(self) -> None:
        golden = self.manifest.golden
        found = self.logits((self._bundle.root / "golden.png").read_bytes())
        gaps = np.abs(found.astype(np.float64) - np.asarray(golden.logits))
        worst = int(gaps.argmax())
        if not gaps[worst] <= golden.tolerance:
            raise BundleError(
                f"{self._bundle.root}: the golden film gives {FINDINGS[worst]} the logit {found[worst]:.6g}, "
                f"expected {golden.logits[worst]:.6g} within {golden.tolerance:g}. "
                "Export the bundle again with this version of the project."
            )


class _Calibration:
    """The manifest's calibrations and operating points as vectors (14,)."""

    def __init__(self, manifest: Manifest):
        profiles = [manifest.findings[finding] for finding in FINDINGS]
        self._slopes = np.array([profile.calibration.slope for profile in profiles])
        self._intercepts = np.array([profile.calibration.intercept for profile in profiles])
        points = [profile.operating_point for profile in profiles]
        self._thresholds = [None if point is None else point.threshold for point in points]

    def scores(self, logits: NDArray[np.float32]) -> tuple[FindingScore, ...]:
        """Calibrated probabilities and flags of one film's logits (14,)."""
        probabilities = sigmoid(self._slopes * logits.astype(np.float64) + self._intercepts).tolist()
        return tuple(
            FindingScore(
                finding=finding,
                probability=probability,
                operating_point=threshold,
                flag=None if threshold is None else probability >= threshold,
            )
            for finding, probability, threshold in zip(FINDINGS, probabilities, self._thresholds, strict=True)
        )


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow for any finite x."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _open_graph(bundle: Bundle, threads: int) -> InferenceSession:
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
    # Several requests share these threads; between them they sleep instead of spinning on the processors.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(bundle.onnx_path, options, providers=["CPUExecutionProvider"])
    except unloadable as error:
        raise BundleError(f"{bundle.onnx_path} cannot be loaded: {error}. Export the bundle again.") from error
    _check_graph(bundle, session)
    return session


def _check_graph(bundle: Bundle, session: InferenceSession) -> None:
    size = bundle.manifest.image_size
    count = len(FINDINGS)
    expected: dict[str, tuple[str, list[int | None]]] = {
        "input image": ("tensor(uint8)", [None, 1, size, size]),
        "output logits": ("tensor(float)", [None, count]),
        "output embedding": ("tensor(float)", [None, EMBEDDING_SIZE]),
        "output cam": ("tensor(float)", [None, count, -1, -1]),
    }
    found = {f"input {node.name}": node for node in session.get_inputs()}
    found |= {f"output {node.name}": node for node in session.get_outputs()}
    if found.keys() != expected.keys():
        raise BundleError(
            f"{bundle.onnx_path} has {', '.join(found)}; expected {', '.join(expected)}. Export the bundle again."
        )
    for label, (kind, shape) in expected.items():
        if not _fits(found[label], kind, shape):
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
