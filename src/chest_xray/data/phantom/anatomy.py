"""A patient's chest, and how it lies on one film.

`Anatomy` is what a patient keeps from film to film; `Chest` is the geometry of one film (view, breath, age), which
findings that change the shape of the chest (a large heart, a raised diaphragm) replace before anything is drawn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.data.phantom.canvas import curve

RIGHT: Final = -1  # the patient's right, on the left of the image
LEFT: Final = 1
SIDES: Final = (RIGHT, LEFT)
APEX_X: Final = 0.27  # of the lung's dome

_HEART_TOP: Final = -0.16
_LEFT_HEART: Final = np.array(
    [(-0.4, 0), (0, 0.015), (0.2, 0.09), (0.45, 0.21), (0.7, 0.285), (0.9, 0.30), (1.1, 0.28), (1.5, 0.2)]
)
_RIGHT_HEART: Final = np.array(
    [(-0.4, 0), (0.2, 0.01), (0.4, 0.06), (0.65, 0.105), (0.85, 0.105), (1.05, 0.07), (1.5, 0.05)]
)
_UPPER_RIGHT: Final = np.array([(-1.1, 0.12), (-0.75, 0.12), (-0.5, 0.13), (-0.2, 0.125), (0.1, 0.085), (1.1, 0.09)])
_UPPER_LEFT: Final = np.array([(-1.1, 0.12), (-0.75, 0.115), (-0.5, 0.11), (-0.2, 0.10), (0.1, 0.085), (1.1, 0.09)])


@dataclass(frozen=True)
class Anatomy:
    """What a patient's films have in common. Lengths in film units."""

    sex: str
    half_width: float
    apex: float
    dome: float
    dome_step: float  # how much lower the left dome lies
    heart: float  # 1 is a cardiothoracic ratio of about 0.44
    fat: float  # 0 lean, 1 obese
    breast: float  # 0 for men
    rib_spacing: float
    rib_drop: float
    rib_phase: float
    rib_weight: float
    collar_tilt: float
    spine_bend: float
    seed: int  # of the vascular tree and the small things


