"""What else lies on a film: things that are no finding but look like one, tubes and wires, and the side marker."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.phantom.anatomy import LEFT, RIGHT, SIDES, Anatomy, Chest
from chest_xray.data.phantom.canvas import Canvas, Field, Stroke, ramp
from chest_xray.data.phantom.cohort import Visit

Points = NDArray[np.float64]

# Strokes of the letters in a box of 1 x 1.
_LETTERS: Final[dict[str, list[list[tuple[float, float]]]]] = {
    "L": [[(0, 0), (0, 1), (0.6, 1)]],
    "R": [[(0, 1), (0, 0), (0.5, 0), (0.6, 0.25), (0.5, 0.5), (0, 0.5)], [(0.3, 0.5), (0.65, 1)]],
}


def lay_distractors(canvas: Canvas, chest: Chest, anatomy: Anatomy, rate: float, rng: np.random.Generator) -> None:
    """Add nipples, calcified granulomas and skin folds, each with a chance that `rate` multiplies."""
    own = np.random.default_rng((anatomy.seed, 2))  # granulomas and nipples stay where they are from film to film
    for side in SIDES:
        if own.random() < 0.30 * rate:
            x, y = side * own.uniform(0.36, 0.50), own.uniform(0.20, 0.36)
            _dot(canvas, (x, y), 0.022, 0.16)
    for _ in range(int(own.poisson(0.5 * rate))):
        x, y = chest.lung_point(RIGHT if own.random() < 0.5 else LEFT, own.uniform(0.1, 0.9), own.uniform(0.1, 0.9))
        _dot(canvas, (x, y), 0.012, 0.55)
    if rng.random() < 0.12 * rate:
        _skin_fold(canvas, rng)


def _dot(canvas: Canvas, centre: tuple[float, float], radius: float, density: float) -> None:
    part = canvas.around(*centre, 2 * radius)
    canvas.dense[part.at] += np.float32(density) * ramp(1 - part.radius(*centre, radius, 0.85 * radius), 0.5)


def _skin_fold(canvas: Canvas, rng: np.random.Generator) -> None:
    """Add a step of density along a long line that, unlike a pleural line, leaves the lung."""
    side = RIGHT if rng.random() < 0.5 else LEFT
    lean = side * rng.uniform(-0.1, 0.35)
    offset = side * (canvas.x - np.float32(lean) * canvas.y) - np.float32(rng.uniform(0.35, 0.58))
    along = np.exp(-0.5 * ((canvas.y - np.float32(rng.uniform(-0.2, 0.3))) / np.float32(0.28)) ** 2)
    canvas.dense += 0.20 * along * ramp(-offset, 0.012) * np.exp(np.clip(offset, -1, 0) / np.float32(0.07))


def lay_devices(canvas: Canvas, chest: Chest, visit: Visit, rng: np.random.Generator) -> Field:
    """Tubes, lines and leads as attenuation (n, n): common in AP films; a chest drain mostly goes with air or fluid."""
    portable = visit.view == "AP"
    found = {sign.finding for sign in visit.signs}
    drain = 0.25 if found & {"Pneumothorax", "Effusion"} and portable else 0.02
    chances: tuple[tuple[float, Callable[[Chest, np.random.Generator], list[Stroke]]], ...] = (
        (0.22 if portable else 0.0, _airway_tube),
        (0.16 if portable else 0.0, _feeding_tube),
        (0.30 if portable else 0.03, _venous_line),
        (0.35 if portable else 0.02, _electrodes),
        (0.04, _pacemaker),
        (drain, _chest_drain),
    )
    strokes: list[Stroke] = []
    for chance, draw in chances:
        if rng.random() < chance:
            strokes += draw(chest, rng)
    return np.float32(0.75) * canvas.strokes(strokes) if strokes else canvas.blank()


def _path(*points: tuple[float, float]) -> Points:
    """Bend a smooth line through a few points."""
    knots = np.array(points)
    t = np.linspace(0, len(points) - 1, 24)
    rough = np.stack([np.interp(t, np.arange(len(points)), knots[:, k]) for k in (0, 1)], axis=1)
    for _ in range(6):
        rough[1:-1] = (rough[:-2] + 2 * rough[1:-1] + rough[2:]) / 4
    return rough


def _airway_tube(chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    x = 0.012 + chest.shift
    return [(_path((x + rng.normal(0, 0.04), -1.1), (x, -0.7), (x, rng.uniform(-0.5, -0.36))), 0.018, 0.6)]


def _feeding_tube(chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    tip = (rng.uniform(0.15, 0.4), chest.base + rng.uniform(0.2, 0.35))
    return [(_path((0.03, -1.1), (0.0, -0.4), (0.03, 0.2), (0.06, chest.base + 0.05), tip), 0.016, 0.6)]


def _venous_line(chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    start = (-0.75, -0.72) if rng.random() < 0.5 else (-0.20, -1.1)
    tip = (-0.10 + chest.shift, rng.uniform(-0.30, 0.0))
    return [(_path(start, (-0.30, -0.66), (-0.11, -0.5), tip), 0.011, 0.8)]


def _electrodes(_chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    strokes: list[Stroke] = []
    for x, y in ((-0.5, -0.55), (0.5, -0.55), (-0.6, 0.45), (0.6, 0.4)):
        if rng.random() < 0.75:
            spot = (x + rng.normal(0, 0.08), y + rng.normal(0, 0.08))
            end = (rng.uniform(-0.6, 0.9), 1.1)
            strokes.append((_path(spot, ((spot[0] + end[0]) / 2 + rng.normal(0, 0.15), 0.5), end), 0.009, 0.7))
            strokes.append((np.array([(spot[0] - 0.016, spot[1]), (spot[0] + 0.016, spot[1])]), 0.032, 0.9))
    return strokes


def _pacemaker(chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    x, y = rng.uniform(0.46, 0.58), rng.uniform(-0.52, -0.42)
    lead = _path((x, y - 0.04), (0.25, -0.66), (-0.10, -0.45), (-0.13, 0.1), (0.15, chest.base - 0.08))
    return [(lead, 0.012, 0.9), (np.array([(x - 0.06, y), (x + 0.06, y + 0.01)]), 0.12, 1.0)]


def _chest_drain(chest: Chest, rng: np.random.Generator) -> list[Stroke]:
    side = RIGHT if rng.random() < 0.5 else LEFT
    wall = side * (chest.half_width + 0.25)
    tip = (side * rng.uniform(0.25, 0.4), rng.uniform(-0.5, -0.1))
    return [(_path((wall, rng.uniform(0.3, 0.5)), (side * chest.half_width * 0.9, 0.22), tip), 0.024, 0.7)]


def side_marker(canvas: Canvas, rng: np.random.Generator) -> Field:
    """A lead letter near an upper corner, in the film's own frame, 0..1; one film in eight has none."""
    if rng.random() < 0.12:
        return canvas.blank()
    left = rng.random() < 0.7
    x, y = (rng.uniform(0.70, 0.90), rng.uniform(-0.92, -0.72)) if left else (rng.uniform(-0.9, -0.75), -0.85)
    size, turn = rng.uniform(0.05, 0.09), rng.normal(0, 0.25)
    spin = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    letter = [np.array(line) @ spin.T * size + (x, y) for line in _LETTERS["L" if left else "R"]]
    return canvas.strokes([(line, 0.018, 1.0) for line in letter])
