"""Stored words -> what a viewer shows, 0..255, bright bone (PS3.3 C.11.1, C.11.2, C.11.6).

The steps are composed into one table over every possible word, and the image is looked up once:

    word -> stored value -> modality LUT or rescale -> VOI LUT or window -> inversion -> 0..255

Where the file has no VOI, values of 8 bits stay as they are, and deeper ones are spread from the smallest to the
largest that occurs. Padding is black and does not count for that.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from chest_xray.errors import ImageError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.frame import Frame
from chest_xray.images.dicom.pixels import Words
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, decimal, descriptor, term, whole
from chest_xray.images.dicom.walk import Elements

_Floats = NDArray[np.float64]
_Level = TypeVar("_Level", np.uint8, np.uint16)
# Rows looked up at a time: the words of a block become indices of 8 bytes each, which would be most of a large image.
_BLOCK: Final = 64
_LINEAR, _EXACT, _SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a viewer shows of stored words, by word: a table has an entry for every word that their type holds.

    `values` are shown over `low`..`high` from black to white, or from white to black if `inverted`; `padding` is black.
    They are what the words stand for, `step` apart, or if `baked` what a VOI that is not linear makes of that.
    Inversion is exact: the same ties round the same way.
    """

    values: _Floats
    padding: NDArray[np.bool_]
    low: float
    high: float
    inverted: bool
    step: float
    baked: bool

    def shades(self) -> NDArray[np.uint8]:
        """What is shown for every word, 0..255, bright bone."""
        inside = np.clip(self.values, self.low, self.high)
        above = self.high - inside if self.inverted else inside - self.low
        shown = np.rint(above * 255 / ((self.high - self.low) or 1))
        shown[self.padding] = 0
        return np.clip(shown, 0, 255).astype(np.uint8)


def present(words: Words, elements: Elements, frame: Frame) -> NDArray[np.uint8]:
    """The image (H, W) that a viewer would show first, of the stored words (H, W) of a grey frame.

    Raises:
        ImageError: a lookup table, a window or a rescale that the standard does not allow.
    """
    return look_up(presentation(words, elements, frame).shades(), words)


def look_up(table: NDArray[_Level], words: Words) -> NDArray[_Level]:
    """The entries of a table for an image's words (H, W)."""
    shown = np.empty(words.shape, table.dtype)
    for row in range(0, len(words), _BLOCK):
        np.take(table, words[row : row + _BLOCK], out=shown[row : row + _BLOCK], mode="clip")
    return shown


def presentation(words: Words, elements: Elements, frame: Frame) -> Presentation:
    """How the type of `words` is shown; they themselves are looked at only where the file has no VOI."""
    values = elements.values
    stored = _stored_values(words, frame)
    padding = _padding(stored, values, frame)
    modality, step = _modality(stored, elements, frame)
    shades = _voi(modality, elements)
    if shades is None:
        shades = _spread(modality, _occurring(words, modality, padding, frame))
    return Presentation(
        values=shades.values,
        padding=padding,
        low=shades.low,
        high=shades.high,
        inverted=frame.photometric == "MONOCHROME1" or term(values, tags.LUT_SHAPE) == "INVERSE",
        step=1.0 if shades.baked else step,
        baked=shades.baked,
    )


@dataclass(frozen=True, slots=True)
class _Shades:
    """Values and the range that they are shown over; `baked` if a VOI made them that is not linear."""

    values: _Floats
    low: float
    high: float
    baked: bool = False


def _stored_values(words: Words, frame: Frame) -> NDArray[np.int64]:
    """The stored value of every word; bits above and below the stored ones do not count."""
    every = np.arange(2 ** (8 * words.itemsize), dtype=np.int64)
    shift = frame.high + 1 - frame.stored
    stored = (every >> shift) & (2**frame.stored - 1)
    sign = 2 ** (frame.stored - 1)
    return np.asarray((stored ^ sign) - sign if frame.signed else stored, np.int64)


