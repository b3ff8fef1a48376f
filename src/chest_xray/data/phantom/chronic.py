"""Findings of the whole chest: a large heart, water, trapped air, scarring, and a stomach in the wrong place.

Those that change the chest's shape do so in `reshape`, before anything is drawn.
"""

from dataclasses import replace

import numpy as np

from chest_xray.data.phantom.anatomy import LEFT, RIGHT, SIDES, Chest
from chest_xray.data.phantom.canvas import Field, Stroke, ramp
from chest_xray.data.phantom.opacities import Brush, raised_dome


def reshape(chest: Chest, finding: str, severity: float, side: int) -> Chest:
    """Change the chest's shape as the finding does; findings that do not are returned as they came."""
    right, left = chest.dome
    match finding:
        case "Cardiomegaly":
            return replace(chest, heart=max(chest.heart, 1.0) * (1.12 + 0.45 * severity))
        case "Edema":
            return replace(chest, cephalised=severity, markings=chest.markings * 1.15)
        case "Emphysema":
            low = 0.03 + 0.08 * severity
            flat = 1 - 0.30 - 0.45 * severity
            return replace(
                chest,
                base=chest.base + low,
                dome=(right + low, left + low),
                sag=(chest.sag[0] * flat, chest.sag[1] * flat),
                heart=chest.heart * (1 - 0.06 - 0.16 * severity),
                inflation=chest.inflation * (1.04 + 0.10 * severity),
                markings=chest.markings * (1 - 0.25 - 0.45 * severity),
            )
        case "Fibrosis":
            lift = 0.02 + 0.04 * severity
            return replace(chest, dome=(right - lift, left - lift))
        case "Atelectasis":
            lift = raised_dome(severity)
            return replace(chest, dome=(right - lift, left) if side == RIGHT else (right, left - lift))
        case _:
            return chest


def draw_cardiomegaly(brush: Brush) -> list[Field]:
    """Box the heart that `reshape` has widened; nothing is left to draw."""
    canvas, chest = brush.canvas, brush.chest
    rows = canvas.y[:, 0]
    cover = ramp(canvas.y + 0.14, 0.01) * ramp(np.float32(max(chest.dome) + 0.02) - canvas.y, 0.01)
    for side in SIDES:
        cover = cover * ramp(chest.heart_edge(side, rows)[:, None] - side * canvas.x, 0.01)
    return [cover]


def draw_edema(brush: Brush) -> list[Field]:
    """Draw a bat's wings of haze around both hila and Kerley's lines at the bases."""
    canvas, chest, rng = brush.canvas, brush.chest, brush.rng
    cloudy = np.clip(0.78 + 0.16 * canvas.texture(rng, 20) + 0.14 * canvas.texture(rng, 50), 0.3, 1.3)
    amount = brush.contrast * (0.16 + 0.44 * brush.severity)
    strokes: list[Stroke] = []
    for side in SIDES:
        outer = chest.lateral(canvas.y[:, 0])[:, None] - side * canvas.x
        wing = canvas.glow(side * 0.29, 0.0, 0.19, 0.27) * ramp(outer - 0.10, 0.16)
        canvas.opacify(np.float32(amount * rng.uniform(0.85, 1.1)) * wing * cloudy * canvas.lungs[side])
        for y in chest.dome[side > 0] + np.linspace(-0.30, 0.06, 9) + rng.normal(0, 0.01, 9):
            x = float(chest.lateral(np.array([y]))[0])
            line = np.array([(side * (x - 0.075), y + rng.normal(0, 0.006)), (side * (x - 0.01), y)])
            strokes.append((line, 0.010, 1.0))
    kerley = canvas.strokes(strokes)
    canvas.dense += np.float32(0.30 * brush.contrast * brush.severity) * kerley * brush.lungs()
    return []


def draw_emphysema(brush: Brush) -> list[Field]:
    """Draw bullae in the upper zones; the rest of emphysema is in `reshape`."""
    canvas, rng = brush.canvas, brush.rng
    for side in SIDES:
        for _ in range(int(rng.integers(0, 3))):
            x, y = brush.chest.lung_point(side, rng.uniform(0.1, 0.5), rng.uniform(0.35, 0.85))
            r = canvas.radius(x, y, rng.uniform(0.06, 0.13), rng.uniform(0.06, 0.13), 0.4)
            within = ramp(1 - r, 0.12) * canvas.lungs[side]
            canvas.vessels = canvas.vessels * (1 - 0.8 * within)
            canvas.air = canvas.air * (1 + np.float32(0.12 * brush.severity) * within)
            canvas.dense += 0.08 * np.exp(-0.5 * ((r - 1) / 0.06) ** 2) * canvas.lungs[side]
    return []


def draw_fibrosis(brush: Brush) -> list[Field]:
    """Draw a net of fine lines at the bases and along the wall of both lungs."""
    canvas, chest, rng = brush.canvas, brush.chest, brush.rng
    coarse, fine, uneven = canvas.texture(rng, 34), canvas.texture(rng, 54), canvas.texture(rng, 10)
    net = 0.7 * np.exp(-((coarse / np.float32(0.34)) ** 2)) + 0.7 * np.exp(-((fine / np.float32(0.36)) ** 2))
    net = net * np.clip(0.85 + 0.35 * uneven, 0.25, 1.4)
    amount = np.float32(brush.contrast * (0.38 + 0.36 * brush.severity))
    for side in SIDES:
        outer = chest.lateral(canvas.y[:, 0])[:, None] - side * canvas.x
        height = (canvas.y - np.float32(chest.dome[side > 0])) / np.float32(0.20 + 0.22 * brush.severity)
        base = np.exp(-0.5 * np.clip(height, -4, 0) ** 2)
        edge = np.exp(-0.5 * (outer / np.float32(0.12)) ** 2) * ramp(canvas.y + 0.45, 0.4)
        zone = np.maximum(base, 0.8 * edge) * canvas.lungs[side]
        canvas.opacify(amount * zone * np.clip(net, 0, 1.2))
    return []


def draw_hernia(brush: Brush) -> list[Field]:
    """Draw a rounded stomach behind the heart, with gas over a fluid level."""
    canvas, chest, rng = brush.canvas, brush.chest, brush.rng
    radius = 0.115 + 0.075 * brush.severity
    x, y = rng.uniform(-0.02, 0.11), chest.base - radius * rng.uniform(0.75, 1.05) + 0.03
    r = canvas.radius(x, y, radius * rng.uniform(1.0, 1.25), radius)
    sac = ramp(1 - r, 0.10)
    strength = np.float32(brush.contrast * (0.55 + 0.45 * brush.severity))
    canvas.opacify(0.8 * sac * (canvas.lungs[LEFT] + canvas.lungs[RIGHT]))
    level = np.float32(y + radius * rng.uniform(-0.25, 0.15))
    gas = ramp(0.92 - r, 0.10) * ramp(level - canvas.y, 0.014)
    canvas.dense += strength * (0.45 * sac - 1.25 * gas)
    return [sac]
