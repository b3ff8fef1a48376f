"""From a trained and evaluated run to a bundle: the ONNX graph, held to PyTorch, and all that travels with it."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from chest_xray.bundle import (
    GUARD_FILE,
    Bundle,
    Calibration,
    Golden,
    Manifest,
    Provenance,
    hash_files,
    load_bundle,
    write_manifest,
)
from chest_xray.console import say
from chest_xray.data.phantom import draw_golden_film
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, TrainingError
from chest_xray.evaluation.calibration.calibrate import apply_calibration
from chest_xray.evaluation.graph_scores import run_graph
from chest_xray.evaluation.results import Evaluation, Profiles, read_evaluation
from chest_xray.export.baseline import baseline_rows, write_baseline
from chest_xray.export.fit_guard import FittedGuard, fit_guard
from chest_xray.export.footprint import STATED_NOTHING, Rates
from chest_xray.export.model_card import write_model_card
from chest_xray.files import sha256_of
from chest_xray.images.preprocess import preprocess
from chest_xray.training.model import ChestXrayNet
from chest_xray.training.run import RunFolder, TrainingRecord
from chest_xray.training.scoring import load_run_model

LARGEST_DIFFERENCE = 1e-4
GOLDEN_SIDE = 512
LARGEST_PROBABILITY_DIFFERENCE = 1e-6
OUTPUTS = ("logits", "embedding", "cam")
PROBABILITY = "probability"
_BATCH = 16


class _Serving(nn.Module):
    """The network as it serves: one uint8 image tensor in; its three outputs and the calibrated probabilities out."""

    slopes: Tensor
    intercepts: Tensor

    def __init__(self, model: ChestXrayNet, calibrations: Sequence[Calibration]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("slopes", torch.tensor([one.slope for one in calibrations]))
        self.register_buffer("intercepts", torch.tensor([one.intercept for one in calibrations]))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, embedding, cam = self.model.explain(image)
        return logits, embedding, cam, torch.sigmoid(self.slopes * logits + self.intercepts)


def export(run: Path, data: Path, rates: Rates = STATED_NOTHING) -> Bundle:
    """Write RUN/bundle, or return it when it is there already with this run's weights, evaluation and card.

    Args:
        run: a run that `cxr train` and `cxr evaluate` finished.
        data: its shards, for the guard, the baseline and for holding ONNX to PyTorch on real input.
        rates: power, grid and price of the machine that trained, for the card.

    Raises:
        TrainingError: the run is not finished or not evaluated, its evaluation is of other weights, or there are too
            few images for the guard.
        BundleError: ONNX and PyTorch differ by more than 1e-4.
    """
    folder, shards = RunFolder(run), Shards.open(data)
    record = folder.record()
    with folder.alone():
        return _export(folder, record, shards, rates)


def _export(folder: RunFolder, record: TrainingRecord, shards: Shards, rates: Rates) -> Bundle:
    evaluation, profiles = read_evaluation(folder.evaluation)
    _check_evaluation(folder, record, shards, evaluation, profiles)
    done = _exported(folder, record, evaluation, rates)
    if done is not None:
        say(f"{folder.bundle} holds this run already: nothing to do.")
        return done
    scratch, before = folder.root / ".bundle.part", folder.root / ".bundle.before"
    for left_behind in (scratch, before):
        shutil.rmtree(left_behind, ignore_errors=True)
    scratch.mkdir()
    try:
        _write_bundle(scratch, folder, record, shards, evaluation, profiles, rates)
        if folder.bundle.exists():
            folder.bundle.rename(before)
        scratch.rename(folder.bundle)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    return load_bundle(folder.bundle)


def _write_bundle(
    root: Path,
    folder: RunFolder,
    record: TrainingRecord,
    shards: Shards,
    evaluation: Evaluation,
    profiles: Profiles,
    rates: Rates,
) -> None:
    model = load_run_model(folder, record).cpu()
    calibrations = {name: profile.calibration for name, profile in profiles.findings.items()}
    write_onnx(model, list(calibrations.values()), record.image_size, root / "model.onnx")
    session = onnxruntime.InferenceSession(root / "model.onnx", providers=["CPUExecutionProvider"])
    golden = _write_golden(root / "golden.png", model, session, record.image_size)
    rows = baseline_rows(shards)
    hold_to_pytorch(model, session, shards.read(rows[:_BATCH]))
    hold_to_calibrations(calibrations, session, shards.read(rows[:_BATCH]))
    validation = run_graph(session, shards, rows, title="Baseline")
    write_baseline(root / "baseline", shards, validation)
    fitted = fit_guard(session, shards, validation)
    (root / GUARD_FILE).write_bytes(fitted.statistics.to_bytes())
    shutil.copy2(folder.weights, root / "weights.safetensors")
    shutil.copy2(folder.evaluation / "evaluation.json", root / "evaluation.json")
    manifest = _manifest(root, record, evaluation, profiles, golden, fitted)
    (root / "model_card.md").write_text(write_model_card(manifest, record, evaluation, rates), encoding="utf-8")
    write_manifest(root, manifest.model_copy(update={"files": hash_files(root)}))


def write_onnx(model: ChestXrayNet, calibrations: Sequence[Calibration], image_size: int, path: Path) -> None:
    """Write the graph: `image` uint8 (B, 1, S, S) to `logits`, `embedding`, `cam` and `probability`, with any B.

    `probability` (B, F) is for runtimes that know no manifest: sigmoid(slope * logit + intercept) of the F
    calibrations, in the order of the findings.
    """
    example = torch.zeros(2, 1, image_size, image_size, dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch's exporter warns of its own internals on every export.
        warnings.simplefilter("ignore")
        for name in ("onnxscript", "torch.onnx"):
            logging.getLogger(name).setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Serving(model, calibrations).eval(),
            (example,),
            input_names=["image"],
            output_names=[*OUTPUTS, PROBABILITY],
            dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=1024)}},
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise BundleError("torch gave no ONNX program.")
    program.save(path, external_data=False)


def largest_difference(
    model: ChestXrayNet, session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8]
) -> dict[str, float]:
    """Largest absolute difference of each output between PyTorch and ONNX on images (B, S, S)."""
    image = pixels[:, None]
    with torch.inference_mode():
        expected = model.explain(torch.from_numpy(image))
    found = session.run(list(OUTPUTS), {"image": image})
    return {
        name: float(np.abs(mine.numpy() - theirs).max())
        for name, mine, theirs in zip(OUTPUTS, expected, found, strict=True)
    }


def hold_to_pytorch(model: ChestXrayNet, session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8]) -> None:
    """Hold the three outputs for images (B, S, S) to PyTorch's.

    Raises:
        BundleError: one differs by more than `LARGEST_DIFFERENCE`.
    """
    for name, difference in largest_difference(model, session, pixels).items():
        if not difference <= LARGEST_DIFFERENCE:
            raise BundleError(
                f"ONNX and PyTorch differ by {difference:.2e} in {name}; at most {LARGEST_DIFFERENCE:.0e} is "
                "accepted. Report it with the versions in training.json: this graph is not exported."
            )


def hold_to_calibrations(
    calibrations: Mapping[str, Calibration], session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8]
) -> None:
    """Hold the graph's probabilities for images (B, S, S) to the manifest's calibrations of its own logits.

    Raises:
        BundleError: one differs by more than `LARGEST_PROBABILITY_DIFFERENCE`.
    """
    logits, found = session.run(["logits", PROBABILITY], {"image": pixels[:, None]})
    for k, (name, calibration) in enumerate(calibrations.items()):
        difference = float(np.abs(apply_calibration(calibration, logits[:, k]) - found[:, k]).max())
        if not difference <= LARGEST_PROBABILITY_DIFFERENCE:
            raise BundleError(
                f"The graph's probability of {name} differs by {difference:.2e} from its calibration; at most "
                f"{LARGEST_PROBABILITY_DIFFERENCE:.0e} is accepted. Report it with the versions in training.json."
            )


def _write_golden(path: Path, model: ChestXrayNet, session: onnxruntime.InferenceSession, image_size: int) -> Golden:
    film = draw_golden_film(GOLDEN_SIDE)
    Image.fromarray(film).save(path)
    pixels = preprocess(film, image_size)[None]
    hold_to_pytorch(model, session, pixels)
    with torch.inference_mode():
        logits = model(torch.from_numpy(pixels[:, None]))[0]
    return Golden(logits=tuple(logits.tolist()))


def _manifest(
    root: Path,
    record: TrainingRecord,
    evaluation: Evaluation,
    profiles: Profiles,
    golden: Golden,
    fitted: FittedGuard,
) -> Manifest:
    provenance = Provenance(
        data_hash=record.data_hash,
        label_version=record.label_version,
        git_revision=record.git_revision,
        training_run=record.mlflow_run,
        created=datetime.now(UTC),
        versions=record.versions,
    )
    return Manifest(
        image_size=record.image_size,
        normalisation=record.normalisation,
        logits=tuple(profiles.findings),
        findings=profiles.with_auroc(evaluation),
        mean_auroc=evaluation.mean.auroc,
        golden=golden,
        guard=fitted.guard,
        quality=fitted.quality,
        provenance=provenance,
        files=hash_files(root),
    )


def _check_evaluation(
    folder: RunFolder, record: TrainingRecord, shards: Shards, evaluation: Evaluation, profiles: Profiles
) -> None:
    if not evaluation.weights_sha256 == profiles.weights_sha256 == sha256_of(folder.weights):
        raise TrainingError(f"{folder.evaluation} is of other weights. Evaluate again with `cxr evaluate`.")
    record.check_shards(shards, folder.root, "Export with the shards of the training.")
    if not tuple(evaluation.findings) == tuple(profiles.findings) == shards.findings:
        raise TrainingError(f"{folder.evaluation} is of other findings. Evaluate again with `cxr evaluate`.")


def _exported(folder: RunFolder, record: TrainingRecord, evaluation: Evaluation, rates: Rates) -> Bundle | None:
    """The bundle that stands there, when it is whole, of this evaluation and with the card that would be written."""
    try:
        bundle = load_bundle(folder.bundle)
    except BundleError:
        return None
    same = bundle.manifest.files["evaluation.json"] == sha256_of(folder.evaluation / "evaluation.json")
    same = same and bundle.manifest.files["weights.safetensors"] == evaluation.weights_sha256
    card = write_model_card(bundle.manifest, record, evaluation, rates)
    same = same and (bundle.root / "model_card.md").read_text(encoding="utf-8") == card
    return bundle if same else None