def _padding(stored: NDArray[np.int64], values: Values, frame: Frame) -> NDArray[np.bool_]:
    if tags.PADDING not in values:
        return np.zeros(stored.shape, bool)
    first = whole(values, tags.PADDING)
    ends = [first, whole(values, tags.PADDING_LIMIT, first)]
    if frame.signed:
        ends = [(end ^ 0x8000) - 0x8000 for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _modality(stored: NDArray[np.int64], elements: Elements, frame: Frame) -> tuple[_Floats, float]:
    """What the stored values stand for, and the step between two neighbours of it."""
    table = elements.items.get(tags.MODALITY_LUT)
    if table:
        entries, first, _bits = _lut(table, signed=frame.signed)
        return entries[np.clip(stored - first, 0, len(entries) - 1)], 1.0
    slope, intercept = decimal(elements.values, tags.SLOPE), decimal(elements.values, tags.INTERCEPT)
    if slope == 0:
        raise ImageError(f"{name(tags.SLOPE)} is 0; any other number is expected.")
    factor = 1.0 if slope is None else slope
    return stored.astype(np.float64) * factor + (intercept or 0.0), abs(factor)


def _lut(item: Values, *, signed: bool) -> tuple[_Floats, int, int]:
    """A table's entries, the first value that it maps, and the bits of an entry."""
    count, first, bits = descriptor(item, tags.LUT_DESCRIPTOR, signed=signed)
    data = item.get(tags.LUT_DATA, b"")
    if not 8 <= bits <= 16:
        raise ImageError(f"{name(tags.LUT_DESCRIPTOR)} says {bits} bits an entry; 8 to 16 are expected.")
    if len(data) == 2 * count:
        entries = np.frombuffer(data, "<u2")
    elif bits == 8 and len(data) == count + count % 2:
        entries = np.frombuffer(data, np.uint8, count).astype(np.uint16)
    else:
        raise ImageError(f"{name(tags.LUT_DATA)} has {len(data):,} bytes for {count:,} entries; two each are expected.")
    return np.minimum(entries, 2**bits - 1).astype(np.float64), first, bits


def _voi(modality: _Floats, elements: Elements) -> _Shades | None:
    table = elements.items.get(tags.VOI_LUT)
    if table:
        entries, first, bits = _lut(table, signed=bool(modality.min() < 0))
        index = np.clip(np.rint(modality).astype(np.int64) - first, 0, len(entries) - 1)
        return _Shades(entries[index], 0, 2**bits - 1, baked=True)
    center, width = decimal(elements.values, tags.WINDOW_CENTER), decimal(elements.values, tags.WINDOW_WIDTH)
    if center is None or width is None:
        return None
    return _window(modality, center, width, term(elements.values, tags.VOI_FUNCTION) or _LINEAR)


def _window(x: _Floats, center: float, width: float, function: str) -> _Shades:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function not in (_LINEAR, _EXACT, _SIGMOID):
        raise ImageError(f"{name(tags.VOI_FUNCTION)} is not read; LINEAR, LINEAR_EXACT or SIGMOID is expected.")
    if width <= 0 or (function == _LINEAR and width < 1):
        raise ImageError(f"{name(tags.WINDOW_WIDTH)} is too small; at least 1 is expected, more than 0 for the others.")
    if function == _SIGMOID:
        full = 2**16 - 1
        return _Shades(full / (1 + np.exp(-np.clip(4 * (x - center) / width, -60, 60))), 0, full, baked=True)
    if function == _LINEAR:
        center, width = center - 0.5, width - 1
    if width == 0:
        below, above = x[x <= center], x[x > center]
        return _Shades(x, float(below.max(initial=x.min() - 1)), float(above.min(initial=x.max() + 1)))
    return _Shades(x, center - width / 2, center + width / 2)


def _spread(modality: _Floats, occurring: _Floats) -> _Shades:
    if not occurring.size:
        return _Shades(modality, 0, 0)
    return _Shades(modality, float(occurring.min()), float(occurring.max()))


def _occurring(words: Words, modality: _Floats, padding: NDArray[np.bool_], frame: Frame) -> _Floats:
    """The values that a film without a VOI is spread over: all that 8 bits can hold, or those that occur."""
    if frame.stored == 8:
        return modality
    between = modality[int(words.min()) : int(words.max()) + 1]
    steps = np.diff(between)
    if not padding.any() and ((steps >= 0).all() or (steps <= 0).all()):
        return between[[0, -1]]
    seen = np.zeros(len(modality), bool)
    for row in range(0, len(words), _BLOCK):
        seen[words[row : row + _BLOCK]] = True
    return modality[seen & ~padding]
