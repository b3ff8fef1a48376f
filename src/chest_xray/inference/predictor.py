"""`OnnxPredictor`: a verified bundle, run in this process by ONNX Runtime.

    bytes -> decode -> preprocess -> graph -> calibration -> operating points -> Prediction

The path is the one that training used up to the graph, so a film gives the same logits in both. That is
checked each time a bundle is loaded: its golden film must give the logits that PyTorch gave.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle, Manifest, load_bundle
from chest_xray.cpus import available_cpus
from chest_xray.errors import BundleError
from chest_xray.images.decode import decode_film, decode_image
from chest_xray.images.film import Film
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.images.preprocess import preprocess
from chest_xray.inference.engines import Engine, EngineName, Outputs, open_engine
from chest_xray.inference.explain import chosen, parse_explain
from chest_xray.inference.guard import Guard
from chest_xray.inference.quality import QualityChecks
from chest_xray.prediction import FilmFacts, FindingScore, ModelIdentity, Prediction, QualityWarning

UNREGISTERED: Final = "unregistered"


class OnnxPredictor:
    """A `Predictor` over one bundle. Safe to call from several threads at once."""

    def __init__(self, bundle: Bundle, engine: Engine, identity: ModelIdentity, limits: Limits):
        # Not the bundle itself: its graph lives on in the engine, and need not be held twice.
        self._manifest = bundle.manifest
        self._root = bundle.root
        self._engine = engine
        self._identity = identity
        self._limits = limits
        self._findings = tuple(bundle.manifest.findings)
        self._calibration = _Calibration(bundle.manifest)
        self._guard = Guard.load(bundle)
        self._quality = QualityChecks.load(bundle)

    @classmethod
    def load(
        cls,
        root: Path,
        *,
        name: str = UNREGISTERED,
        version: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        threads: int | None = None,
        engine: EngineName = "onnxruntime",
    ) -> Self:
        """Verify the bundle in `root`, load its graph and prove it on the golden film.

        `threads` work on one image together; by default as many as there are processors.

        Raises:
            BundleError: the bundle is incomplete or altered, its graph is another than its manifest says, or
                the golden film does not give the manifest's logits.
        """
        bundle = load_bundle(root)
        opened = open_engine(bundle, engine, threads or available_cpus())
        identity = ModelIdentity(name=name, version=version, digest=bundle.digest)
        predictor = cls(bundle, opened, identity, limits)
        predictor._prove_golden(bundle.golden)
        return predictor

    @property
    def identity(self) -> ModelIdentity:
        """The model that answers."""
        return self._identity

    @property
    def engine(self) -> str:
        """What runs the graph: `onnxruntime` or `openvino`."""
        return self._engine.name

    @property
    def manifest(self) -> Manifest:
        """What the model's bundle says of it."""
        return self._manifest

    def predict(self, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
        """Score one image file's bytes; `explain` names the findings whose heat maps come back.

        Raises:
            ImageError: the bytes are not an image that can be read.
            SettingsError: `explain` has a name that is no finding.
        """
        explained = parse_explain(explain, self._findings)
        started = time.perf_counter()
        film = decode_film(image, self._limits)
        decoded = time.perf_counter()
        pixels = preprocess(film.grey, self.manifest.image_size)
        prepared = time.perf_counter()
        outputs = self._run(pixels)
        scored = time.perf_counter()
        facts = _facts(film)
        guard = self._guard.judge(outputs.embedding[0])
        quality = (*_doubts(film), *self._quality.judge(pixels, width=facts.width, height=facts.height))
        prediction = Prediction(
            model=self._identity,
            film=facts,
            findings=self._calibration.scores(outputs.logits[0]),
            guard=guard,
            quality=quality,
            timings_ms={
                "decode": (decoded - started) * 1e3,
                "preprocess": (prepared - decoded) * 1e3,
                "network": (scored - prepared) * 1e3,
            },
        )
        names = chosen(explained, prediction.findings)
        return replace(prediction, heat_maps={name: outputs.cam[0, self._findings.index(name)] for name in names})

    def logits(self, image: bytes) -> NDArray[np.float32]:
        """The raw logits (F,) of one image file's bytes, before calibration."""
        pixels = preprocess(decode_image(image, self._limits), self.manifest.image_size)
        scores: NDArray[np.float32] = self._run(pixels).logits[0]
        return scores

    def _run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The outputs for one film (S, S)."""
        outputs = self._engine.run(pixels[np.newaxis])
        if not np.isfinite(outputs.logits).all():
            raise BundleError(f"{self._root} gave logits that are not finite. Export the bundle again.")
        return outputs

    def _prove_golden(self, film: bytes) -> None:
        golden = self.manifest.golden
        found = self.logits(film)
        gaps = np.abs(found.astype(np.float64) - np.asarray(golden.logits))
        worst = int(gaps.argmax())
        if not gaps[worst] <= golden.tolerance:
            raise BundleError(
                f"{self._root}: the golden film gives {self._findings[worst]} the logit {found[worst]:.6g}, "
                f"expected {golden.logits[worst]:.6g} within {golden.tolerance:g}. "
                "Export the bundle again with this version of the project."
            )


class _Calibration:
    """The manifest's calibrations and operating points as vectors (F,)."""

    def __init__(self, manifest: Manifest):
        self._findings, profiles = tuple(manifest.findings), manifest.findings.values()
        self._slopes = np.array([profile.calibration.slope for profile in profiles])
        self._intercepts = np.array([profile.calibration.intercept for profile in profiles])
        points = [profile.operating_point for profile in profiles]
        self._thresholds = [None if point is None else point.threshold for point in points]

    def scores(self, logits: NDArray[np.float32]) -> tuple[FindingScore, ...]:
        """Calibrated probabilities and flags of one film's logits (F,)."""
        probabilities = sigmoid(self._slopes * logits.astype(np.float64) + self._intercepts).tolist()
        return tuple(
            FindingScore(
                finding=finding,
                probability=probability,
                operating_point=threshold,
                flag=None if threshold is None else probability >= threshold,
            )
            for finding, probability, threshold in zip(self._findings, probabilities, self._thresholds, strict=True)
        )


def _facts(film: Film) -> FilmFacts:
    height, width = film.grey.shape
    return FilmFacts(film.media_type, width, height, film.view, film.age, film.sex)


def _doubts(film: Film) -> Iterator[QualityWarning]:
    return (QualityWarning(doubt.check, doubt.detail) for doubt in film.doubts)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow for any finite x."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
