"""A network's logits for rows of a shard folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.errors import TrainingError
from chest_xray.training.loader import Loader
from chest_xray.training.model import ChestXrayNet, load_weights
from chest_xray.training.run import RunFolder, TrainingRecord

BATCH = 64


def predict_logits(
    model: nn.Module, shards: Shards, rows: NDArray[np.int64], device: torch.device, *, title: str, bf16: bool = False
) -> NDArray[np.float32]:
    """Logits (n, F) of a network in evaluation mode for the given rows, in fp32 throughout unless `bf16`.

    Raises:
        TrainingError: the network gives logits that are not finite.
    """
    model.eval()
    order = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    with progress(title, len(rows)) as advance, plain_fp32():
        found = []
        for logits in _logit_batches(model, shards, order, device, bf16=bf16):
            found.append(logits)
            advance(len(logits))
    if not found:
        return np.empty((0, shards.labels.shape[1]), dtype=np.float32)
    every = np.concatenate(found)
    if not np.isfinite(every).all():
        raise TrainingError("the network gives logits that are not finite. Train again with a lower --learning-rate.")
    return every


def _logit_batches(
    model: nn.Module, shards: Shards, order: list[NDArray[np.int64]], device: torch.device, *, bf16: bool
) -> Iterator[NDArray[np.float32]]:
    for batch in Loader(shards).batches(order):
        images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield model(images).float().cpu().numpy()


@contextmanager
def plain_fp32() -> Iterator[None]:
    """CuDNN rounds fp32 convolutions to TF32 unless told otherwise; the exported graph does not."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def load_run_model(folder: RunFolder, record: TrainingRecord) -> ChestXrayNet:
    """The run's network in evaluation mode, on the accelerator when there is one."""
    model = ChestXrayNet(record.normalisation.mean, record.normalisation.std, len(record.positive_weights))
    load_weights(model, folder.weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return convert_conv2d_weight_memory_format(model.to(device), torch.channels_last).eval()
