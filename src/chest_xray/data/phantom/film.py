"""One film: anatomy, findings, positioning, exposure and noise, with the true box of every local finding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.data.phantom import body, chronic, opacities, overlay, pleura
from chest_xray.data.phantom.anatomy import grow, pose
from chest_xray.data.phantom.canvas import REACH, Canvas, Field
from chest_xray.data.phantom.cohort import Patient, Sign, Visit
from chest_xray.data.phantom.difficulty import DIFFICULTY, Difficulty
from chest_xray.data.phantom.opacities import Brush
from chest_xray.findings import FINDINGS

_DRAW: Final[dict[str, Callable[[Brush], list[Field]]]] = {
    "Atelectasis": opacities.draw_atelectasis,
    "Cardiomegaly": chronic.draw_cardiomegaly,
    "Effusion": pleura.draw_effusion,
    "Infiltration": opacities.draw_infiltration,
    "Mass": opacities.draw_mass,
    "Nodule": opacities.draw_nodule,
    "Pneumonia": opacities.draw_pneumonia,
    "Pneumothorax": pleura.draw_pneumothorax,
    "Consolidation": opacities.draw_consolidation,
    "Edema": chronic.draw_edema,
    "Emphysema": chronic.draw_emphysema,
    "Fibrosis": chronic.draw_fibrosis,
    "Pleural_Thickening": pleura.draw_pleural_thickening,
    "Hernia": chronic.draw_hernia,
}
# Purposes of a film's random streams: none of them moves when another is drawn from more often.
_POSE, _EXPOSURE, _OVERLAY, _ANATOMY, _FINDING = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Box:
    """Where a finding lies: left, top, width and height in pixels of the film."""

    finding: str
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Film:
    """A film as written: (size, size) uint8 and the boxes of its local findings."""

    pixels: NDArray[np.uint8]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class _Placing:
    """Affine map from canvas units to film units: turn, stretch, move."""

    matrix: NDArray[np.float64]  # (2, 2)
    offset: NDArray[np.float64]  # (2,)

    @classmethod
    def draw(cls, rng: np.random.Generator, view: str, difficulty: Difficulty) -> "_Placing":
        clumsy = 1.4 if view == "AP" else 1.0
        turn = np.radians(rng.normal(0, difficulty.rotation * clumsy))
        zoom = np.exp(rng.normal(0, difficulty.zoom) + rng.normal(0, 0.4 * difficulty.zoom, 2))
        spin = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
        return cls(spin * zoom[:, None], rng.normal(0, difficulty.shift * clumsy, 2))

    def warp(self, canvas: Canvas, values: Field) -> Field:
        """Resample a canvas (n, n) to the film (size, size); outside the canvas there is nothing, attenuation 0."""
        inverse = np.linalg.inv(self.matrix)
        scale = canvas.n / canvas.size / REACH  # canvas pixels per film pixel, about 1
        move = (-inverse @ self.offset - inverse @ np.ones(2) + REACH) * canvas.n / (2 * REACH)
        a = inverse * scale
        data = (a[0, 0], a[0, 1], move[0], a[1, 0], a[1, 1], move[1])
        image = Image.fromarray(values).transform(
            (canvas.size, canvas.size), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
        )
        return np.asarray(image, np.float32)

    def box(self, canvas: Canvas, finding: str, cover: Field) -> Box | None:
        """Bounding box on the film of where `cover` exceeds a fifth of its maximum; None when the film misses it."""
        rows, columns = np.nonzero(cover > 0.2 * max(float(cover.max()), 0.05))
        if not len(rows):
            return None
        points = np.stack([canvas.x[0, columns], canvas.y[rows, 0]]).astype(np.float64)
        x, y = ((self.matrix @ points + self.offset[:, None]) + 1) * (canvas.size / 2)
        left, right = (float(np.clip(v, 0, canvas.size)) for v in (x.min() - 0.5, x.max() + 0.5))
        top, bottom = (float(np.clip(v, 0, canvas.size)) for v in (y.min() - 0.5, y.max() + 0.5))
        if right - left < 1 or bottom - top < 1:
            return None
        return Box(finding, left, top, right - left, bottom - top)


def draw_film(patient: Patient, visit: Visit, size: int, seed: int, difficulty: Difficulty = DIFFICULTY) -> Film:
    """Draw one visit of one patient. The same arguments give the same bytes, in any order and any process."""
    anatomy = grow(_stream(seed, patient.number, _ANATOMY), patient.sex)
    pose_rng = _stream(seed, patient.number, _POSE, visit.number)
    overlay_rng = _stream(seed, patient.number, _OVERLAY, visit.number)
    chest = pose(anatomy, visit.view, visit.age, pose_rng)
    for sign in visit.signs:
        side = opacities.pick_side(_finding_stream(seed, patient, sign))
        chest = chronic.reshape(chest, sign.finding, sign.severity, side)
    placing = _Placing.draw(pose_rng, visit.view, difficulty)
    canvas = Canvas(size)
    body.lay_lungs(canvas, chest)
    body.lay_vessels(canvas, chest, anatomy)
    overlay.lay_distractors(canvas, chest, anatomy, difficulty.distractors, overlay_rng)
    boxes = []
    for sign in visit.signs:
        brush = Brush(canvas, chest, sign.severity, difficulty.contrast, _finding_stream(seed, patient, sign))
        covers = _DRAW[sign.finding](brush)
        boxes += [placing.box(canvas, sign.finding, cover) for cover in covers]
    through = body.attenuation(canvas, chest, body.tissue(canvas, chest, anatomy))
    through += overlay.lay_devices(canvas, chest, visit, overlay_rng)
    film = placing.warp(canvas, through)
    marker = overlay.side_marker(canvas, overlay_rng)
    edge = (canvas.n - size) // 2
    film = film + 3 * marker[edge : edge + size, edge : edge + size]
    pixels = develop(film, visit.view, _stream(seed, patient.number, _EXPOSURE, visit.number), difficulty)
    return Film(pixels, tuple(box for box in boxes if box is not None))


def develop(through: Field, view: str, rng: np.random.Generator, difficulty: Difficulty) -> NDArray[np.uint8]:
    """Expose a film (size, size): scatter, the film's curve, quantum noise. Air is black, bone is white."""
    size = len(through)
    scatter = rng.uniform(0.15, 0.30) if view == "AP" else rng.uniform(0.04, 0.14)
    small = Image.fromarray(through).resize((16, 16), Image.Resampling.BOX)
    veil = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), np.float32)
    through = np.clip((1 - scatter) * through + scatter * veil, 0, 8)
    speed = 1.80 * np.exp(rng.normal(0, difficulty.exposure_spread))
    steepness = 1.45 * np.exp(rng.normal(0, difficulty.latitude_spread))
    darkest, brightest = rng.uniform(0, 22), rng.uniform(222, 255)
    grey = 1 - np.exp(-((through / np.float32(speed)) ** np.float32(steepness)))
    grain = rng.standard_normal((size, size), dtype=np.float32) * np.float32(difficulty.noise * (size / 256) ** 0.5)
    grain *= np.float32(rng.uniform(0.6, 1.5)) * (0.5 + 0.35 * np.minimum(through, 3))
    film = np.float32(darkest) + np.float32(brightest - darkest) * grey + grain
    return np.asarray(np.clip(np.rint(film), 0, 255), np.uint8)


def draw_golden_film(size: int) -> NDArray[np.uint8]:
    """A fixed film with a mass and an effusion, (size, size) uint8, to hold two programs to each other."""
    signs = (Sign("Effusion", 0.6, 1), Sign("Mass", 0.8, 1))
    visit = Visit(0, 61, "PA", signs)
    return draw_film(Patient(1, "F", False, (visit,)), visit, size, 0).pixels


def _stream(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _finding_stream(seed: int, patient: Patient, sign: Sign) -> np.random.Generator:
    """Where and how a finding lies: the same on every film of one episode."""
    return _stream(seed, patient.number, _FINDING, FINDINGS.index(sign.finding), sign.episode)
