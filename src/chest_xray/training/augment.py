"""Mild augmentation of a whole batch on its device. No horizontal flip: the heart is on the left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from chest_xray.training.config import TrainConfig


def augment(images: Tensor, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shift and re-expose each image on its own.

    Args:
        images: uint8 or float (B, 1, S, S) on the scale 0..255.
        config: the largest change of each kind.
        generator: a CPU generator; the same state gives the same batch on any device.

    Returns:
        float32 (B, 1, S, S), clipped to 0..255; what enters from outside the film is black.
    """
    draws = (torch.rand(6, len(images), generator=generator) * 2 - 1).to(images.device)
    angle, size, right, down, contrast, level = draws
    pixels = _warp(
        images.float(),
        angle * math.radians(config.rotation_degrees),
        1 + size * config.scale,
        right * 2 * config.shift,
        down * 2 * config.shift,
    )
    gain = (1 + contrast * config.contrast).view(-1, 1, 1, 1)
    offset = (level * config.brightness * 255).view(-1, 1, 1, 1)
    exposed: Tensor = (pixels - 127.5) * gain + 127.5 + offset
    return exposed.clamp_(0, 255)


def _warp(pixels: Tensor, angle: Tensor, scale: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Sample (B, 1, S, S) through one affine map an image; shifts are in half-sides."""
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = torch.stack([cosine, -sine, right, sine, cosine, down], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(rows, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