@dataclass(frozen=True)
class Chest:
    """The geometry of one film. Pairs are (right, left)."""

    half_width: float
    apex: float
    base: float  # where the cage ends and the heart rests: the right dome before a finding moves it
    dome: tuple[float, float]
    sag: tuple[float, float]  # how far the diaphragm falls to the side: 0.2 is a full dome, 0.05 flat
    heart: float
    knob: float  # radius of the aortic knob
    scapula: float  # how far the shoulder blades lie over the lungs
    shift: float = 0.0  # of the mediastinum
    inflation: float = 1.0  # attenuation that lung air takes away
    markings: float = 1.0  # strength of the vascular markings
    cephalised: float = 0.0  # 1: upper vessels as wide as lower ones

    def lateral(self, y: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distance of the lung's outer edge from the midline at heights y."""
        t = np.clip((y - self.apex) / (self.base + 0.27 - self.apex), 0, 1)
        wall = self.half_width * (1 - 0.10 * (1 - t) ** 2 - 0.02 * t)
        return np.asarray(APEX_X + (wall - APEX_X) * np.sqrt(1 - (1 - t) ** 3.2), np.float32)

    def mediastinum(self, side: int, y: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distance of the mediastinum's edge from the midline at heights y, the heart left out."""
        dome = np.clip((self.apex + 0.20 - y) / 0.20, 0, 1)  # the apex is round on this side too
        away = (APEX_X - 0.13) * (1 - np.sqrt(1 - dome**2))
        if side == RIGHT:
            return np.asarray(curve(_UPPER_RIGHT, y) + away - self.shift, np.float32)
        knob = 0.9 * self.knob * np.exp(-0.5 * ((y + 0.36) / 0.065) ** 2)
        trunk = 0.05 * np.exp(-0.5 * ((y + 0.15) / 0.07) ** 2)
        return np.asarray(curve(_UPPER_LEFT, y) + knob + trunk + away + self.shift, np.float32)

    def heart_edge(self, side: int, y: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distance of the heart's edge from the midline at heights y."""
        v = (y - _HEART_TOP) / (self.base + 0.04 - _HEART_TOP)
        bump = curve(_LEFT_HEART if side == LEFT else _RIGHT_HEART, v)
        return np.asarray(0.085 + bump * np.float32(self.heart) + np.float32(self.shift * side), np.float32)

    def diaphragm(self, side: int, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Height of the diaphragm at x, on the side given; it falls towards the costophrenic angle."""
        u = (side * x - 0.30) / (self.half_width - 0.30)
        fall = np.where(u > 0, np.abs(u) ** 2.3, 0.35 * np.abs(u) ** 2)
        return np.asarray(self.dome[side > 0] + self.sag[side > 0] * fall, np.float32)

    def lung_point(self, side: int, down: float, across: float) -> tuple[float, float]:
        """The point of a lung at fraction `down` from apex to dome and `across` from the mediastinum to the wall."""
        y = self.apex + down * (self.dome[side > 0] - self.apex)
        at = np.array([y])
        inner = max(float(self.mediastinum(side, at)[0]), float(self.heart_edge(side, at)[0]))
        return side * (inner + across * (float(self.lateral(at)[0]) - inner)), y

    def cardiothoracic_ratio(self) -> float:
        """Widest heart over widest thorax, as measured on a film with a ruler."""
        y = np.linspace(_HEART_TOP, self.base, 200)
        heart = float(self.heart_edge(RIGHT, y).max() + self.heart_edge(LEFT, y).max())
        return heart / float(2 * self.lateral(y).max())


def grow(rng: np.random.Generator, sex: str) -> Anatomy:
    """Draw one patient's anatomy."""
    fat = float(np.clip(rng.beta(2, 2.5), 0, 1))
    return Anatomy(
        sex=sex,
        half_width=float(np.clip(rng.normal(0.70 if sex == "M" else 0.67, 0.03), 0.60, 0.78)),
        apex=float(rng.normal(-0.76, 0.03)),
        dome=float(rng.normal(0.43, 0.05)),
        dome_step=float(np.clip(rng.normal(0.045, 0.02), 0.0, 0.1)),
        heart=float(np.clip(rng.normal(0.97, 0.08), 0.8, 1.14)),
        fat=fat,
        breast=float(np.clip(rng.normal(0.5 + 0.4 * (fat - 0.45), 0.22), 0.05, 1)) if sex == "F" else 0.0,
        rib_spacing=float(rng.normal(0.128, 0.006)),
        rib_drop=float(rng.normal(0.14, 0.04)),
        rib_phase=float(rng.uniform(0, 1)),
        rib_weight=float(rng.normal(1.0, 0.15)),
        collar_tilt=float(rng.normal(0.10, 0.05)),
        spine_bend=float(rng.normal(0, 0.012)),
        seed=int(rng.integers(2**63)),
    )


def pose(anatomy: Anatomy, view: str, age: int, rng: np.random.Generator) -> Chest:
    """Lay the chest on a film: AP magnifies the heart and is taken at a shallower breath; age unfolds the aorta."""
    portable = view == "AP"
    breath = float(rng.normal(0.05 if portable else 0.0, 0.045))
    right = anatomy.dome - breath
    heart = anatomy.heart * (1.09 if portable else 1.0) * (1 + 0.0015 * (age - 45)) * (1 + 0.5 * breath)
    sag = float(np.clip(rng.normal(0.23, 0.025), 0.17, 0.28))
    return Chest(
        half_width=anatomy.half_width * (1 - 0.2 * breath),
        apex=anatomy.apex,
        base=right,
        dome=(right, right + anatomy.dome_step),
        sag=(sag, sag * 0.95),
        heart=heart,
        knob=0.055 + 0.0009 * (age - 20),
        scapula=float(rng.normal(0.13, 0.05) if portable else np.clip(rng.normal(0.0, 0.04), -0.08, 0.08)),
        shift=float(rng.normal(0, 0.008)),
        inflation=float(rng.normal(1.0, 0.06)),
        markings=float(np.clip(rng.normal(1.0, 0.18), 0.6, 1.45)),
    )
