"""Training: `cxr train` here, `python -m chest_xray.training.container` as a SageMaker training job.

AdamW with warm-up and cosine, weighted binary cross-entropy, bf16 autocast, channels_last, averaged weights (EMA), and
an early stop on validation mean AUROC. Order, augmentation and first weights depend on the seed and the step alone, and
the checkpoint holds everything else: a run that was killed at any step and started again ends in the same weights, to
the bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.console import progress, say
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.files import write_atomically
from chest_xray.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from chest_xray.training.interruption import Interruption
from chest_xray.training.learner import Learner, difference, identity
from chest_xray.training.loader import epoch_order
from chest_xray.training.provenance import device_name, git_revision, library_versions
from chest_xray.training.run import Epoch, RunFolder, TrainingRecord
from chest_xray.training.tracking import Tracker

if TYPE_CHECKING:
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig


def train(data: Path, run: Path, config: TrainConfig, settings: Settings) -> Path:
    """Train on the shards in `data`, or go on where the run stopped; returns `run`.

    Raises:
        TrainingError: the run folder belongs to another configuration or other data, or the loss is not finite.
        KeyboardInterrupt: a signal asked to stop; the checkpoint is saved.
    """
    folder, shards = RunFolder(run), Shards.open(data)
    with folder.alone():
        if (record := folder.finished()) is not None:
            return _already_trained(folder, record, config, shards)
        learner, tracker = _begin(folder, shards, config, settings)
        _describe(learner)
        try:
            with Interruption() as interruption:
                _run_epochs(learner, folder, tracker, interruption)
            _finish(learner, folder, tracker)
        except (TrainingError, OSError):
            tracker.end("FAILED")
            raise
    return run


def _begin(folder: RunFolder, shards: Shards, config: TrainConfig, settings: Settings) -> tuple[Learner, Tracker]:
    """A new run with its first checkpoint, or the one that was interrupted."""
    learner = Learner(shards, config, settings)
    tracker = None
    saved = load_checkpoint(folder.checkpoints)
    if saved is not None:
        learner.restore(saved, folder.checkpoints)
        tracker = Tracker.resume(settings, learner.at.mlflow_run)
        say(f"Going on from step {learner.step} (epoch {learner.at.epoch + 1}).")
    if tracker is None:
        tracker = Tracker.start(settings, folder.root.name, _parameters(learner))
        learner.at.mlflow_run = tracker.run_id
        for row in learner.at.history:
            tracker.metrics(_curve_points(row), step=row["epoch"])
        save_checkpoint(folder.checkpoints, learner.state())
    return learner, tracker


def _run_epochs(learner: Learner, folder: RunFolder, tracker: Tracker, stop: Interruption) -> None:
    while learner.at.epoch < learner.config.epochs and not _out_of_patience(learner):
        _run_steps(learner, folder, tracker, stop)
        row = _end_epoch(learner)
        # Before the checkpoint: a kill between the two repeats a point of the curves and loses none.
        tracker.metrics(_curve_points(row.model_dump()), step=row.epoch)
        save_checkpoint(folder.checkpoints, learner.state())
        auroc = "n/a" if row.val_auroc is None else f"{row.val_auroc:.4f}"
        say(
            f"epoch={row.epoch} train_loss={row.train_loss:.4f} val_loss={row.val_loss:.4f} "
            f"val_auroc={auroc} learning_rate={row.learning_rate:.2e}"
        )
        _leave_if_asked(learner, tracker, stop)


def _curve_points(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch" and value is not None}


def _run_steps(learner: Learner, folder: RunFolder, tracker: Tracker, stop: Interruption) -> None:
    config, at = learner.config, learner.at
    order = epoch_order(learner.train_rows, config.batch_size, seed=config.seed, epoch=at.epoch)
    left = order[at.step_in_epoch :]
    with progress(f"Epoch {at.epoch + 1}/{config.epochs}", len(left) * config.batch_size) as advance:
        for batch in learner.loader.batches(left):
            at.loss_sum += learner.train_step(batch)
            at.step_in_epoch += 1
            advance(config.batch_size)
            if stop.requested or learner.step % config.checkpoint_steps == 0:
                save_checkpoint(folder.checkpoints, learner.state())
            _leave_if_asked(learner, tracker, stop)


def _leave_if_asked(learner: Learner, tracker: Tracker, stop: Interruption) -> None:
    """Called where the checkpoint is of this step."""
    if stop.requested:
        tracker.end("KILLED")
        say(f"Stopped at step {learner.step}; the same command goes on from there.")
        raise KeyboardInterrupt


def _end_epoch(learner: Learner) -> Epoch:
    at = learner.at
    val_loss, auroc = learner.validate()
    row = Epoch(
        epoch=at.epoch + 1,
        train_loss=at.loss_sum / learner.steps_per_epoch,
        val_loss=val_loss,
        val_auroc=auroc if math.isfinite(auroc) else None,
        learning_rate=learner.optimizer.param_groups[-1]["lr"],
    )
    # Without any finding to rank, the loss is the next best thing to choose an epoch by.
    score = auroc if math.isfinite(auroc) else -val_loss
    if score > at.best_score:
        at.best_score, at.best_epoch = score, row.epoch
        learner.best = learner.averaged_weights()
    at.history.append(row.model_dump())
    at.epoch, at.step_in_epoch, at.loss_sum = at.epoch + 1, 0, 0.0
    return row


def _out_of_patience(learner: Learner) -> bool:
    at = learner.at
    return at.best_epoch > 0 and at.epoch - at.best_epoch >= learner.config.patience


def _finish(learner: Learner, folder: RunFolder, tracker: Tracker) -> None:
    from safetensors.torch import save

    from chest_xray.training.plots import plot_curves

    at = learner.at
    record = TrainingRecord(
        config=learner.config,
        image_size=learner.shards.image_size,
        normalisation=learner.normalisation,
        findings=learner.shards.findings,
        positive_weights=learner.positive_weights,
        data_hash=learner.shards.data_hash,
        label_version=learner.shards.label_version,
        best_epoch=at.best_epoch,
        history=[Epoch(**row) for row in at.history],
        git_revision=git_revision(),
        versions=library_versions(),
        mlflow_run=at.mlflow_run,
        device=device_name(learner.device),
        seconds=learner.count_seconds(),
    )
    write_atomically(folder.weights, save(learner.best))
    write_atomically(folder.output / "curves.png", plot_curves(record.history))
    tracker.artifact(folder.output / "curves.png")
    tracker.artifact(folder.weights)
    write_atomically(folder.model / "training.json", record.model_dump_json(indent=2).encode())
    tracker.artifact(folder.model / "training.json")
    tracker.end("FINISHED")
    (folder.checkpoints / CHECKPOINT).unlink(missing_ok=True)
    score = "" if at.best_score < 0 else f", validation mean AUROC {at.best_score:.4f}"
    say(f"Best epoch {at.best_epoch}{score}: {folder.weights}")


def _already_trained(folder: RunFolder, record: TrainingRecord, config: TrainConfig, shards: Shards) -> Path:
    mine = identity(config, shards.data_hash, shards.findings)
    theirs = identity(record.config, record.data_hash, record.findings or shards.findings)
    if mine != theirs:
        raise TrainingError(f"{folder.root} {difference(theirs, mine)}. Use another --output, or delete it.")
    (folder.checkpoints / CHECKPOINT).unlink(missing_ok=True)
    say(f"{folder.root} is trained already with these data and settings: nothing to do.")
    return folder.root


def _parameters(learner: Learner) -> dict[str, object]:
    shards = learner.shards
    return learner.config.model_dump() | {
        "image_size": shards.image_size,
        "train_images": len(learner.train_rows),
        "val_images": len(learner.val_rows),
        "data_hash": shards.data_hash,
        "label_version": shards.label_version,
        "git_revision": git_revision() or "unknown",
        "device": learner.device.type,
    }


def _describe(learner: Learner) -> None:
    say(
        f"Training on {len(learner.train_rows)} images, validating on {len(learner.val_rows)}, "
        f"{learner.shards.image_size}x{learner.shards.image_size}, {learner.device.type}, "
        f"{learner.config.precision}, {learner.steps_per_epoch} steps an epoch."
    )
