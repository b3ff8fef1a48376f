"""`cxr compress`: a bundle with a smaller or faster graph inside it, accepted by what it does on the test list."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from chest_xray.bundle import VARIANTS, Bundle, Variant, hash_files, load_bundle, write_manifest
from chest_xray.console import say
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, CompressionError, DataError
from chest_xray.evaluation.comparison.compare_bundles import check_labels
from chest_xray.evaluation.comparison.paired import PairedImages, compare
from chest_xray.evaluation.comparison.results import ComparedBundle, Comparison
from chest_xray.evaluation.graph_scores import GraphSession, thinned
from chest_xray.evaluation.graphs import (
    GraphOutputs,
    OpenVinoGraph,
    open_session,
    openvino_core,
    run_all,
)
from chest_xray.export.baseline import baseline_rows
from chest_xray.export.compress.acceptance import agreement_of, broken_bars
from chest_xray.export.compress.quantise import CALIBRATION_IMAGES, calibrate_ranges, stripped
from chest_xray.export.compress.report import Compression
from chest_xray.export.compress.search import choose_layers
from chest_xray.export.compress.variant import Trial, refusals, write_variant
from chest_xray.export.fit_guard import fit_guard
from chest_xray.statistics import ROUNDS


@dataclass(frozen=True, slots=True)
class Compressed:
    """What `compress` wrote: the bundle with its variant, and why the variant was accepted."""

    bundle: Bundle
    variant: Bundle
    report: Compression


@dataclass(frozen=True, slots=True)
class _Graph:
    """A compressed graph before it was tried. `plain` computes the same in another way, to set a tolerance."""

    content: bytes
    session: GraphSession
    plain: GraphSession
    excluded: tuple[str, ...] = ()
    layers: int = 0
    calibration_images: int = 0


def compress(
    bundle: Path, data: Path, output: Path, *, method: Variant = "int8", rounds: int = ROUNDS, seed: int = 0
) -> Compressed:
    """Write `output`: a copy of the bundle with `variants/METHOD` in it. A rejected graph writes nothing.

    Args:
        bundle: as `cxr export` wrote it.
        data: the shards it was trained on: validation films calibrate, the test list accepts.
        output: a new folder.
        method: int8 by ONNX Runtime; bf16 and fp16 by OpenVINO, where the processor computes in them.
        rounds: of the paired bootstrap over patients.
        seed: of the bootstrap.

    Raises:
        CompressionError: the compressed graph breaks a bar; the message says which, and by how much.
        DataError: the shards are not the bundle's, or hold no test image.
        BundleError: the bundle does not verify, is a variant itself, or `output` is there already.
        SettingsError: the processor, or what is installed, does not compute in `method`.
    """
    source, shards = load_bundle(bundle), Shards.open(data)
    _check(source, shards, output)
    if method != "int8":
        openvino_core(method)  # refuses before minutes of scoring
    rows = baseline_rows(shards)
    before = run_all(open_session(source.onnx_path), shards, rows, title="Scoring validation films in float")
    graph = _make(source, shards, method, before)
    trial = _try(source, shards, method, graph, before, rounds=rounds, seed=seed)
    return _write(source, shards, output, trial)


def _check(source: Bundle, shards: Shards, output: Path) -> None:
    manifest = source.manifest
    if manifest.variant is not None:
        raise BundleError(f"{source.root} is compressed already ({manifest.variant}). Compress its source.")
    if shards.data_hash != manifest.provenance.data_hash:
        raise DataError(
            f"{source.root} was trained on data {manifest.provenance.data_hash[:12]}, {shards.root} is "
            f"{shards.data_hash[:12]}. Compress with the shards of the training, which hold its validation patients."
        )
    check_labels(str(source.root), source, shards)
    if len(shards.rows("test")) == 0:
        raise DataError(f"{shards.root} holds no test image. Prepare a folder with a test_list.txt.")
    if output.exists():
        raise BundleError(f"{output} is there already. Name a new folder with --output.")
    if source.root.resolve() in output.resolve().parents:
        raise BundleError(f"{output} is inside the bundle, which holds no other file. Name a folder beside it.")


def _make(source: Bundle, shards: Shards, method: Variant, before: GraphOutputs) -> _Graph:
    if method != "int8":
        content = stripped(onnx.load(source.onnx_path)).SerializeToString()
        return _Graph(content, OpenVinoGraph(source.onnx_path, method), open_session(source.onnx_path))
    chosen = thinned(np.arange(len(before.rows)), CALIBRATION_IMAGES)
    films = GraphOutputs(before.rows[chosen], before.logits[chosen], before.embeddings[chosen], before.cams[chosen])
    calibrated = calibrate_ranges(source.onnx_path, shards, films.rows)
    found = choose_layers(calibrated, shards, films)
    return _Graph(
        content=found.graph,
        session=open_session(found.graph),
        plain=open_session(found.graph, optimised=False),
        excluded=found.excluded,
        layers=len(calibrated.layers),
        calibration_images=len(films.rows),
    )


def _try(
    source: Bundle, shards: Shards, method: Variant, graph: _Graph, before: GraphOutputs, *, rounds: int, seed: int
) -> Trial:
    """Score both lists with both graphs and hold the compressed one to the bars."""
    test = shards.rows("test")
    first = run_all(open_session(source.onnx_path), shards, test, title="Scoring test films in float")
    second = run_all(graph.session, shards, test, title=f"Scoring test films in {method}")
    comparison = _compare(source, shards, method, first, second, rounds, seed)
    agreement = agreement_of(shards.findings, first.cams, second.cams)
    broken = broken_bars(comparison, agreement)
    if broken:
        raise CompressionError(f"{method} is rejected, nothing was written: {'; '.join(broken)}.")
    validation = run_all(graph.session, shards, before.rows, title=f"Scoring validation films in {method}")
    guard = fit_guard(graph.session, shards, validation.scores)
    report = Compression(
        method=method,
        compressed_from=source.digest,
        calibration_images=graph.calibration_images,
        excluded=list(graph.excluded),
        layers=graph.layers,
        size=len(graph.content) / source.onnx_path.stat().st_size,
        agreement=agreement,
        refusals=refusals(source, guard, first, second),
        comparison=comparison,
    )
    return Trial(method, graph.content, graph.session, graph.plain, validation, second, guard, report)


def _compare(
    source: Bundle, shards: Shards, method: Variant, a: GraphOutputs, b: GraphOutputs, rounds: int, seed: int
) -> Comparison:
    side = ComparedBundle(
        name="float", digest=source.digest, image_size=source.manifest.image_size, data_hash=shards.data_hash
    )
    images = PairedImages(
        findings=shards.findings,
        labels=shards.labels[a.rows],
        patients=shards.patients[a.rows],
        ages=shards.ages[a.rows],
        sexes=np.asarray(shards.sexes)[a.rows],
        views=np.asarray(shards.views)[a.rows],
        a=a.logits,
        b=b.logits,
    )
    other = side.model_copy(update={"name": method})
    return compare(images, side, other, label_version=shards.label_version, notes=[], rounds=rounds, seed=seed)


def _write(source: Bundle, shards: Shards, output: Path, trial: Trial) -> Compressed:
    """Write beside the output and rename: it is there whole or not at all."""
    scratch = output.with_name(f".{output.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        shutil.copytree(source.root, scratch)
        folder = scratch / VARIANTS / trial.method
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_variant(folder, source, shards, trial)
        write_manifest(scratch, source.manifest.model_copy(update={"files": hash_files(scratch)}))
        scratch.rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"{trial.method} is accepted: {trial.report.verdict}")
    return Compressed(load_bundle(output), load_bundle(output / VARIANTS / trial.method), trial.report)
