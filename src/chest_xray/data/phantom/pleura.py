"""Findings between lung and chest wall: fluid, air and scar."""

import numpy as np

from chest_xray.data.phantom.anatomy import SIDES
from chest_xray.data.phantom.canvas import Field, ramp
from chest_xray.data.phantom.opacities import Brush


def draw_effusion(brush: Brush) -> list[Field]:
    """Draw fluid over the diaphragm, from a blunted costophrenic angle to half a hemithorax, with a meniscus."""
    first = brush.side()
    sides = SIDES if brush.rng.random() < 0.35 else (first,)
    return [_fluid(brush, side, brush.severity * (1.0 if side == first else 0.6)) for side in sides]


def _fluid(brush: Brush, side: int, severity: float) -> Field:
    canvas, chest = brush.canvas, brush.chest
    corner = chest.dome[side > 0] + 0.55 * chest.sag[side > 0]
    u = np.clip(side * canvas.x / np.float32(chest.half_width), 0, 1.1)
    climb = (0.08 + 0.14 * severity) * (u**5 - 0.25) + 0.05 * severity * np.clip(0.35 - u, 0, 1)
    level = np.float32(corner + 0.05 - 0.46 * severity) - climb
    cover = ramp(canvas.y - level, 0.035) * (side * canvas.x > 0)
    canvas.opacify(np.float32(min(0.97, 0.93 * brush.contrast)) * cover)
    return cover * canvas.lungs[side]


def draw_pneumothorax(brush: Brush) -> list[Field]:
    """Draw air without markings between the chest wall and a thin white line, the edge of the lung."""
    canvas, chest, rng = brush.canvas, brush.chest, brush.rng
    side = brush.side()
    gap = 0.05 + 0.20 * brush.severity
    rows = canvas.y[:, 0]
    v = np.clip((rows - chest.apex) / (chest.base - chest.apex), 0, 1)
    lateral = gap * (1 - rng.uniform(0.55, 0.85) * v) * (1 + 0.08 * np.sin(9 * v + rng.uniform(0, 6)))
    from_wall = (chest.lateral(rows) - lateral).astype(np.float32)[:, None] - side * canvas.x
    from_top = canvas.y - np.float32(chest.apex + 1.1 * gap) - 0.35 * np.clip(side * canvas.x - 0.3, 0, 1)
    inside = np.minimum(from_wall, from_top)  # positive within the collapsed lung
    lung = canvas.lungs[side]
    free = ramp(-inside, 0.012) * lung
    line = np.exp(-0.5 * (inside / np.float32(0.009)) ** 2) * lung
    strength = np.float32(brush.contrast * (0.6 + 0.4 * brush.severity))
    canvas.vessels = canvas.vessels * (1 - free)
    canvas.air = canvas.air * (1 + 0.22 * strength * free)
    canvas.opacify(np.float32(0.16) * strength * ramp(inside, 0.02) * lung)
    canvas.dense += 0.30 * strength * line
    return [np.maximum(free, 0.6 * line)]


def draw_pleural_thickening(brush: Brush) -> list[Field]:
    """Draw soft tissue along the inner chest wall: a lateral band, an apical cap or both, sometimes calcified."""
    first = brush.side()
    sides = SIDES if brush.rng.random() < 0.35 else (first,)
    cap = brush.rng.random() < 0.45
    band = not cap or brush.rng.random() < 0.35
    return [_scar(brush, side, cap, band) for side in sides]


def _scar(brush: Brush, side: int, cap: bool, band: bool) -> Field:
    canvas, chest, rng = brush.canvas, brush.chest, brush.rng
    rows = canvas.y[:, 0]
    outer = chest.lateral(rows)[:, None] - side * canvas.x
    waves = (rng.uniform(7, 13) * rows + rng.uniform(0, 6), 29 * rows + rng.uniform(0, 6))
    lumps = 1 + 0.22 * np.sin(waves[0]) + 0.10 * np.sin(waves[1])
    thick = (0.050 + 0.070 * brush.severity) * lumps
    cover = canvas.blank()
    if band:
        middle, half = rng.uniform(0.0, 0.25), rng.uniform(0.26, 0.40)
        extent = np.clip(1 - ((rows - middle) / half) ** 2, 0, 1) ** 0.5
        cover = ramp((thick * extent).astype(np.float32)[:, None] - outer - 0.008, 0.016)
    if cap:
        depth = np.minimum(outer * 1.0, canvas.y - np.float32(chest.apex) - 0.4 * np.abs(side * canvas.x - 0.3))
        top = np.clip(1 - (rows - chest.apex) / 0.32, 0, 1) ** 0.5
        cover = np.maximum(cover, ramp((1.3 * thick * top).astype(np.float32)[:, None] - depth - 0.009, 0.018))
    cover = cover * canvas.lungs[side]
    canvas.opacify(np.float32(brush.contrast * (0.70 + 0.27 * brush.severity)) * cover)
    if rng.random() < 0.2:
        canvas.dense += 0.5 * cover * np.clip(canvas.texture(rng, 60) - 0.6, 0, 1)
    return cover
