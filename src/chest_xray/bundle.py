"""The model bundle: one folder with everything that travels with a model.

    model.onnx           image uint8 (B, 1, S, S) -> logits (B, 14), embedding (B, 1024), cam (B, 14, h, w)
    weights.safetensors  the same network's weights, to train on from here
    model.json           this module's `Manifest`
    evaluation.json      the metrics on the test list, with intervals
    golden.png           a film and, in the manifest, the logits that PyTorch gave for it
    guard.npz            statistics of the training films: see `film_statistics`; thresholds over them in the manifest
    baseline/            scores and embeddings of validation images, for drift
    model_card.md        for people

Every file's SHA-256 stands in `model.json`; the SHA-256 of `model.json` is the bundle's digest. Loading verifies all of
them. A missing, added or changed file is an error; there is no default model and no pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from chest_xray.errors import BundleError
from chest_xray.files import sha256_of
from chest_xray.film_statistics import FilmStatistics
from chest_xray.findings import FINDINGS

MANIFEST = "model.json"
GUARD_FILE = "guard.npz"
REQUIRED_FILES = ("model.onnx", "weights.safetensors", "evaluation.json", "golden.png", GUARD_FILE, "model_card.md")

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Normalisation(_Frozen):
    """(pixel / 255 - mean) / std, done inside the graph; both on the scale 0..1."""

    mean: float
    std: float = Field(gt=0)


class Calibration(_Frozen):
    """Calibrated probability = sigmoid(slope * logit + intercept).

    `platt` was fitted on validation images (Platt 1999). `loss_weight` only undoes the weight w that the training loss
    gave to positives (slope 1, intercept -ln w), for a finding with too few validation positives to fit.
    """

    method: Literal["platt", "loss_weight"]
    slope: float
    intercept: float


class OperatingPoint(_Frozen):
    """The calibrated probability from which a finding is flagged, with what it gave on validation images."""

    threshold: Probability
    aim: Literal["youden"]
    sensitivity: Probability
    specificity: Probability


class FindingProfile(_Frozen):
    """What the bundle knows of one finding. None where the data had too few cases to tell."""

    calibration: Calibration
    operating_point: OperatingPoint | None
    auroc: Probability | None = None
    auroc_ci95: tuple[Probability, Probability] | None = None


class Golden(_Frozen):
    """The logits (14) that PyTorch gave for golden.png, preprocessed as any film is."""

    logits: tuple[float, ...]
    tolerance: float = 1e-4


class GuardProfile(_Frozen):
    """When a film counts as unlike the training films: its distance is over `threshold`.

    A film from where the validation films came exceeds it with a probability of at most `false_refusal_rate`, the
    least that so many validation films can support where there are few. `method` names the distance: probabilistic
    PCA of the embedding's square root.
    """

    method: Literal["ppca_sqrt_embedding"] = "ppca_sqrt_embedding"
    threshold: float = Field(gt=0)
    false_refusal_rate: Probability
    training_images: int = Field(ge=1)
    validation_images: int = Field(ge=1)


class QualityProfile(_Frozen):
    """When a film is warned of; each check warns of at most `false_warning_rate` of films like the validation films.

    `blank_range` is the least span of grey levels, 0..255, of a film that is not blank. The others are the log
    likelihood by which another pose must explain the film better than upright.
    """

    blank_range: float = Field(ge=0, le=255)
    inverted_margin: float = Field(ge=0)
    rotated_margin: float = Field(ge=0)
    cropped_margin: float = Field(ge=0)
    false_warning_rate: Probability
    validation_images: int = Field(ge=1)


class Provenance(_Frozen):
    """Where the model comes from."""

    data_hash: Sha256
    label_version: str
    git_revision: str | None
    training_run: str | None
    created: AwareDatetime
    versions: dict[str, str]


class Manifest(_Frozen):
    """The content of model.json."""

    format: Literal["cxr-bundle/1"] = "cxr-bundle/1"
    architecture: Literal["densenet121"] = "densenet121"
    image_size: int = Field(ge=32, le=2048)
    normalisation: Normalisation
    findings: dict[str, FindingProfile]
    mean_auroc: Probability | None
    golden: Golden
    guard: GuardProfile
    quality: QualityProfile
    provenance: Provenance
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _agrees_with_this_project(self) -> Self:
        if tuple(self.findings) != FINDINGS:
            raise ValueError(f"findings are {', '.join(self.findings)}; expected {', '.join(FINDINGS)}")
        if len(self.golden.logits) != len(FINDINGS):
            raise ValueError(f"golden has {len(self.golden.logits)} logits; expected {len(FINDINGS)}")
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle on disk."""

    root: Path
    manifest: Manifest
    digest: str
    statistics: FilmStatistics = field(repr=False, compare=False)

    @property
    def onnx_path(self) -> Path:
        """The graph that serves."""
        return self.root / "model.onnx"


def hash_files(root: Path) -> dict[str, str]:
    """SHA-256 of every file below `root` except the manifest, by POSIX path, sorted."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path != root / MANIFEST)
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in paths}


def write_manifest(root: Path, manifest: Manifest) -> Bundle:
    """Write model.json, the last file of a bundle, and load what was written."""
    text = manifest.model_dump_json(indent=2) + "\n"
    (root / MANIFEST).write_text(text, encoding="utf-8")
    return load_bundle(root)


def load_bundle(root: Path) -> Bundle:
    """Verify a bundle and return it.

    Raises:
        BundleError: no bundle there, a file missing, added or changed, or a manifest or guard.npz that does not
                fit this project.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise BundleError(f"{root} is not a bundle: it has no {MANIFEST}. Make one with `cxr export`.")
    raw = path.read_bytes()
    manifest = _parse_manifest(path, raw)
    _verify_files(root, manifest.files)
    statistics = FilmStatistics.read(root / GUARD_FILE)
    return Bundle(root=root, manifest=manifest, digest=hashlib.sha256(raw).hexdigest(), statistics=statistics)


def _parse_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleError(f"{path}: {where}: {first['msg']}. Export the bundle again.") from error


def _verify_files(root: Path, expected: dict[str, str]) -> None:
    missing_entry = [name for name in REQUIRED_FILES if name not in expected]
    if missing_entry:
        raise BundleError(f"{root / MANIFEST} does not list {missing_entry[0]}. Export the bundle again.")
    found = hash_files(root)
    for name, sha256 in expected.items():
        if name not in found:
            raise BundleError(f"{root} lacks {name}. Copy the bundle again, whole, or export it again.")
        if found[name] != sha256:
            raise BundleError(
                f"{root / name} was changed: SHA-256 {found[name][:12]}..., expected {sha256[:12]}.... "
                "Copy the bundle again or export it again."
            )
    added = sorted(found.keys() - expected.keys())
    if added:
        raise BundleError(f"{root} holds {added[0]}, which {MANIFEST} does not list. Remove it.")
