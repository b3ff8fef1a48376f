"""A tiny bundle whose every output can be computed by hand.

The graph averages the film's four quarters, c (2, 2), on the scale 0..1 after normalisation. Then

    cam[k]    = WEIGHTS[k] * c          logits[k] = mean(cam[k]) + BIASES[k]
    embedding[j] = mean(c) * (j + 1) / 1024
    probability[k] = sigmoid(slope * logits[k] + intercept) of the calibration of `profile(k)`

The guard measures distance = sqrt(mean(c)), and 0 where mean(c) is below 0; over 1 is unlike the training films. The
tiny films `film(seed)` lie near 0 and a white film at sqrt(2). A film's pose is that of `upright_film` with which its
thumbnail correlates most.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file

from chest_xray.bundle import (
    GUARD_FILE,
    Bundle,
    Calibration,
    FindingProfile,
    Golden,
    GuardProfile,
    Manifest,
    Normalisation,
    OperatingPoint,
    Provenance,
    QualityProfile,
    hash_files,
    write_manifest,
)
from chest_xray.bundle.film_statistics import EMBEDDING_SIZE, POSES, THUMBNAIL_SIDE, FilmStatistics
from chest_xray.findings import FINDINGS

SIZE = 64
MEAN, STD = 0.5, 0.25
WEIGHTS = np.linspace(-1.5, 1.5, len(FINDINGS)).astype(np.float32)
BIASES = np.linspace(0.8, -2.0, len(FINDINGS)).astype(np.float32)


@dataclass(frozen=True)
class Known:
    """What the tiny graph must give for one film, in float64."""

    logits: NDArray[np.float64]
    embedding: NDArray[np.float64]
    cam: NDArray[np.float64]


def known_outputs(film: NDArray[np.uint8]) -> Known:
    """The graph's outputs for a film (SIZE, SIZE), by hand."""
    half = SIZE // 2
    quarters = film.reshape(2, half, 2, half).mean(axis=(1, 3))
    cells = (quarters / 255.0 - MEAN) / STD
    cam = WEIGHTS.astype(np.float64)[:, None, None] * cells
    return Known(
        logits=cam.mean(axis=(1, 2)) + BIASES,
        embedding=cells.mean() * np.arange(1, 1025) / 1024,
        cam=cam,
    )


def profile(index: int) -> FindingProfile:
    """Findings differ in every number; Hernia, the last, has no operating point and no metrics."""
    if index == len(FINDINGS) - 1:
        calibration = Calibration(method="loss_weight", slope=1.0, intercept=-float(np.log(10.0)))
        return FindingProfile(calibration=calibration, operating_point=None, auroc=None, auroc_ci95=None)
    return FindingProfile(
        calibration=Calibration(method="platt", slope=0.7 + 0.05 * index, intercept=-0.9 + 0.1 * index),
        operating_point=OperatingPoint(threshold=0.1 + 0.05 * index, aim="youden", sensitivity=0.8, specificity=0.7),
        auroc=0.7 + 0.01 * index,
        auroc_ci95=(0.6 + 0.01 * index, 0.8 + 0.01 * index),
    )


