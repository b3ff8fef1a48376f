"""DICOM (CR, DX, Secondary Capture) -> one film: walked, judged by its tags, decoded, and shown as a viewer would.

bytes -> read_elements -> check_suitable -> read_frame -> read_pixels -> present -> Film
"""

from chest_xray.images.dicom_frame import read_frame
from chest_xray.images.dicom_pixels import read_pixels
from chest_xray.images.dicom_suitability import age, check_suitable, sex, view
from chest_xray.images.dicom_walk import MAGIC, MAGIC_AT, read_elements
from chest_xray.images.film import Film
from chest_xray.images.limits import Limits
from chest_xray.images.voi import present


def is_dicom(data: bytes) -> bool:
    """The mark of a Part 10 file behind its preamble, whose 128 bytes may be anything."""
    return data[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def open_dicom(data: bytes, limits: Limits) -> Film:
    """Decode a DICOM file to what a viewer would show first; colours become luma.

    Raises:
        ImageError: truncated, damaged, or stored in a way that is not read.
        ImageTooLargeError: more pixels than `limits` allow.
        ImageUnsuitableError: by its own tags no single frontal radiograph of the chest.
    """
    elements = read_elements(data, limits)
    check_suitable(elements)
    frame = read_frame(elements.values, limits)
    words = read_pixels(elements, frame, limits)
    grey = words if frame.colour else present(words, elements, frame)
    return Film(grey, "application/dicom", view(elements), age(elements.values), sex(elements.values))
