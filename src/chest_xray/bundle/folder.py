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
them. A missing, added or changed file is an error, and so is a link; there is no default model and no pickle. What
answers is made from the very bytes that were hashed: the files may change later without anybody serving what they hold.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from pydantic import ValidationError

from chest_xray.bundle.film_statistics import FilmStatistics
from chest_xray.bundle.manifest import Manifest, Variant
from chest_xray.bundle.onnx_policy import check_graph
from chest_xray.errors import BundleError
from chest_xray.files import sha256_of

MANIFEST = "model.json"
GRAPH_FILE = "model.onnx"
GOLDEN_FILE = "golden.png"
GUARD_FILE = "guard.npz"
WEIGHTS_FILE = "weights.safetensors"
REQUIRED_FILES = (GRAPH_FILE, WEIGHTS_FILE, "evaluation.json", GOLDEN_FILE, GUARD_FILE, "model_card.md")
_ANSWERING: Final = (GRAPH_FILE, GOLDEN_FILE, GUARD_FILE)
VARIANTS = "variants"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `graph` and `golden` are the bytes of model.onnx and golden.png as they were verified."""

    root: Path
    manifest: Manifest
    digest: str
    statistics: FilmStatistics = field(repr=False, compare=False)
    graph: bytes = field(repr=False, compare=False)
    golden: bytes = field(repr=False, compare=False)

    @property
    def onnx_path(self) -> Path:
        """Where the graph was read: for messages, and for tools that take files. What answers is made from `graph`."""
        return self.root / GRAPH_FILE


def hash_files(root: Path) -> dict[str, str]:
    """SHA-256 of every file below `root` except the manifest, by POSIX path, sorted."""
    return {name: sha256_of(root / name) for name in _names(root)}


def _names(root: Path) -> list[str]:
    """Every file below `root` except the manifest, as POSIX paths, sorted.

    Raises:
        BundleError: there is a link, which may lead anywhere at any later moment, or something else than files.
    """
    names = []
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if S_ISREG(mode):
            names.append(path.relative_to(root).as_posix())
        elif not S_ISDIR(mode):
            name = path.relative_to(root).as_posix()
            raise BundleError(f"{root} holds {name}, a link or no file at all. Copy the bundle again, with its files.")
    return [name for name in names if name != MANIFEST]


def write_manifest(root: Path, manifest: Manifest) -> Bundle:
    """Write model.json, the last file of a bundle, and load what was written."""
    text = manifest.model_dump_json(indent=2) + "\n"
    (root / MANIFEST).write_text(text, encoding="utf-8")
    return load_bundle(root)


def load_bundle(root: Path) -> Bundle:
    """Verify a bundle and return it.

    Raises:
        BundleError: no bundle there, a file missing, added or changed, a link, or a manifest, graph or guard.npz that
            does not fit this project.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise BundleError(f"{root} is not a bundle: it has no {MANIFEST}. Make one with `cxr export`.")
    raw = path.read_bytes()
    manifest = _parse_manifest(path, raw)
    kept = _verify_files(root, manifest)
    check_graph(kept[GRAPH_FILE], root / GRAPH_FILE)
    return Bundle(
        root=root,
        manifest=manifest,
        digest=hashlib.sha256(raw).hexdigest(),
        statistics=FilmStatistics.parse(kept[GUARD_FILE], root / GUARD_FILE),
        graph=kept[GRAPH_FILE],
        golden=kept[GOLDEN_FILE],
    )


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


def _verify_files(root: Path, manifest: Manifest) -> dict[str, bytes]:
    """Hold every file to its SHA-256; returns what answers, by name, as the bytes that were hashed."""
    expected = manifest.files
    required = [name for name in REQUIRED_FILES if manifest.variant is None or name != WEIGHTS_FILE]
    missing_entry = [name for name in required if name not in expected]
    if missing_entry:
        raise BundleError(f"{root / MANIFEST} does not list {missing_entry[0]}. Export the bundle again.")
    found = _names(root)
    kept = {}
    for name, sha256 in expected.items():
        if name not in found:
            raise BundleError(f"{root} lacks {name}. Copy the bundle again, whole, or export it again.")
        if name in _ANSWERING:
            kept[name] = (root / name).read_bytes()
        is_now = hashlib.sha256(kept[name]).hexdigest() if name in kept else sha256_of(root / name)
        if is_now != sha256:
            raise BundleError(
                f"{root / name} was changed: SHA-256 {is_now[:12]}..., expected {sha256[:12]}.... "
                "Copy the bundle again or export it again."
            )
    added = sorted(set(found) - expected.keys())
    if added:
        raise BundleError(f"{root} holds {added[0]}, which {MANIFEST} does not list. Remove it.")
    return kept
