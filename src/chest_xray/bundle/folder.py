"""The model bundle: one folder with everything that travels with a model.

    model.onnx           image uint8 (B, 1, S, S) -> logits (B, F), embedding (B, 1024), cam (B, F, h, w) and
                         probability (B, F), which is the manifest's calibration of the logits
    weights.safetensors  the same network's weights, to train on from here
    model.json           this module's `Manifest`
    evaluation.json      the metrics on the test list, with intervals
    golden.png           a film and, in the manifest, the logits that PyTorch gave for it
    guard.npz            statistics of the training films: see `film_statistics`; thresholds over them in the manifest
    baseline/            scores and embeddings of validation images, for drift
    model_card.md        for people
    variants/int8/       where `cxr compress` made one: a bundle of its own, without the file of weights

A bundle from before `probability` was an output loads as well: what serves calibrates the logits by the manifest.

Every file's SHA-256 stands in `model.json`; the SHA-256 of `model.json` is the bundle's digest. Loading verifies all of
them. A missing, added or changed file is an error; there is no default model and no pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from chest_xray.bundle.film_statistics import FilmStatistics
from chest_xray.bundle.manifest import Manifest, Variant
from chest_xray.errors import BundleError
from chest_xray.files import sha256_of

MANIFEST = "model.json"
GUARD_FILE = "guard.npz"
WEIGHTS_FILE = "weights.safetensors"
REQUIRED_FILES = ("model.onnx", WEIGHTS_FILE, "evaluation.json", "golden.png", GUARD_FILE, "model_card.md")
VARIANTS = "variants"


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
    _verify_files(root, manifest)
    statistics = FilmStatistics.read(root / GUARD_FILE)
    return Bundle(root=root, manifest=manifest, digest=hashlib.sha256(raw).hexdigest(), statistics=statistics)


def _parse_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BundleError(f"{path}: {where}: {first['msg']}. Export the bundle again.") from error


def load_variant(root: Path, variant: Variant) -> Bundle:
    """Verify a bundle and the variant in it, and return the variant.

    The bundle's manifest lists the SHA-256 of the variant's manifest, which is the variant's digest: who approved the
    bundle approved this variant.

    Raises:
        BundleError: the bundle does not verify, or has no such variant.
    """
    whole = load_bundle(root)
    folder = root / VARIANTS / variant
    if f"{VARIANTS}/{variant}/{MANIFEST}" not in whole.manifest.files:
        held = sorted({name.split("/")[1] for name in whole.manifest.files if name.startswith(f"{VARIANTS}/")})
        raise BundleError(
            f"This bundle ({whole.digest[:12]}) has no variant {variant}; it has {', '.join(held) or 'none'}. "
            f"Make one with `cxr compress BUNDLE --data SHARDS --method {variant}`; register and approve its output."
        )
    found = load_bundle(folder)
    if found.manifest.variant != variant:
        raise BundleError(f"{folder} is of variant {found.manifest.variant}, expected {variant}. Compress again.")
    return found


def _verify_files(root: Path, manifest: Manifest) -> None:
    expected = manifest.files
    required = [name for name in REQUIRED_FILES if manifest.variant is None or name != WEIGHTS_FILE]
    missing_entry = [name for name in required if name not in expected]
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
