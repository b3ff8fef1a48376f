"""What a bundle's graph says of the test images of prepared data, by ONNX Runtime, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from chest_xray.bundle import Bundle
from chest_xray.cpus import available_cpus
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.comparison.paired import PairedImages, compare
from chest_xray.evaluation.comparison.results import ComparedBundle, Comparison
from chest_xray.evaluation.graph_scores import run_graph
from chest_xray.statistics import ROUNDS


def compare_bundles(
    a: tuple[str, Bundle], b: tuple[str, Bundle], data: Sequence[Path], *, rounds: int = ROUNDS, seed: int = 0
) -> Comparison:
    """Score the test images with both bundles and compare B with A; each comes with its name.

    Args:
        a: the one that is there.
        b: the one that wants its place.
        data: folders of shards; one for each image size, of the same images.
        rounds: bootstrap rounds over patients.
        seed: of the bootstrap.

    Raises:
        DataError: no folder has a bundle's image size, two folders hold other test images, or there is none.
        BundleError: a graph gives logits that are not finite.
    """
    opened = [Shards.open(root) for root in data]
    mine, theirs = shards_for(*a, opened), shards_for(*b, opened)
    _check_same_images(mine, theirs)
    rows = mine.rows("test")
    if len(rows) == 0:
        raise DataError(f"{mine.root} holds no test image. Prepare a folder with a test_list.txt.")
    first = score_bundle(*a, mine, rows)
    same = a[1].digest == b[1].digest
    second = first if same else score_bundle(*b, theirs, theirs.rows("test"))
    images = PairedImages(
        findings=mine.findings,
        labels=mine.labels[rows],
        patients=mine.patients[rows],
        ages=mine.ages[rows],
        sexes=np.asarray(mine.sexes)[rows],
        views=np.asarray(mine.views)[rows],
        a=first,
        b=second,
    )
    sides = [_side(*side, shards) for side, shards in ((a, mine), (b, theirs))]
    notes = [note for side, shards in ((a, mine), (b, theirs)) for note in _notes(*side, shards)]
    return compare(
        images, sides[0], sides[1], label_version=mine.label_version, notes=notes, rounds=rounds, seed=seed
    )  # fmt: skip


def shards_for(name: str, bundle: Bundle, opened: Sequence[Shards]) -> Shards:
    """The shards of the bundle's image size.

    Raises:
        DataError: there are none, or they are labelled with other findings.
    """
    size = bundle.manifest.image_size
    for shards in opened:
        if shards.image_size == size:
            check_labels(name, bundle, shards)
            return shards
    held = ", ".join(f"{shards.root} holds {shards.image_size} x {shards.image_size}" for shards in opened)
    raise DataError(
        f"{name} takes images of {size} x {size} and {held}. Prepare the same source with "
        f"`cxr prepare-data --image-size {size}` and give that folder too: --data A --data B."
    )


def check_labels(name: str, bundle: Bundle, shards: Shards) -> None:
    """Let shards pass whose labels are of the bundle's findings, in its order.

    Raises:
        DataError: they are of others.
    """
    if tuple(bundle.manifest.findings) != shards.findings:
        raise DataError(
            f"{name} tells {', '.join(bundle.manifest.findings)}, and {shards.root} is labelled with "
            f"{', '.join(shards.findings)}. Give shards with the labels that it was trained on."
        )


def score_bundle(name: str, bundle: Bundle, shards: Shards, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits (n, F) of the images at n positions, by the bundle's own graph, uncalibrated.

    Raises:
        BundleError: they are not finite.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cpus()
    session = onnxruntime.InferenceSession(bundle.graph, options, providers=["CPUExecutionProvider"])
    logits = run_graph(session, shards, rows, title=f"Scoring with {name}").logits
    if not np.isfinite(logits).all():
        raise BundleError(f"{bundle.onnx_path} gave logits that are not finite. Export the bundle again.")
    return logits


def _check_same_images(mine: Shards, theirs: Shards) -> None:
    if mine is theirs:
        return
    a, b = mine.rows("test"), theirs.rows("test")
    same = len(a) == len(b) and [mine.images[row] for row in a] == [theirs.images[row] for row in b]
    same = same and np.array_equal(mine.patients[a], theirs.patients[b]) and mine.findings == theirs.findings
    if not (same and np.array_equal(mine.labels[a], theirs.labels[b])):
        raise DataError(
            f"{mine.root} and {theirs.root} hold other test images or labels. Prepare both from one source, "
            "with the same lists."
        )


def _side(name: str, bundle: Bundle, shards: Shards) -> ComparedBundle:
    size = bundle.manifest.image_size
    return ComparedBundle(name=name, digest=bundle.digest, image_size=size, data_hash=shards.data_hash)


def _notes(name: str, bundle: Bundle, shards: Shards) -> list[str]:
    """What a reader must know of a bundle that was not trained on these shards."""
    origin = bundle.manifest.provenance
    notes = []
    if origin.data_hash != shards.data_hash:
        notes.append(
            f"{name} was trained on other prepared data ({origin.data_hash[:12]}): that none of its training patients "
            "is in this test list cannot be checked here."
        )
    if origin.label_version != shards.label_version:
        notes.append(f"{name} was trained on labels {origin.label_version}, these are {shards.label_version}.")
    return notes
