"""DICOM (CR, DX, Secondary Capture) -> one film: walked, judged by its tags, decoded, and shown as a viewer would.

bytes -> read_elements -> check_suitable -> read_frame -> read_pixels -> upright -> presentation -> Film
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from chest_xray.images.dicom.doubts import cut_off_bits, raw_values
from chest_xray.images.dicom.frame import Frame, read_frame
from chest_xray.images.dicom.patient_orientation import orientation
from chest_xray.images.dicom.pixels import Words, read_pixels
from chest_xray.images.dicom.presentation import Presentation, look_up, presentation
from chest_xray.images.dicom.suitability import age, check_suitable, sex, view
from chest_xray.images.dicom.walk import Elements, read_elements
from chest_xray.images.film import Doubt, Film, FullFilm, GreyImage
from chest_xray.images.limits import Limits
from chest_xray.images.orientation import UPRIGHT, apply_orientation

_MOST: Final = 2**16 - 1


@dataclass(frozen=True, slots=True)
class _Read:
    """A file's stored words (H, W), upright, and what it says of them."""

    words: Words
    elements: Elements
    frame: Frame
    doubts: tuple[Doubt, ...]

    @classmethod
    def of(cls, data: bytes, limits: Limits) -> Self:
        elements = read_elements(data, limits)
        check_suitable(elements)
        frame = read_frame(elements.values, limits)
        words = read_pixels(elements, frame, limits)
        turn, turned = orientation(elements.values)
        doubts = (raw_values(elements), None if frame.colour else cut_off_bits(words, frame), turned)
        upright = words if turn == UPRIGHT else apply_orientation(words, turn)
        return cls(upright, elements, frame, tuple(doubt for doubt in doubts if doubt is not None))

    def film(self, grey: GreyImage, *more: Doubt | None) -> Film:
        values = self.elements.values
        doubts = (*(doubt for doubt in more if doubt is not None), *self.doubts)
        return Film(grey, "application/dicom", view(self.elements), age(values), sex(values), doubts)


def open_dicom(data: bytes, limits: Limits) -> Film:
    """Decode a DICOM file to what a viewer would show first; colours become luma.

    Raises:
        ImageError: truncated, damaged, or stored in a way that is not read.
        ImageTooLargeError: more pixels than `limits` allow.
        ImageUnsuitableError: by its own tags no single frontal radiograph of the chest.
    """
    read = _Read.of(data, limits)
    if read.frame.colour:
        return read.film(read.words)
    shown = presentation(read.words, read.elements, read.frame)
    return read.film(look_up(shown.shades(), read.words), shown.replaced)


def open_full_dicom(data: bytes, limits: Limits) -> FullFilm:
    """Decode a DICOM file to the values behind its modality LUT, with the window that `open_dicom` applies.

    Raises:
        ImageError: as `open_dicom`.
    """
    read = _Read.of(data, limits)
    if read.frame.colour:
        return FullFilm(read.film(read.words), low=0.0, slope=1.0, window=(0.0, 255.0))
    return _full_film(read, presentation(read.words, read.elements, read.frame))


def _full_film(read: _Read, shown: Presentation) -> FullFilm:
    """Pixels that count the steps above the lowest value; a coarser step where 16 bits do not hold that many."""
    low, high = float(shown.values.min()), float(shown.values.max())
    if shown.padding.any():
        # Padding is given the value that is black under the window, which may lie outside of what the file can hold.
        low, high = min(low, shown.low), max(high, shown.high)
    step = max(shown.step, (high - low) / _MOST)
    levels = np.rint((shown.values - low) / step)
    levels[shown.padding] = np.ceil((high - low) / step) if shown.inverted else 0
    table = np.clip(levels, 0, _MOST)
    few = table.max() <= 255
    grey = look_up(table.astype(np.uint8), read.words) if few else look_up(table.astype(np.uint16), read.words)
    return FullFilm(
        read.film(grey, shown.replaced),
        low=low,
        slope=step,
        window=_window(shown, low, step),
        inverted=shown.inverted,
        baked=shown.baked,
    )


def _window(shown: Presentation, low: float, step: float) -> tuple[float, float]:
    first, last = (shown.low - low) / step, (shown.high - low) / step
    if first < last:
        return first, last
    # A film of one value is black, whichever way round it is shown.
    return (first - 1, first) if shown.inverted else (first, first + 1)