def film(seed: int = 0) -> NDArray[np.uint8]:
    """A film (SIZE, SIZE) whose quarters all differ."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.linspace(0, 120, SIZE), np.linspace(0, 60, SIZE))
    return (ramp + rng.uniform(0, 70, size=(SIZE, SIZE))).astype(np.uint8)


def png(pixels: NDArray[Any]) -> bytes:
    """The PNG file of grey pixels."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def graph(count: int = len(FINDINGS), **changes: Any) -> onnx.ModelProto:
    """The tiny graph of the first `count` findings; `changes` replace what it takes and gives, by name."""
    shapes: dict[str, Any] = {
        "image": (TensorProto.UINT8, ["B", 1, SIZE, SIZE]),
        "logits": (TensorProto.FLOAT, ["B", count]),
        "embedding": (TensorProto.FLOAT, ["B", 1024]),
        "cam": (TensorProto.FLOAT, ["B", count, 2, 2]),
        "probability": (TensorProto.FLOAT, ["B", count]),
    } | changes
    calibrations = [profile(index).calibration for index in range(count)]
    values = {name: helper.make_tensor_value_info(name, *kind) for name, kind in shapes.items()}
    half = SIZE // 2
    constants = {
        "scale": np.array(255.0 * STD, dtype=np.float32),
        "shift": np.array(MEAN / STD, dtype=np.float32),
        "weights": WEIGHTS[:count].reshape(1, -1, 1, 1),
        "biases": BIASES[:count],
        "slopes": np.array([one.slope for one in calibrations], dtype=np.float32),
        "intercepts": np.array([one.intercept for one in calibrations], dtype=np.float32),
        "ramp": (np.arange(1, 1025, dtype=np.float32) / 1024).reshape(1, -1),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["pixels"], ["quarters"], kernel_shape=[half, half], strides=[half, half]),
        helper.make_node("Div", ["quarters", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "shift"], ["cells"]),
        helper.make_node("Mul", ["cells", "weights"], ["cam"]),
        helper.make_node("GlobalAveragePool", ["cam"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Add", ["flat", "biases"], ["logits"]),
        helper.make_node("Mul", ["logits", "slopes"], ["sloped"]),
        helper.make_node("Add", ["sloped", "intercepts"], ["calibrated"]),
        helper.make_node("Sigmoid", ["calibrated"], ["probability"]),
        helper.make_node("GlobalAveragePool", ["cells"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["mean_flat"]),
        helper.make_node("MatMul", ["mean_flat", "ramp"], ["embedding"]),
    ]
    inputs = [values.pop("image")]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    body = helper.make_graph(nodes, "tiny", inputs, list(values.values()), initializers)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def upright_pattern() -> NDArray[np.float64]:
    """A disc on a ramp that brightens downwards (32, 32), mean 0, standard deviation 1: no turn of it inverts it."""
    along = np.linspace(-1, 1, THUMBNAIL_SIDE)
    pattern = along[:, None] + 1.5 * (np.hypot(along[:, None], along) < 0.6)
    return np.asarray((pattern - pattern.mean()) / pattern.std())


def upright_film() -> NDArray[np.uint8]:
    """`upright_pattern` as a film (SIZE, SIZE)."""
    return np.kron(128 + 40 * upright_pattern(), np.ones((SIZE // 32, SIZE // 32))).astype(np.uint8)


def statistics() -> FilmStatistics:
    """Roots of embeddings lie along one component u, u[j] = sqrt((j + 1) / 1024), whose squares add up to 512.5.

    distance = sqrt(mean(c) * 512.5 / variance / 1024), which is sqrt(mean(c)). A pose's score is the correlation with
    `upright_pattern` in that pose; a crop's is -10.
    """
    root = np.sqrt(np.arange(1, EMBEDDING_SIZE + 1) / EMBEDDING_SIZE)
    upright = upright_pattern()
    patterns = [upright, -upright, *(np.rot90(upright, turns) for turns in (1, 2, 3))]
    crops = len(POSES) - len(patterns)
    weights = [pattern.ravel() / pattern.size for pattern in patterns] + [np.zeros(upright.size)] * crops
    return FilmStatistics(
        mean=np.zeros(EMBEDDING_SIZE),
        scale=np.ones(EMBEDDING_SIZE),
        components=root[None] / np.sqrt(512.5),
        variances=np.array([512.5 / EMBEDDING_SIZE]),
        rest=np.array(1.0),
        pose_weights=np.array(weights),
        pose_biases=np.array([0.0] * len(patterns) + [-10.0] * crops),
    )


GUARD = GuardProfile(threshold=1.0, false_refusal_rate=0.01, training_images=1000, validation_images=99)
QUALITY = QualityProfile(
    blank_range=16.0,
    inverted_margin=0.25,
    rotated_margin=0.25,
    cropped_margin=0.25,
    false_warning_rate=0.01,
    validation_images=99,
)


def manifest(root: Path, names: tuple[str, ...] = FINDINGS, **changes: Any) -> Manifest:
    """The manifest of the files in `root`, its findings under `names`; `changes` replace its fields."""
    golden = known_outputs(film())
    fields: dict[str, Any] = {
        "image_size": SIZE,
        "normalisation": Normalisation(mean=MEAN, std=STD),
        "logits": names,
        "findings": {name: profile(index) for index, name in enumerate(names)},
        "mean_auroc": 0.76,
        "golden": Golden(logits=tuple(golden.logits[: len(names)].tolist())),
        "guard": GUARD,
        "quality": QUALITY,
        "provenance": Provenance(
            data_hash="d" * 64,
            label_version="v2020",
            git_revision="a" * 40,
            training_run="run-1",
            created=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
            versions={"torch": "2.13.0"},
        ),
        "files": hash_files(root),
    }
    return Manifest.model_validate(fields | changes)


def write_bundle(
    root: Path, *, onnx_bytes: bytes | None = None, names: tuple[str, ...] = FINDINGS, **changes: Any
) -> Bundle:
    """Write a bundle into `root`; two calls with equal `changes` give equal bundles.

    `names` are other names, and as many, for the first findings: their numbers stay.
    """
    (root / "baseline").mkdir(parents=True)
    (root / "model.onnx").write_bytes(onnx_bytes or _default_graph(len(names)))
    save_file(
        {"classifier.weight": WEIGHTS[: len(names)], "classifier.bias": BIASES[: len(names)]},
        root / "weights.safetensors",
    )
    (root / "evaluation.json").write_text('{"mean_auroc": 0.76}\n')
    (root / "golden.png").write_bytes(png(film()))
    (root / GUARD_FILE).write_bytes(statistics().to_bytes())
    (root / "model_card.md").write_text("# Tiny\n")
    (root / "baseline" / "scores.csv").write_text("image,score\na,0.5\n")
    return write_manifest(root, manifest(root, names, **changes))


@cache
def _default_graph(count: int) -> bytes:
    return graph(count).SerializeToString()
