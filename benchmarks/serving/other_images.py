"""Images that are no chest radiographs of a patient: photographs, noise, phantoms."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# What scikit-image installs with itself; no name here is downloaded.
PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "cat", "cell", "checkerboard", "clock", "coffee", "coins", "colorwheel", "grass",
    "gravel", "horse", "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina",
    "rocket", "shepp_logan_phantom", "stereo_motorcycle", "text",
)  # fmt: skip
CROPS = (1.0, 0.75, 0.75, 0.5, 0.5, 0.3, 0.3)


def png(pixels: NDArray[Any]) -> bytes:
    """The PNG file of grey or colour pixels."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def photographs(seed: int = 0) -> Iterator[Pixels]:
    """26 pictures of scikit-image and scikit-learn, each whole and as six crops of three scales."""
    rng = np.random.default_rng(seed)
    for picture in _pictures():
        height, width = picture.shape[:2]
        for part in CROPS:
            h, w = int(part * height), int(part * width)
            top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
            yield picture[top : top + h, left : left + w]


def _pictures() -> Iterator[Pixels]:
    import skimage.data
    from sklearn.datasets import load_sample_images

    for name in PHOTOGRAPHS:
        found = getattr(skimage.data, name)()
        # The motorcycle comes as left view, right view and disparity.
        yield _eight_bits(found[0] if isinstance(found, tuple) else found)
    yield from load_sample_images().images


def _eight_bits(picture: NDArray[Any]) -> Pixels:
    if picture.dtype == np.uint8:
        return picture
    return np.asarray(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)


def noise(seeds: int = 2) -> Iterator[Pixels]:
    """White, smoothed, and salt and pepper, at several levels and two sizes."""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        for side in (256, 1024):
            yield from (rng.integers(128 - half, 128 + half, (side, side), np.uint8) for half in (16, 64, 128))
            yield from (_grey(128 + sd * rng.standard_normal((side, side))) for sd in (10, 40))
            yield from (_smooth(rng, side, sigma * side / 256) for sigma in (1, 2, 4, 8, 16, 32))
            yield from (_salt_and_pepper(rng, side, part) for part in (0.01, 0.05, 0.2, 0.5))


def _grey(values: NDArray[np.float64]) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def _smooth(rng: np.random.Generator, side: int, sigma: float) -> Pixels:
    """White noise under a Gaussian of `sigma` pixels, stretched to 0..255."""
    frequency = np.fft.fftfreq(side)
    gain = np.exp(-2 * (np.pi * sigma) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * gain).real
    return _grey(255 * (field - field.min()) / np.ptp(field))


def _salt_and_pepper(rng: np.random.Generator, side: int, part: float) -> Pixels:
    lot = rng.random((side, side))
    return np.where(lot < part / 2, 0, np.where(lot > 1 - part / 2, 255, 128)).astype(np.uint8)


def phantoms(count: int, seed: int = 5) -> Iterator[Pixels]:
    """Films of `chest_xray.data.phantom`, of 256 pixels."""
    from chest_xray.data.phantom import DIFFICULTY
    from chest_xray.data.phantom.cohort import sample_cohort
    from chest_xray.data.phantom.film import draw_film

    for patient in sample_cohort(count, seed, DIFFICULTY):
        for visit in patient.visits:
            yield draw_film(patient, visit, 256, seed).pixels
