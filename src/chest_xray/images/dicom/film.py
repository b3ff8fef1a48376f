"""DICOM (CR, DX, Secondary Capture) -> one film: walked, judged by its tags, decoded, and shown as a viewer would.

bytes -> read_elements -> check_suitable -> read_frame -> read_pixels -> present -> Film
"""

from typing import Final

import numpy as np

from chest_xray.images.dicom.frame import Frame, read_frame
from chest_xray.images.dicom.pixels import Words, read_pixels
from chest_xray.images.dicom.presentation import Presentation, look_up, present, presentation
from chest_xray.images.dicom.suitability import age, check_suitable, sex, view
from chest_xray.images.dicom.walk import Elements, read_elements
from chest_xray.images.film import Film, FullFilm, GreyImage
from chest_xray.images.limits import Limits

_MOST: Final = 2**16 - 1


def open_dicom(data: bytes, limits: Limits) -> Film:
    """Decode a DICOM file to what a viewer would show first; colours become luma.

    Raises:
        ImageError: truncated, damaged, or stored in a way that is not read.
        ImageTooLargeError: more pixels than `limits` allow.
        ImageUnsuitableError: by its own tags no single frontal radiograph of the chest.
    """
    words, elements, frame = _read(data, limits)
    return _film(words if frame.colour else present(words, elements, frame), elements)


def open_full_dicom(data: bytes, limits: Limits) -> FullFilm:
    """Decode a DICOM file to the values behind its modality LUT, with the window that `open_dicom` applies.

    Raises:
        ImageError: as `open_dicom`.
    """
    words, elements, frame = _read(data, limits)
    if frame.colour:
        return FullFilm(_film(words, elements), low=0.0, slope=1.0, window=(0.0, 255.0))
    return _full_film(words, elements, presentation(words, elements, frame))


def _read(data: bytes, limits: Limits) -> tuple[Words, Elements, Frame]:
    elements = read_elements(data, limits)
    check_suitable(elements)
    frame = read_frame(elements.values, limits)
    return read_pixels(elements, frame, limits), elements, frame


def _film(grey: GreyImage, elements: Elements) -> Film:
    return Film(grey, "application/dicom", view(elements), age(elements.values), sex(elements.values))


def _full_film(words: Words, elements: Elements, shown: Presentation) -> FullFilm:
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
    grey = look_up(table.astype(np.uint8), words) if few else look_up(table.astype(np.uint16), words)
    return FullFilm(
        _film(grey, elements),
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
