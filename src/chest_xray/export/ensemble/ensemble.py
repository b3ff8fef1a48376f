"""`cxr ensemble`: a bundle of several bundles, calibrated and evaluated anew, which serves as any bundle does."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from chest_xray.bundle import (
    GUARD_FILE,
    WEIGHTS_FILE,
    Bundle,
    Golden,
    load_bundle,
)
from chest_xray.console import say
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.comparison.compare_bundles import check_labels
from chest_xray.evaluation.comparison.logits import compare_logits
from chest_xray.evaluation.graph_scores import GraphSession
from chest_xray.evaluation.graphs import OUTPUTS, GraphOutputs, open_session, run_all
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.baseline import baseline_rows
from chest_xray.export.compress.calibrated import weights_of_positives
from chest_xray.export.derived_bundle import Derived, measure_anew
from chest_xray.export.derived_card import derived_card
from chest_xray.export.ensemble.merge import merge_graphs
from chest_xray.export.ensemble.report import Ensemble, Member
from chest_xray.files import sha256_of
from chest_xray.statistics import ROUNDS

REPORT: Final = "ensemble.json"
LARGEST_DIFFERENCE: Final = 1e-4
_FILMS: Final = 8


@dataclass(frozen=True, slots=True)
class Ensembled:
    """What `ensemble` wrote."""

    bundle: Bundle
    report: Ensemble


def ensemble(bundles: Sequence[Path], data: Path, output: Path, *, rounds: int = ROUNDS, seed: int = 0) -> Ensembled:
    """Write `output`, a bundle whose graph holds all members.

    Args:
        bundles: two or more, trained on the same shards, as `cxr export` wrote them.
        data: these shards: validation films calibrate, the test list measures.
        output: a new folder.
        rounds: of the bootstrap over patients.
        seed: of the bootstrap.

    Raises:
        BundleError: the members do not fit each other, the merged graph does not give their mean, or `output` is there.
        DataError: the shards are not the members', or hold no test image.
    """
    members, shards = [load_bundle(path) for path in bundles], Shards.open(data)
    _check(members, shards, output)
    graph = merge_graphs([member.onnx_path for member in members])
    session, rows = open_session(graph), baseline_rows(shards)
    _hold_to_members(members, session, shards.read(rows[:_FILMS]))
    validation = run_all(session, shards, rows, title="Scoring validation films")
    test = run_all(session, shards, shards.rows("test"), title="Scoring test films")
    report = _report(members, shards, test, rounds=rounds, seed=seed)
    scratch = output.with_name(f".{output.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        _write(scratch, members, shards, graph, validation, test, report)
        scratch.rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(report.verdict)
    return Ensembled(load_bundle(output), report)


def _check(members: Sequence[Bundle], shards: Shards, output: Path) -> None:
    if len(members) < 2:
        raise BundleError("An ensemble has two members at least: cxr ensemble BUNDLE BUNDLE --data SHARDS.")
    first = members[0]
    for member in members:
        manifest = member.manifest
        if manifest.variant is not None or manifest.ensemble_of:
            kind = "an ensemble" if manifest.ensemble_of else f"compressed ({manifest.variant})"
            raise BundleError(f"{member.root} is {kind} itself. Name the bundles that it was made of.")
        if manifest.provenance.data_hash != shards.data_hash:
            raise DataError(
                f"{member.root} was trained on data {manifest.provenance.data_hash[:12]}, {shards.root} is "
                f"{shards.data_hash[:12]}. It is calibrated on patients that none of its members was trained on."
            )
        check_labels(str(member.root), member, shards)
        if manifest.normalisation != first.manifest.normalisation:
            raise BundleError(f"{member.root} normalises pixels in another way than {first.root}. Train both alike.")
        if manifest.files["golden.png"] != first.manifest.files["golden.png"]:
            raise BundleError(f"{member.root} has another golden film than {first.root}. Export both again.")
    if len(shards.rows("test")) == 0:
        raise DataError(f"{shards.root} holds no test image. Prepare a folder with a test_list.txt.")
    if output.exists():
        raise BundleError(f"{output} is there already. Name a new folder with --output.")


def _hold_to_members(members: Sequence[Bundle], session: GraphSession, films: NDArray[np.uint8]) -> None:
    """The merged graph's outputs for films (B, S, S) are the mean of the members', and the first's embedding."""
    feed = {"image": films[:, None]}
    apart = [open_session(member.onnx_path).run(OUTPUTS, feed) for member in members]
    for place, (name, found) in enumerate(zip(OUTPUTS, session.run(OUTPUTS, feed), strict=True)):
        values = [outputs[place] for outputs in apart]
        if len({value.shape for value in values}) > 1:
            raise BundleError(f"The members' {name} differ in shape: {[value.shape[1:] for value in values]}.")
        expected = values[0] if name == "embedding" else np.mean(values, axis=0)
        difference = float(np.abs(found - expected).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise BundleError(
                f"The ensemble's {name} differs by {difference:.2e} from its members'; at most "
                f"{LARGEST_DIFFERENCE:.0e} is accepted. Report it with the versions of onnx and onnxruntime."
            )


def _report(members: Sequence[Bundle], shards: Shards, test: GraphOutputs, *, rounds: int, seed: int) -> Ensemble:
    gains = []
    for place, member in enumerate(members):
        alone = run_all(open_session(member.onnx_path), shards, test.rows, title=f"Scoring test films, member {place}")
        found = compare_logits(shards, test.rows, alone.logits, test.logits, rounds=rounds, seed=seed)
        gains.append(Member(name=f"member {place}", digest=member.digest, gain=found.mean))
    return Ensemble(
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        images=len(test.rows),
        patients=len(np.unique(shards.patients[test.rows])),
        rounds=rounds,
        seed=seed,
        members=gains,
    )


def _write(
    root: Path,
    members: Sequence[Bundle],
    shards: Shards,
    graph: bytes,
    validation: GraphOutputs,
    test: GraphOutputs,
    report: Ensemble,
) -> None:
    first = members[0]
    _write_weights(members, root / WEIGHTS_FILE)
    # A member's loss puts its logits ln w above the log-odds; their mean is the mean of these above.
    logs = np.log([weights_of_positives(member.manifest, shards) for member in members])
    measured = measure_anew(
        first.manifest,
        shards,
        (sha256_of(root / WEIGHTS_FILE), tuple(np.exp(logs.mean(axis=0)).tolist())),
        validation,
        test,
        rounds=report.rounds,
        seed=report.seed,
    )
    derived = Derived(first.manifest, graph, validation, measured)
    derived.write_measured(root, shards, (REPORT, report), _card(first, report, measured.evaluation))
    for name in ("golden.png", GUARD_FILE):
        shutil.copy2(first.root / name, root / name)
    changes = {
        "golden": _golden(members),
        "provenance": first.manifest.provenance.model_copy(
            update={"created": datetime.now(UTC), "training_run": None}
        ),
        "ensemble_of": tuple(member.digest for member in members),
    }  # fmt: skip
    derived.write_manifest(root, changes)


def _write_weights(members: Sequence[Bundle], path: Path) -> None:
    """Every member's weights in one file, under `0.`, `1.` and so on."""
    arrays = {
        f"{place}.{name}": array
        for place, member in enumerate(members)
        for name, array in load_file(member.root / WEIGHTS_FILE).items()
    }
    save_file(arrays, path)


def _golden(members: Sequence[Bundle]) -> Golden:
    """The mean of what PyTorch gave for each member."""
    logits = np.mean([member.manifest.golden.logits for member in members], axis=0)
    return Golden(logits=tuple(logits.tolist()), tolerance=max(m.manifest.golden.tolerance for m in members))


def _card(first: Bundle, report: Ensemble, own: Evaluation) -> str:
    members = "\n".join(f"- {member.name}: bundle {member.digest}" for member in report.members)
    text = (
        f"Logits and heat maps are the members' means; the guard measures the first member's embedding. On the test "
        f"list: {report.verdict}.\n\n{members}"
    )
    return derived_card(
        (first.root / "model_card.md").read_text(encoding="utf-8"),
        f"An ensemble of {len(report.members)} bundles",
        text,
        before="member 0",
        own=own,
        source=first.manifest,
    )
