"""What the recipe derives from data and configuration: normalisation, loss weights, parameter groups, learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Normalisation
from chest_xray.errors import TrainingError

if TYPE_CHECKING:
    from chest_xray.data.shards import Shards
    from chest_xray.training.config import TrainConfig
    from chest_xray.training.model import ChestXrayNet


def training_normalisation(shards: Shards, rows: NDArray[np.int64]) -> Normalisation:
    """Mean and standard deviation of all pixels of the training images, on the scale 0..1."""
    means, stds = shards.pixel_mean[rows].astype(np.float64), shards.pixel_std[rows].astype(np.float64)
    mean = means.mean()
    variance = (stds**2 + means**2).mean() - mean**2
    if variance <= 0:
        raise TrainingError("the training images are all of one grey. Prepare the data again from real films.")
    return Normalisation(mean=float(mean / 255), std=float(math.sqrt(variance) / 255))


def positive_weights(labels: NDArray[np.uint8], cap: float) -> list[float]:
    """Weight of a positive in the loss, by finding: negatives over positives, within 1..cap."""
    positive = labels.sum(axis=0, dtype=np.int64)
    return [float(np.clip((len(labels) - p) / max(p, 1), 1.0, cap)) for p in positive]


def parameter_groups(model: ChestXrayNet, config: TrainConfig) -> list[dict[str, Any]]:
    """Backbone and classifier at their own rates; norms and biases without decay."""
    groups = []
    for module, scale in ((model.features, config.backbone_lr_scale), (model.classifier, 1.0)):
        peak = config.learning_rate * scale
        matrices = [p for p in module.parameters() if p.ndim > 1]
        vectors = [p for p in module.parameters() if p.ndim <= 1]
        for params, decay in ((matrices, config.weight_decay), (vectors, 0.0)):
            groups.append({"params": params, "lr": peak, "peak_lr": peak, "weight_decay": decay})
    return groups


def learning_rate_factor(step: int, total: int, warmup_fraction: float) -> float:
    """Linear warm-up to 1, then a cosine to 0 at `total` steps."""
    warmup = max(1, round(total * warmup_fraction))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
