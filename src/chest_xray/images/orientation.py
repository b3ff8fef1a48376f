"""EXIF orientation: which way up a viewer would show the stored pixels.

Scanners and NIH's files carry none. A photograph of a film does, every viewer honours it, and a heat map
drawn over the image in a browser only lies on the right place when the network saw the same side up. So it
is applied, and a block that cannot be read counts as upright. Only this one tag is parsed; the rest of EXIF
is never looked at.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_TAG = 0x0112
_SHORT = 3


def read_orientation(tiff: bytes) -> int:
    """The orientation, 1..8, in a TIFF block as EXIF embeds it; 1 when it is absent or cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    magic, start = struct.unpack_from(order + "HI", tiff, 2)
    if magic != 42 or start + 2 > len(tiff):
        return UPRIGHT
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for position in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, _count, value = struct.unpack_from(order + "HHIH", tiff, position)
        if tag == _TAG and kind == _SHORT and 1 <= value <= 8:
            return int(value)
    return UPRIGHT


def apply_orientation(grey: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels (H, W) the way up that `orientation` (1..8) says; 5..8 swap the sides."""
    if orientation in (5, 6, 7, 8):
        grey = grey.T
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return np.ascontiguousarray(grey)
