"""A network's logits for rows of a shard folder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chest_xray.data.shards import Shards
from chest_xray.training.loader import Loader

BATCH = 64


def predict_logits(
    model: nn.Module,
    shards: Shards,
    rows: NDArray[np.int64],
    device: torch.device,
    *,
    bf16: bool = False,
) -> NDArray[np.float32]:
    """Logits (n, 14) of a network in evaluation mode for the given rows."""
    model.eval()
    order = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    return np.concatenate(list(_logit_batches(model, shards, order, device, bf16=bf16)))


def _logit_batches(
    model: nn.Module, shards: Shards, order: list[NDArray[np.int64]], device: torch.device, *, bf16: bool
) -> Iterator[NDArray[np.float32]]:
    for batch in Loader(shards).batches(order):
        images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield model(images).float().cpu().numpy()
