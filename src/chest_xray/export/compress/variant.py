"""The files of a variant: everything that the first bundle says of its graph, measured anew on the compressed one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from chest_xray.bundle import GUARD_FILE, Bundle, Golden, Variant
from chest_xray.data.shards import Shards
from chest_xray.evaluation.graph_scores import GraphSession
from chest_xray.evaluation.graphs import GraphOutputs
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.compress.calibrated import weights_of_positives
from chest_xray.export.compress.report import Compression, Refusals
from chest_xray.export.derived_bundle import Derived, measure_anew
from chest_xray.export.derived_card import derived_card
from chest_xray.export.fit_guard import FittedGuard
from chest_xray.images.preprocess import preprocess

REPORT: Final = "compression.json"
_FILMS: Final = 8
# No graph of 8 or 16 bits is held closer than this: kernels differ in the order of their sums.
_LEAST_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Trial:
    """An accepted graph with its scores. `plain` computes the same graph by other code."""

    method: Variant
    graph: bytes
    session: GraphSession
    plain: GraphSession
    validation: GraphOutputs
    test: GraphOutputs
    guard: FittedGuard
    report: Compression


def refusals(source: Bundle, fitted: FittedGuard, before: GraphOutputs, after: GraphOutputs) -> Refusals:
    """The share of test films over each guard's threshold."""
    guard = source.manifest.guard
    return Refusals(
        before=float((source.statistics.distance(before.embeddings) > guard.threshold).mean()),
        after=float((fitted.statistics.distance(after.embeddings) > fitted.guard.threshold).mean()),
        stated=fitted.guard.false_refusal_rate,
    )


def write_variant(root: Path, source: Bundle, shards: Shards, trial: Trial) -> Bundle:
    """Write the variant's bundle into the empty folder `root`."""
    manifest, comparison = source.manifest, trial.report.comparison
    measured = measure_anew(
        manifest,
        shards,
        (manifest.files["weights.safetensors"], weights_of_positives(manifest, shards)),
        trial.validation,
        trial.test,
        rounds=comparison.rounds,
        seed=comparison.seed,
    )
    derived = Derived(manifest, trial.graph, trial.validation, measured)
    card = _card(source, trial.report, measured.evaluation)
    derived.write_measured(root, shards, (REPORT, trial.report), card)
    (root / GUARD_FILE).write_bytes(trial.guard.statistics.to_bytes())
    shutil.copy2(source.root / "golden.png", root / "golden.png")
    changes = {
        "golden": _golden(source, shards, trial),
        "guard": trial.guard.guard,
        "quality": trial.guard.quality,
        "variant": trial.method,
        "compressed_from": source.digest,
    }
    return derived.write_manifest(root, changes)


def _golden(source: Bundle, shards: Shards, trial: Trial) -> Golden:
    """The compressed graph's own logits of the golden film.

    The tolerance is twice the largest difference between two ways to compute the graph, over the golden film and some
    of validation: for int8 with fused kernels and node by node, for bf16 and fp16 against single precision.
    """
    with Image.open(source.root / "golden.png") as film:
        golden = preprocess(np.asarray(film), source.manifest.image_size)[None]
    films = np.concatenate([golden, shards.read(trial.validation.rows[:_FILMS])])
    ways = [
        np.concatenate([session.run(["logits"], {"image": film[None, None]})[0] for film in films])
        for session in (trial.session, trial.plain)
    ]
    difference = float(np.abs(ways[0] - ways[1]).max())
    return Golden(logits=tuple(ways[0][0].tolist()), tolerance=max(_LEAST_TOLERANCE, 2 * difference))


def _card(source: Bundle, report: Compression, own: Evaluation) -> str:
    text = f"{report.verdict}\n\nCompressed from bundle {report.compressed_from}; how, is in `{REPORT}`."
    return derived_card(
        (source.root / "model_card.md").read_text(encoding="utf-8"),
        f"Variant {report.method}",
        text,
        before="the bundle it was compressed from",
        own=own,
        source=source.manifest,
    )
