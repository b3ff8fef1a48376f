"""Findings that fill the lung's air: round ones, patchy ones, lobar ones and plates."""

from dataclasses import dataclass

import numpy as np

from chest_xray.data.phantom.anatomy import LEFT, RIGHT, Chest
from chest_xray.data.phantom.canvas import CENTIMETRE, Canvas, Field, Stroke, ramp
from chest_xray.data.phantom.vessels import hilum

_FORK = np.array([(0.80, -0.60), (0.60, 0.80)])  # a turn by 37 degrees


@dataclass
class Brush:
    """What a finding is drawn with: `severity` from 0 (invisible) to 1 (plain); `rng` decides where and how."""

    canvas: Canvas
    chest: Chest
    severity: float
    contrast: float
    rng: np.random.Generator

    def side(self) -> int:
        """Left or right by lot."""
        return pick_side(self.rng)

    def lungs(self) -> Field:
        """Both lungs, 0..1."""
        return self.canvas.lungs[RIGHT] + self.canvas.lungs[LEFT]


def pick_side(rng: np.random.Generator) -> int:
    """Left or right, the first draw of a one-sided finding's stream: what reshapes the chest and what draws agree."""
    return RIGHT if rng.random() < 0.55 else LEFT


def draw_mass(brush: Brush) -> list[Field]:
    """Draw one round or lobulated opacity of 3.2 to 7.5 cm."""
    return [_round(brush, (3.2 + 4.3 * brush.severity * brush.rng.uniform(0.6, 1)) / 2 * CENTIMETRE, 0.42, 0.40)]


def draw_nodule(brush: Brush) -> list[Field]:
    """Draw one to three round opacities of 1.4 to 2.8 cm."""
    count = int(brush.rng.choice([1, 2, 3], p=[0.62, 0.25, 0.13]))
    sizes = brush.rng.uniform(0.75, 1.0, count)
    return [_round(brush, (1.5 + 1.3 * brush.severity * s) / 2 * CENTIMETRE, 0.45, 0.35) for s in sizes]


def _round(brush: Brush, radius: float, least: float, more: float) -> Field:
    canvas, rng = brush.canvas, brush.rng
    x, y = brush.chest.lung_point(brush.side(), rng.uniform(0.16, 0.93), rng.uniform(0.18, 0.86))
    turn, bumpy = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.0, 0.05, 2)
    part = canvas.around(x, y, 1.5 * radius)
    angle = np.arctan2(part.y - np.float32(y), part.x - np.float32(x))
    r = part.radius(x, y, radius * rng.uniform(0.88, 1.1), radius * rng.uniform(0.88, 1.1), float(turn[0]))
    r = r * (1 + bumpy[0] * np.cos(2 * angle + turn[0]) + bumpy[1] * np.cos(3 * angle + turn[1])).astype(np.float32)
    thick = np.sqrt(np.clip(1 - (r / 1.12) ** 2, 0, 1))
    cover = canvas.spread(part, 0.35 * ramp(1 - r, 0.30) + 0.65 * thick) * brush.lungs()
    amount = brush.contrast * (least + more * brush.severity)
    canvas.opacify(np.float32(amount) * cover)
    canvas.dense += np.float32(0.16 * amount) * cover
    return cover


def draw_infiltration(brush: Brush) -> list[Field]:
    """Draw ill-defined, mottled haze in one to three patches."""
    canvas, rng = brush.canvas, brush.rng
    first = brush.side()
    mottle = np.clip(0.62 + 0.24 * canvas.texture(rng, 24) + 0.24 * canvas.texture(rng, 60), 0.0, 1.5)
    covers = []
    for k in range(int(rng.integers(1, 4))):
        side = first if k != 1 else -first
        x, y = brush.chest.lung_point(side, rng.uniform(0.35, 0.92), rng.uniform(0.2, 0.7))
        patch = canvas.glow(x, y, rng.uniform(0.11, 0.19), rng.uniform(0.12, 0.22)) * canvas.lungs[side]
        canvas.opacify(np.float32(brush.contrast * (0.28 + 0.42 * brush.severity)) * patch * mottle)
        covers.append(patch)
    return covers


def draw_pneumonia(brush: Brush) -> list[Field]:
    """Draw one segmental airspace patch whose bronchi stay open as dark branching lines."""
    canvas, rng = brush.canvas, brush.rng
    side = brush.side()
    x, y = brush.chest.lung_point(side, rng.uniform(0.30, 0.90), rng.uniform(0.30, 0.62))
    size = 0.15 + 0.13 * brush.severity
    r = canvas.radius(x, y, size * rng.uniform(0.8, 1.1), size * rng.uniform(0.9, 1.25), rng.uniform(-0.6, 0.6))
    ragged = 0.14 * canvas.texture(rng, 16) + 0.09 * canvas.texture(rng, 40)
    patch = ramp(1.02 - r + ragged, 0.65) * canvas.lungs[side]
    bronchi = canvas.strokes(_bronchogram(rng, hilum(brush.chest, side), (x, y), size))
    amount = np.float32(brush.contrast * (0.45 + 0.35 * brush.severity))
    canvas.opacify(amount * patch * (1 - 0.62 * bronchi))
    return [patch]


