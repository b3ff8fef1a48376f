"""The healthy chest: soft tissue, lungs, heart, bones and what lies under the diaphragm.

Attenuation is additive along the ray, so the shadows lie over each other as they do on a film. Its unit is that of
`film.develop`: about 0.9 through an inflated lung, 3 through the mediastinum.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.phantom.anatomy import LEFT, RIGHT, SIDES, Anatomy, Chest
from chest_xray.data.phantom.canvas import Canvas, Field, curve, ramp
from chest_xray.data.phantom.vessels import grow_vessels, hilum

_LUNG_CONTRAST: Final = 1.42
_HEART_COVERS: Final = 0.80  # fraction of the lung's air in front of and behind the heart that the heart displaces
_EDGE: Final = 0.014


def lay_lungs(canvas: Canvas, chest: Chest) -> None:
    """Fill `canvas.lungs` (each side, 0..1) and `canvas.air` (depth of air, 0..1, thinner behind the heart)."""
    rows = canvas.y[:, 0]
    for side in SIDES:
        part = canvas.half(side)
        away = side * part.x
        outer = chest.lateral(rows)[:, None] - away
        below = chest.diaphragm(side, part.x[0])[None, :] - part.y
        cage = ramp(outer, _EDGE)
        cage *= ramp(away - chest.mediastinum(side, rows)[:, None], 0.02)
        cage *= ramp(part.y - chest.apex, 0.02)
        lung = cage * ramp(below, _EDGE)
        hidden = cage * ramp(below + 0.13, 0.10)  # the recess behind the dome
        q = np.clip(outer / np.float32(0.75 * chest.half_width), 0, 1)
        depth = 0.42 + 0.58 * np.sqrt(q * (2 - q))
        heart = ramp(chest.heart_edge(side, rows)[:, None] - away, 0.02)
        canvas.lungs[side][part.at] = lung * (1 - heart)
        canvas.air[part.at] = (0.9 * lung + 0.10 * hidden) * depth * (1 - np.float32(_HEART_COVERS) * heart)


def lay_vessels(canvas: Canvas, chest: Chest, anatomy: Anatomy) -> None:
    """Draw the vascular tree and the hila into `canvas.vessels` and `canvas.dense`."""
    tree = canvas.strokes(grow_vessels(chest, anatomy.seed))
    inside = np.clip(canvas.air * 2.2, 0, 1)
    canvas.vessels = np.float32(0.34 * chest.markings) * tree * inside
    for side in SIDES:
        x, y = hilum(chest, side)
        part = canvas.around(x, y, 0.3)
        canvas.dense[part.at] += np.float32(0.22 * chest.markings) * part.glow(x, y, 0.045, 0.085) * inside[part.at]


def tissue(canvas: Canvas, chest: Chest, anatomy: Anatomy) -> Field:
    """Attenuation of everything but lung air and findings, (n, n)."""
    total = _torso(canvas, chest, anatomy)
    _add_breasts(total, canvas, anatomy)
    _add_mediastinum(total, canvas, chest)
    _add_ribs(total, canvas, chest, anatomy)
    _add_spine(total, canvas, chest, anatomy)
    _add_shoulders(total, canvas, chest, anatomy)
    _add_abdomen(total, canvas, chest, anatomy)
    return total


def attenuation(canvas: Canvas, chest: Chest, soft: Field) -> Field:
    """Put the layers of a canvas together: tissue, less the air that is left, plus vessels in that air."""
    left = 1 - canvas.fill
    contrast = np.float32(_LUNG_CONTRAST * chest.inflation)
    return np.asarray(soft + canvas.dense + left * (canvas.vessels - contrast * canvas.air), np.float32)


def _torso(canvas: Canvas, chest: Chest, anatomy: Anatomy) -> Field:
    wall = chest.half_width + 0.10 + 0.22 * anatomy.fat
    knots = np.array(
        [
            (-1.15, 0.25), (-0.98, 0.26), (-0.88, 0.34), (-0.80, 0.58), (-0.72, 0.86), (-0.58, 1.12), (-0.35, 1.18),
            (-0.12, 1.02), (0.10, wall + 0.04), (0.35, wall), (0.75, wall + 0.02), (1.15, wall + 0.05),
        ]
    )  # fmt: skip
    edge = curve(knots, canvas.y[:, 0])[:, None]
    q = np.clip(1 - (canvas.x / edge) ** 2, 0, 1)
    girth = 0.92 + 0.22 * anatomy.fat
    shoulder = np.float32(0.75) + np.float32(0.25) * ramp(canvas.y + 0.55, 0.5)  # thinner above
    total: Field = np.float32(2.35 * girth) * np.sqrt(np.sqrt(q)) * shoulder
    for side in SIDES:
        x = side * (wall + 0.34)
        part = canvas.window(min(x - 0.3, 1.0), x + 0.3) if side > 0 else canvas.window(x - 0.3, max(x + 0.3, -1.0))
        arm = np.sqrt(np.clip(1 - part.radius(x, 0.25, 0.16, 0.95, side * -0.10), 0, 1))
        bone = ramp(1 - part.radius(x, 0.10, 0.045, 0.75, side * -0.10), 0.4)
        total[part.at] = np.maximum(total[part.at], 1.5 * arm) + 0.35 * bone
    return total


def _add_breasts(total: Field, canvas: Canvas, anatomy: Anatomy) -> None:
    if not anatomy.breast:
        return
    size = 0.22 + 0.12 * anatomy.breast
    y = 0.22 + 0.12 * anatomy.breast
    for side in SIDES:
        part = canvas.half(side, y - 1.1 * size, y + 1.1 * size)
        q = np.clip(1 - part.radius(side * 0.45, y, size, size * 1.05, side * 0.3) ** 2, 0, 1)
        thick = np.float32(0.20 + 0.42 * anatomy.breast) * np.sqrt(q)
        total[part.at] += thick * ramp(part.y - np.float32(y - size * 0.7), size * 1.4)


def _add_mediastinum(total: Field, canvas: Canvas, chest: Chest) -> None:
    rows = canvas.y[:, 0]
    for side in SIDES:
        part = canvas.half(side)
        away = side * part.x
        middle = ramp(chest.mediastinum(side, rows)[:, None] - away, 0.03)
        heart = ramp(chest.heart_edge(side, rows)[:, None] - away, 0.02)
        total[part.at] += 0.30 * middle * ramp(part.y + 0.75, 0.4) + 0.26 * heart * ramp(part.y + 0.16, 0.1)
    knob = canvas.around(0.085, -0.36, 0.25)
    size = chest.knob + 0.03
    total[knob.at] += 0.14 * ramp(1 - knob.radius(0.085 + chest.shift, -0.36, size, size), 0.25)
    neck = canvas.window(-0.12, 0.15, bottom=-0.2)
    trachea = 1 - np.abs(neck.x - np.float32(0.012 + chest.shift * 1.5)) / np.float32(0.040)
    total[neck.at] -= 0.42 * np.sqrt(np.clip(trachea, 0, 1)) * ramp(-0.30 - neck.y, 0.06)
    fork = canvas.window(-0.3, 0.4, -0.35, -0.05)
    for side, slope in ((RIGHT, 1.15), (LEFT, 0.75)):
        path = fork.x - side * (fork.y + np.float32(0.31)) / np.float32(slope) - np.float32(0.012 + chest.shift)
        bronchus = np.sqrt(np.clip(1 - np.abs(path) / np.float32(0.035), 0, 1))
        total[fork.at] -= 0.22 * bronchus * ramp(fork.y + 0.31, 0.02) * ramp(-0.14 - fork.y, 0.08)


def _rib_profile(width: float) -> Field:
    """Attenuation across one rib spacing: a flat bone with denser rims, table over 0..1."""
    t = np.abs(np.linspace(0, 1, 256) - 0.5)
    body = np.clip((width - t) / 0.06 + 0.5, 0, 1)
    rim = np.exp(-0.5 * ((t - width + 0.03) / 0.035) ** 2)
    return np.asarray(0.6 * body + 0.5 * rim, np.float32)


def _striped(phase: NDArray[np.floating], width: float, first: float, last: float) -> Field:
    """Look a phase up in the rib profile: one rib per unit of phase, from rib `first` to rib `last`."""
    index = ((phase - np.floor(phase)) * 255).astype(np.intp)
    return np.where((phase > first) & (phase < last), _rib_profile(width)[index], np.float32(0))


def _add_ribs(total: Field, canvas: Canvas, chest: Chest, anatomy: Anatomy) -> None:
    rows = canvas.y[:, 0]
    top = chest.apex - 0.10 + 0.04 * anatomy.rib_phase
    spacing = anatomy.rib_spacing * (chest.base - chest.apex) / 1.18
    faint = np.float32(anatomy.rib_weight) * (1 - 0.45 * ramp(canvas.y - 0.55, 0.3))
    for side in SIDES:
        part = canvas.half(side)
        away = side * part.x
        outer = chest.lateral(rows)[:, None] + np.float32(0.02)
        s = np.clip(away / outer, 0, np.float32(1.2))
        arch = np.float32(0.06 + anatomy.rib_drop) * s * s * s * (1.15 - 0.25 * part.y) - 0.20 * s * (1 - s)
        stretch = (part.y - arch - np.float32(top)) / np.float32(spacing)
        bones = 0.24 * _striped(stretch - 0.012 * stretch * stretch, 0.20, 0, 10) * ramp(away - 0.05, 0.04)
        before = (part.y + 0.34 * s - np.float32(0.44 + top)) / np.float32(spacing * 1.12)
        bones += 0.13 * _striped(before, 0.24, 0, 6) * ramp(s - 0.45, 0.2)
        bones *= ramp(outer - away, 0.02)
        wall = np.exp(-0.5 * ((outer - away - np.float32(0.005)) / np.float32(0.012)) ** 2)
        bones += 0.16 * wall * ramp(part.y - np.float32(chest.apex + 0.1), 0.2)
        total[part.at] += bones * faint


def _add_spine(total: Field, canvas: Canvas, chest: Chest, anatomy: Anatomy) -> None:
    part = canvas.window(-0.16, 0.16)
    x = part.x - np.float32(anatomy.spine_bend) * np.sin(2.2 * part.y)
    beat = (part.y - np.float32(chest.apex)) / np.float32(0.115)
    disc = np.abs(beat - np.floor(beat) - 0.5)
    body = 0.17 + 0.08 * ramp(disc - 0.12, 0.1) + 0.06 * np.exp(-0.5 * ((disc - 0.20) / 0.05) ** 2)
    spines = np.exp(-0.5 * (x / 0.012) ** 2) * ramp(disc - 0.25, 0.2) * 0.14
    total[part.at] += ramp(0.075 - np.abs(x), 0.03) * body + spines


def _add_shoulders(total: Field, canvas: Canvas, chest: Chest, anatomy: Anatomy) -> None:
    for side in SIDES:
        part = canvas.half(side, -1.0, -0.3)
        u = (side * part.x[0] - 0.07) / 0.60
        centre = -0.60 - anatomy.collar_tilt * u - 0.05 * np.sin(2 * np.pi * np.clip(u, 0, 1)) + 0.02 * side
        distance = np.abs(part.y - centre[None, :].astype(np.float32)) / np.float32(0.036)
        bone = 0.6 * ramp(1 - distance, 0.3) + 0.4 * np.exp(-0.5 * ((distance - 0.85) / 0.16) ** 2)
        bone *= (0.34 * ramp(u, 0.06) * ramp(1.08 - u, 0.1))[None, :]
        head = part.radius(side * 0.93, -0.53, 0.10, 0.12, side * 0.4)
        bone += 0.22 * ramp(1 - head, 0.35) + 0.08 * np.exp(-0.5 * ((head - 0.93) / 0.08) ** 2)
        total[part.at] += bone
        part = canvas.half(side, -0.65, 0.2)
        blade = part.radius(side * (0.82 - chest.scapula), -0.22, 0.13, 0.36, side * 0.18)
        total[part.at] += 0.13 * ramp(1 - blade, 0.2) + 0.07 * np.exp(-0.5 * ((blade - 0.96) / 0.05) ** 2)


def _add_abdomen(total: Field, canvas: Canvas, chest: Chest, anatomy: Anatomy) -> None:
    rng = np.random.default_rng((anatomy.seed, 1))
    for side in SIDES:
        part = canvas.half(side, min(chest.dome) - 0.1)
        organs = ramp(part.y - chest.diaphragm(side, part.x[0])[None, :], 0.03)
        organs *= ramp(np.float32(chest.half_width + 0.02) - np.abs(part.x), 0.16)
        total[part.at] += 0.38 * organs
    x, y = rng.uniform(0.26, 0.42), chest.dome[1] + rng.uniform(0.07, 0.11)
    wide, high, gas = rng.uniform(0.08, 0.17), rng.uniform(0.03, 0.06), rng.uniform(0.0, 0.8)
    bubble = canvas.around(x, y, 0.25)
    under = ramp(bubble.y - chest.diaphragm(LEFT, bubble.x[0])[None, :], 0.03)
    total[bubble.at] -= gas * ramp(1 - bubble.radius(x, y, wide, high), 0.35) * under
    for _ in range(rng.integers(0, 5)):
        x, y, r = rng.uniform(-0.1, 0.6), chest.dome[1] + rng.uniform(0.25, 0.5), rng.uniform(0.03, 0.07)
        loop = canvas.around(x, y, 0.15)
        total[loop.at] -= 0.35 * ramp(1 - loop.radius(x, y, r * 1.5, r, rng.uniform(-1, 1)), 0.5)
