"""The state of a run and its one step: network, averaged network, optimiser, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim.swa_utils import AveragedModel

from chest_xray.errors import TrainingError
from chest_xray.statistics.metrics import mean_auroc
from chest_xray.training.augment import augment
from chest_xray.training.loader import Batch, Loader
from chest_xray.training.model import build_model
from chest_xray.training.recipe import (
    learning_rate_factor,
    parameter_groups,
    positive_weights,
    training_normalisation,
)
from chest_xray.training.scoring import predict_logits

if TYPE_CHECKING:
    from chest_xray.data.shards import Shards
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig

EMA_PREFIX = "module."
Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass
class Progress:
    """How far a run is. `loss_sum` is over the steps of the epoch under way."""

    epoch: int = 0
    step_in_epoch: int = 0
    loss_sum: float = 0.0
    best_epoch: int = -1
    best_score: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    mlflow_run: str = ""
    seconds: float = 0.0


class Learner:
    """The network, its averaged copy, the optimiser and the progress of one run."""

    def __init__(self, shards: Shards, config: TrainConfig, settings: Settings) -> None:
        self.shards = shards
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.train_rows = shards.rows("train")
        self.val_rows = shards.rows("val")
        _check_rows(self.train_rows, self.val_rows, config)
        self.normalisation = training_normalisation(shards, self.train_rows)
        self.positive_weights = positive_weights(shards.labels[self.train_rows], config.positive_weight_cap)
        mean, std = self.normalisation.mean, self.normalisation.std
        findings = len(shards.findings)
        model = build_model(config.init, mean=mean, std=std, findings=findings, seed=config.seed, settings=settings)
        self.model = convert_conv2d_weight_memory_format(model.to(self.device), torch.channels_last)
        self.averaged = AveragedModel(self.model, multi_avg_fn=self._average, use_buffers=True)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, config), fused=True)
        self.loss_weight = torch.tensor(self.positive_weights, dtype=torch.float32, device=self.device)
        self.best: dict[str, Tensor] = {}
        self.at = Progress()
        self.loader = Loader(shards, pin=self.device.type == "cuda")
        self.steps_per_epoch = len(self.train_rows) // config.batch_size
        self._counted_until = time.monotonic()

    @property
    def step(self) -> int:
        """Optimiser steps done since the start of the run."""
        return self.at.epoch * self.steps_per_epoch + self.at.step_in_epoch

    def train_step(self, batch: Batch) -> float:
        """One forward, backward and update; returns the loss."""
        images = batch.images.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        pixels = augment(images, self.config, generator).contiguous(memory_format=torch.channels_last)
        factor = learning_rate_factor(self.step, self.steps_per_epoch * self.config.epochs, self.config.warmup_fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            logits = self.model(pixels).float()
        loss = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=self.loss_weight)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.step}. Lower --learning-rate or use --precision fp32."
            )
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.averaged.update_parameters(self.model)
        return float(loss.item())

    def validate(self) -> tuple[float, float]:
        """Unweighted loss and mean AUROC of the averaged weights on the validation images."""
        bf16 = self.config.precision == "bf16"
        logits = predict_logits(self.averaged, self.shards, self.val_rows, self.device, title="Validating", bf16=bf16)
        labels = self.shards.labels[self.val_rows]
        targets = torch.from_numpy(labels.astype(np.float32))
        loss = functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), targets)
        return float(loss.item()), mean_auroc(labels, logits)

    def averaged_weights(self) -> dict[str, Tensor]:
        """The averaged network's state on the CPU, by ChestXrayNet's names."""
        state = self.averaged.state_dict()
        return {
            name.removeprefix(EMA_PREFIX): value.detach().cpu().clone().contiguous()
            for name, value in state.items()
            if name.startswith(EMA_PREFIX)
        }

    def count_seconds(self) -> float:
        """Add the time since the last count to the run's seconds; returns their sum."""
        now = time.monotonic()
        self.at.seconds += now - self._counted_until
        self._counted_until = now
        return self.at.seconds

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self.count_seconds()
        return {
            "identity": self.identity(),
            "progress": asdict(self.at),
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
        }

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return identity(self.config, self.shards.data_hash, self.shards.findings)

    def restore(self, state: dict[str, Any], where: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            TrainingError: it belongs to another configuration or other data.
        """
        # A checkpoint from before findings were in it is of as many as its data has.
        mine = self.identity()
        theirs = {"findings": mine["findings"]} | state["identity"]
        if mine != theirs:
            raise TrainingError(f"{where} {difference(theirs, mine)}. Use another --output, or delete it.")
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        self.at = Progress(**state["progress"])
        self._counted_until = time.monotonic()

    def _average(self, averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        """Exponential average whose decay grows with the updates, so that early weights are forgotten."""
        if not averaged[0].is_floating_point():  # torch hands over one kind at a time: these are step counters
            for mine, theirs in zip(averaged, current, strict=True):
                mine.copy_(theirs)
            return
        n = int(updates)
        decay = min(self.config.ema_decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(averaged, current, 1 - decay)


def _check_rows(train_rows: NDArray[np.int64], val_rows: NDArray[np.int64], config: TrainConfig) -> None:
    if len(train_rows) < config.batch_size:
        raise TrainingError(
            f"{len(train_rows)} training images do not fill a batch of {config.batch_size}. "
            "Lower --batch-size or prepare more images."
        )
    if len(val_rows) == 0:
        raise TrainingError("the shards hold no validation image. Prepare a folder with more patients.")


def identity(config: TrainConfig, data_hash: str, findings: Sequence[str]) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    return {"config": config.model_dump(), "data_hash": data_hash, "findings": list(findings)}


def difference(theirs: dict[str, Any], mine: dict[str, Any]) -> str:
    """Say in what two runs' identities differ, theirs first."""
    if theirs["data_hash"] != mine["data_hash"]:
        return f"was trained on data {theirs['data_hash'][:12]}, these are {mine['data_hash'][:12]}"
    if theirs["findings"] != mine["findings"]:
        return f"was trained for {', '.join(theirs['findings'])}, these are {', '.join(mine['findings'])}"
    name = next(key for key in mine["config"] if theirs["config"].get(key) != mine["config"][key])
    return f"was started with {name}={theirs['config'].get(name)}, this is {mine['config'][name]}"
