"""A bundle made of others: calibrated and evaluated anew, as `cxr evaluate` does, from what its own graph gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from chest_xray.bundle import Bundle, Manifest, hash_files, write_manifest
from chest_xray.data.shards import Shards
from chest_xray.evaluation.evaluate import list_source, scored_images
from chest_xray.evaluation.graphs import GraphOutputs
from chest_xray.evaluation.measure import Choices, Measured, evaluate_predictions
from chest_xray.evaluation.scored import Origin, Scores
from chest_xray.export.baseline import write_baseline
from chest_xray.export.compress.calibrated import aim_of, priors_of, with_calibrations


@dataclass(frozen=True, slots=True)
class Derived:
    """The graph of a bundle made of others, its outputs and what they measure.

    Attributes:
        source: the manifest of the bundle that it follows in all that is not measured anew.
        graph: ONNX, with any calibration.
        validation: the graph's outputs of validation films.
        measured: its evaluation, from `measure_anew`.
    """

    source: Manifest
    graph: bytes
    validation: GraphOutputs
    measured: Measured

    def write_measured(self, root: Path, shards: Shards, report: tuple[str, BaseModel], card: str) -> None:
        """Write the graph with its calibrations, evaluation.json, the named report, the card and the baseline."""
        calibrations = [profile.calibration for profile in self.measured.profiles.findings.values()]
        (root / "model.onnx").write_bytes(with_calibrations(self.graph, calibrations))
        (root / "evaluation.json").write_text(self.measured.evaluation.model_dump_json(indent=2), encoding="utf-8")
        (root / report[0]).write_text(report[1].model_dump_json(indent=2), encoding="utf-8")
        (root / "model_card.md").write_text(card, encoding="utf-8")
        write_baseline(root / "baseline", shards, self.validation.scores)

    def write_manifest(self, root: Path, changes: Mapping[str, object]) -> Bundle:
        """Write model.json of all files in `root`: the source's with what was measured anew and `changes`."""
        own = {
            "findings": self.measured.profiles.with_auroc(self.measured.evaluation),
            "mean_auroc": self.measured.evaluation.mean.auroc,
            "provenance": self.source.provenance.model_copy(update={"created": datetime.now(UTC)}),
            "files": hash_files(root),
        }
        return write_manifest(root, self.source.model_copy(update=own | dict(changes)))


def measure_anew(
    source: Manifest,
    shards: Shards,
    weights: tuple[str, tuple[float, ...]],
    validation: GraphOutputs,
    test: GraphOutputs,
    *,
    rounds: int,
    seed: int,
) -> Measured:
    """Calibrate, choose thresholds and evaluate, with the aim and the priors of `source`.

    `weights` are the SHA-256 of the weights' file and what the training loss gave to positives, one a finding.
    """
    origin = Origin(
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        split_source=list_source(shards),
        weights_sha256=weights[0],
        positive_weights=weights[1],
    )
    scores = Scores(
        origin=origin,
        validation=scored_images(shards, validation.rows, validation.logits),
        test=scored_images(shards, test.rows, test.logits),
    )
    choices = Choices(aim=aim_of(source), prior=priors_of(source), rounds=rounds, seed=seed)
    return evaluate_predictions(scores, choices)
