"""Stored words -> what a viewer shows, 0..255, bright bone (PS3.3 C.11.1, C.11.2, C.11.6).

The steps are composed into one table over the possible words, and the image is looked up once:

    word -> stored value -> modality LUT or rescale -> VOI LUT or window -> inversion -> 0..255

Where the file has no VOI, values of 8 bits stay as they are, and deeper ones are spread from the smallest to the
largest that occurs. Padding is black and does not count for that. A VOI that does not show the film (exposure.py) is
passed over as if the file had none, and said to have been.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from chest_xray.errors import ImageError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.frame import Frame
from chest_xray.images.dicom.pixels import Words
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, decimal, term, whole
from chest_xray.images.dicom.voi import Floats, Shades, read_table, read_voi
from chest_xray.images.dicom.walk import Elements
from chest_xray.images.exposure import fault_of_window, own_words
from chest_xray.images.film import Doubt

_Level = TypeVar("_Level", np.uint8, np.uint16)
# Rows looked up at a time: the words of a block become indices of 8 bytes each, which would be most of a large image.
_BLOCK: Final = 64
# What may lie outside of a range of the film's own values, as where a marker is a hundred times as bright.
_ODD: Final = (0.005, 0.995)


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a viewer shows of stored words, by word.

    A table has an entry for every word of the stored bits; where words have bits above those, for every word of their
    type. `values` are shown over `low`..`high` from black to white, or from white to black if `inverted`; `padding` is
    black. They are what the words stand for, `step` apart, or if `baked` what a VOI that is not linear makes of that.
    Inversion is exact: the same ties round the same way. `replaced` says why the file's own VOI is not what is shown.
    """

    values: Floats
    padding: NDArray[np.bool_]
    low: float
    high: float
    inverted: bool
    step: float
    baked: bool
    replaced: Doubt | None = None

    def shades(self) -> NDArray[np.uint8]:
        """What is shown for every word, 0..255, bright bone."""
        shown = _levels(self.values, self.low, self.high, inverted=self.inverted)
        shown[self.padding] = 0
        return shown


def look_up(table: NDArray[_Level], words: Words) -> NDArray[_Level]:
    """The entries of a table for an image's words (H, W)."""
    shown = np.empty(words.shape, table.dtype)
    for row in range(0, len(words), _BLOCK):
        np.take(table, words[row : row + _BLOCK], out=shown[row : row + _BLOCK], mode="clip")
    return shown


def presentation(words: Words, elements: Elements, frame: Frame) -> Presentation:
    """How a viewer would first show the stored words (H, W) of a grey frame.

    Raises:
        ImageError: a lookup table, a window or a rescale that the standard does not allow.
    """
    values = elements.values
    stored = _stored_values(words, frame)
    padding = _padding(stored, values, frame)
    modality, step = _modality(stored, elements, frame)
    shades, replaced = read_voi(modality, elements), None
    if shades is None:
        shades = _spread(modality, _occurring(words, modality, padding, frame))
    else:
        shades, why = _judged(shades, words, modality, padding, frame)
        replaced = None if why is None else _replaced(elements, why)
    return Presentation(
        values=shades.values,
        padding=padding,
        low=shades.low,
        high=shades.high,
        inverted=frame.photometric == "MONOCHROME1" or term(values, tags.LUT_SHAPE) == "INVERSE",
        step=1.0 if shades.baked else step,
        baked=shades.baked,
        replaced=replaced,
    )


def _judged(
    voi: Shades, words: Words, modality: Floats, padding: NDArray[np.bool_], frame: Frame
) -> tuple[Shades, str | None]:
    """The file's VOI; or, where it does not show the film and the film's own range does, that range, and why."""
    own = own_words(words, modality, padding)
    why = fault_of_window(_levels_of(own, voi))
    if why is None:
        return voi, None

    for shades in _own_ranges(words, own, modality, padding, frame):
        if fault_of_window(_levels_of(own, shades)) is None:
            return shades, why
    # A film that no range shows is so in itself: it stays as a viewer shows it, and the quality checks see it.
    return voi, None


def _own_ranges(
    words: Words, own: NDArray[np.int64], modality: Floats, padding: NDArray[np.bool_], frame: Frame
) -> Iterator[Shades]:
    """All values that occur, as where a file has no VOI; then without the oddest."""
    yield _spread(modality, _occurring(words, modality, padding, frame))
    low, high = np.quantile(modality[own], _ODD)
    yield Shades(modality, float(low), float(high))


def _replaced(elements: Elements, why: str) -> Doubt:
    kind = "VOI LUT" if tags.VOI_LUT in elements.items else "window"
    return Doubt("window", f"The file's {kind} {why}; the film is shown over its own range of values instead.")


def _levels_of(words: NDArray[np.int64], shades: Shades) -> NDArray[np.uint8]:
    return _levels(shades.values[words], shades.low, shades.high, inverted=False)


def _levels(values: Floats, low: float, high: float, *, inverted: bool) -> NDArray[np.uint8]:
    """Grey levels of values, 0..255; inversion is exact, so that the same ties round the same way."""
    inside = np.clip(values, low, high)
    above = high - inside if inverted else inside - low
    return np.clip(np.rint(above * 255 / ((high - low) or 1)), 0, 255).astype(np.uint8)


def _stored_values(words: Words, frame: Frame) -> NDArray[np.int64]:
    """The stored value of every word; bits above and below the stored ones do not count."""
    narrow = int(words.max()) < 2 ** (frame.high + 1)
    every = np.arange(2 ** (frame.high + 1 if narrow else 8 * words.itemsize), dtype=np.int64)
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


def _modality(stored: NDArray[np.int64], elements: Elements, frame: Frame) -> tuple[Floats, float]:
    """What the stored values stand for, and the step between two neighbours of it."""
    item = elements.items.get(tags.MODALITY_LUT)
    if item:
        return read_table(item, signed=frame.signed).look_up(stored), 1.0
    slope, intercept = decimal(elements.values, tags.SLOPE), decimal(elements.values, tags.INTERCEPT)
    if slope == 0:
        raise ImageError(f"{name(tags.SLOPE)} is 0; any other number is expected.")
    factor = 1.0 if slope is None else slope
    return stored.astype(np.float64) * factor + (intercept or 0.0), abs(factor)


def _spread(modality: Floats, occurring: Floats) -> Shades:
    if not occurring.size:
        return Shades(modality, 0, 0)
    return Shades(modality, float(occurring.min()), float(occurring.max()))


def _occurring(words: Words, modality: Floats, padding: NDArray[np.bool_], frame: Frame) -> Floats:
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