def _bronchogram(
    rng: np.random.Generator, root: tuple[float, float], centre: tuple[float, float], size: float
) -> list[Stroke]:
    """Air-filled bronchi fanning out from the side of the hilum into the patch."""
    start, middle = np.array(root), np.array(centre)
    towards = (middle - start) / max(1e-6, float(np.hypot(*(middle - start))))
    across = np.array([-towards[1], towards[0]])
    entry = middle - 0.85 * size * towards
    strokes: list[Stroke] = []
    for spread in rng.normal(0, 0.15, 4) + np.array([-0.75, -0.25, 0.25, 0.75]):
        end = middle + size * (rng.uniform(0.4, 0.8) * towards + spread * across)
        knee = entry + 0.45 * (end - entry) + rng.normal(0, 0.10, 2) * size
        strokes.append((np.stack([entry, knee]), 0.021, 1.0))
        strokes.append((np.stack([knee, end]), 0.015, 1.0))
        strokes.append((np.stack([knee, knee + 0.5 * (end - entry) @ _FORK.T]), 0.013, 0.9))
    return strokes


def draw_consolidation(brush: Brush) -> list[Field]:
    """Draw a dense homogeneous opacity that ends sharply at a fissure and fades away from it."""
    canvas, rng = brush.canvas, brush.rng
    side = brush.side()
    above = rng.random() < 0.45
    x, y = brush.chest.lung_point(side, rng.uniform(0.42, 0.60) if above else rng.uniform(0.50, 0.68), 0.5)
    tilt = side * rng.uniform(-0.12, 0.35)
    dx, dy = canvas.x - np.float32(x), canvas.y - np.float32(y)
    bow = np.float32(rng.uniform(-0.4, 0.4)) * dx * dx
    depth = (dy * np.float32(np.cos(tilt)) - dx * np.float32(np.sin(tilt)) + bow) * (-1 if above else 1)
    reach = np.float32(0.17 + 0.16 * brush.severity)
    fade = np.exp(-(np.clip(depth / reach, 0, 3) ** 2))
    width = rng.uniform(0.16, 0.26) + 0.06 * brush.severity
    patch = ramp(depth, 0.014) * fade * ramp(1 - np.abs(dx) / np.float32(width * 1.5), 0.5) * canvas.lungs[side]
    canvas.opacify(np.float32(brush.contrast * (0.50 + 0.38 * brush.severity)) * patch)
    return [patch]


def raised_dome(severity: float) -> float:
    """How far atelectasis lifts the diaphragm of its side."""
    return 0.03 + 0.09 * severity


def draw_atelectasis(brush: Brush) -> list[Field]:
    """Draw plates of collapsed lung above a raised hemidiaphragm."""
    canvas, rng, chest = brush.canvas, brush.rng, brush.chest
    side = brush.side()
    strokes: list[Stroke] = []
    for k in range(1 + int(rng.random() < 0.35 + 0.4 * brush.severity) + int(rng.random() < 0.3)):
        x, y = chest.lung_point(side, rng.uniform(0.86, 0.93) - 0.10 * k, rng.uniform(0.35, 0.6))
        half, tilt = rng.uniform(0.13, 0.20) + 0.06 * brush.severity, side * rng.uniform(-0.15, 0.5)
        t = np.linspace(-1, 1, 6)
        points = np.stack([x + half * t, y + half * tilt * t + 0.02 * (t * t - 0.5)], axis=1)
        width = rng.uniform(0.020, 0.032) + 0.014 * brush.severity
        strokes += [(points, 0.45 * width, 0.65), (points[1:-1], width, 1.0)]
    plates = canvas.strokes(strokes) * canvas.lungs[side]
    columns = canvas.x[0]
    over_dome = chest.diaphragm(side, columns)[None, :] - canvas.y
    crowded = np.exp(-0.5 * (over_dome / np.float32(0.10)) ** 2) * canvas.lungs[side]
    canvas.opacify(np.float32(brush.contrast * (0.45 + 0.42 * brush.severity)) * plates)
    canvas.opacify(np.float32(brush.contrast * 0.22 * brush.severity) * crowded)
    lifted = ramp(over_dome + np.float32(raised_dome(brush.severity)), 0.01) * ramp(-over_dome, 0.01)
    inside = ramp(side * canvas.x - 0.15, 0.01) * ramp(chest.lateral(canvas.y[:, 0])[:, None] - side * canvas.x, 0.01)
    return [np.maximum(plates, lifted * inside)]
