"""Grey array -> network input: one function for training data and requests, whatever file they came from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def preprocess(grey: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Resize grey values (H, W), uint8 or uint16, to (size, size) uint8 in 0..255.

    The whole image is squashed to a square, not letterboxed: NIH's own 1024x1024 files were made so from
    films that are not square. 16-bit values are scaled by the bit depth in use (the fewest bits, 8 or more,
    that hold the largest value).

    Pillow's antialiased bilinear filter, in one pass. For a 1024x1024 NIH film and size 256 it takes 1.7 ms
    beside 9.7 ms of PNG decoding and stays within one grey level of the same filter in floating point. Its
    shortcut `reducing_gap=2` takes 1.0 ms but is off by up to 14 levels, Lanczos takes 4.6 ms, and JPEG's
    draft mode would make the result depend on the file format.
    """
    if grey.ndim != 2 or grey.size == 0:
        raise ValueError(f"A grey image has the shape (H, W); found {grey.shape}.")
    if grey.dtype == np.uint16:
        grey = _to_8_bits(grey)
    elif grey.dtype != np.uint8:
        raise ValueError(f"A grey image is uint8 or uint16; found {grey.dtype}.")
    if grey.shape == (size, size):
        return np.array(grey)
    return np.array(Image.fromarray(grey).resize((size, size), Image.Resampling.BILINEAR))


def full_level(grey: NDArray[np.uint16]) -> int:
    """The white of the bit depth in use: the largest value of the fewest bits, 8 or more, that hold every pixel."""
    return int(2 ** max(8, int(grey.max()).bit_length()) - 1)


def _to_8_bits(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    full = full_level(grey)
    table = (np.arange(full + 1, dtype=np.uint32) * 255 + full // 2) // full
    scaled: NDArray[np.uint8] = table.astype(np.uint8)[grey]
    return scaled
