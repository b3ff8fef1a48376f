"""The files of a variant: everything that the first bundle says of its graph, measured anew on the compressed one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from chest_xray.bundle import GUARD_FILE, Bundle, FindingProfile, Golden, Variant, hash_files, write_manifest
from chest_xray.data.shards import Shards
from chest_xray.evaluation.evaluate import list_source, scored_images
from chest_xray.evaluation.graph_scores import GraphSession
from chest_xray.evaluation.graphs import GraphOutputs
from chest_xray.evaluation.measure import Choices, Measured, evaluate_predictions
from chest_xray.evaluation.results import Evaluation
from chest_xray.evaluation.scored import Origin, Scores
from chest_xray.export.baseline import write_baseline
from chest_xray.export.compress.calibrated import aim_of, priors_of, weights_of_positives, with_calibrations
from chest_xray.export.compress.report import Compression, Refusals
from chest_xray.export.derived_card import derived_card
from chest_xray.export.fit_guard import FittedGuard
from chest_xray.findings import FINDINGS
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
    measured = _measure(source, shards, trial)
    profiles = measured.profiles.findings
    graph = with_calibrations(trial.graph, [profiles[name].calibration for name in FINDINGS])
    (root / "model.onnx").write_bytes(graph)
    (root / GUARD_FILE).write_bytes(trial.guard.statistics.to_bytes())
    (root / "evaluation.json").write_text(measured.evaluation.model_dump_json(indent=2), encoding="utf-8")
    (root / REPORT).write_text(trial.report.model_dump_json(indent=2), encoding="utf-8")
    (root / "model_card.md").write_text(_card(source, trial.report, measured.evaluation), encoding="utf-8")
    shutil.copy2(source.root / "golden.png", root / "golden.png")
    write_baseline(root / "baseline", shards, trial.validation.scores)
    findings = {
        name: FindingProfile(
            calibration=profiles[name].calibration,
            operating_point=profiles[name].operating_point,
            auroc=metrics.auroc,
            auroc_ci95=metrics.ci95,
        )
        for name, metrics in measured.evaluation.findings.items()
    }
    changes = {
        "findings": findings,
        "mean_auroc": measured.evaluation.mean.auroc,
        "golden": _golden(source, shards, trial),
        "guard": trial.guard.guard,
        "quality": trial.guard.quality,
        "provenance": source.manifest.provenance.model_copy(update={"created": datetime.now(UTC)}),
        "files": hash_files(root),
        "variant": trial.method,
        "compressed_from": source.digest,
    }
    return write_manifest(root, source.manifest.model_copy(update=changes))


def _measure(source: Bundle, shards: Shards, trial: Trial) -> Measured:
    """Calibrate, choose thresholds and evaluate as `cxr evaluate` does, from the compressed graph's logits."""
    manifest, comparison = source.manifest, trial.report.comparison
    origin = Origin(
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        split_source=list_source(shards),
        weights_sha256=manifest.files["weights.safetensors"],
        positive_weights=weights_of_positives(manifest, shards),
    )
    scores = Scores(
        origin=origin,
        validation=scored_images(shards, trial.validation.rows, trial.validation.logits),
        test=scored_images(shards, trial.test.rows, trial.test.logits),
    )
    choices = Choices(
        aim=aim_of(manifest), prior=priors_of(manifest), rounds=comparison.rounds, seed=comparison.seed
    )  # fmt: skip
    return evaluate_predictions(scores, choices)


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
