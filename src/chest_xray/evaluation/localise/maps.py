"""The network's exact class activation maps of films in the shards."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.training.loader import Loader
from chest_xray.training.model import ChestXrayNet
from chest_xray.training.scoring import BATCH, plain_fp32


def network_maps(
    model: ChestXrayNet, shards: Shards, rows: NDArray[np.int64], device: torch.device
) -> NDArray[np.float32]:
    """Maps (n, F, h, w) of the films at n positions, n at least 1, in fp32."""
    order = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    found = []
    with progress("Maps of images with boxes", len(rows)) as advance, plain_fp32(), torch.inference_mode():
        for batch in Loader(shards).batches(order):
            images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
            found.append(model.explain(images).cam.cpu().numpy())
            advance(len(images))
    return np.concatenate(found)
