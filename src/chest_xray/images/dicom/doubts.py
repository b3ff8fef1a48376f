"""What a DICOM file says, or does not say, that makes its picture doubtful though it can be shown."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.images.dicom import tags
from chest_xray.images.dicom.frame import Frame
from chest_xray.images.dicom.pixels import Words
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import term, text
from chest_xray.images.dicom.walk import Elements
from chest_xray.images.film import Doubt

_DX_FOR_PRESENTATION: Final = b"1.2.840.10008.5.1.4.1.1.1.1"
_DX_FOR_PROCESSING: Final = b"1.2.840.10008.5.1.4.1.1.1.1.1"
# Rows that are looked at for bits above the stored ones.
_ROWS: Final = 64
_NEARLY_ALL: Final = 0.9
_SOME: Final = 0.001
# Two overlays make four values of the bits that they have.
_MOST_OVERLAYS: Final = 4
_CARRIED: Final = 0.75


def raw_values(elements: Elements) -> Doubt | None:
    """The film is for processing, or in proportion to the rays and not windowed: raw, not a picture for viewing."""
    values = elements.values
    intent = re.sub("[ _]+", " ", term(values, tags.INTENT))
    sop_class = text(values, tags.SOP_CLASS)
    if sop_class == _DX_FOR_PROCESSING or intent == "FOR PROCESSING":
        return Doubt("for_processing", "The file says that it is for processing: its values are raw, not for viewing.")
    relationship = term(values, tags.RELATIONSHIP)
    windowed = tags.VOI_LUT in elements.items or bool(text(values, tags.WINDOW_WIDTH))
    shown = sop_class == _DX_FOR_PRESENTATION or intent == "FOR PRESENTATION"
    if (relationship == "LIN" and not (windowed and shown)) or (relationship == "LOG" and not (windowed or shown)):
        return Doubt(
            "for_processing", f"{name(tags.RELATIONSHIP)} is {relationship}: the values are raw, not for viewing."
        )
    return None


def cut_off_bits(words: Words, frame: Frame) -> Doubt | None:
    """Values that need more bits than Bits Stored says: a viewer cuts them off, so that the film wraps around.

    Bits above the stored ones may also be a sign, or overlays (retired in 2004), which viewers mask without harm.
    """
    if int(words.max()) < 2 ** (frame.high + 1):
        return None
    rows = words[:: max(1, len(words) // _ROWS)].astype(np.int64)
    whole = (rows - ((rows & 0x8000) << 1) if frame.signed else rows) >> (frame.high + 1 - frame.stored)
    half = 2 ** (frame.stored - 1) if frame.signed else 0
    above, kept = np.divmod(whole + half, 2**frame.stored)
    if not _are_values(above, kept):
        return None
    return Doubt("bits_stored", f"The values need more bits than {name(tags.BITS_STORED)} says; they may wrap around.")


def _are_values(above: NDArray[np.int64], kept: NDArray[np.int64]) -> bool:
    """Whether bits above the stored ones (H, W) go on with the stored values (H, W), and are no overlays over them.

    Nearly all words have them; or they take many values; or where they grow the stored values fall, as those of a sum
    do in which a digit is carried. Where an overlay begins, the film below it goes on.
    """
    if np.mean(above != 0) > _NEARLY_ALL:
        return True
    _, counts = np.unique(above, return_counts=True)
    if np.count_nonzero(counts > _SOME * above.size) > _MOST_OVERLAYS:
        return True
    grows, falls = np.sign(np.diff(above)), -np.sign(np.diff(kept))
    carried = grows * falls
    return bool(np.count_nonzero(carried > 0) > _CARRIED * np.count_nonzero(carried))
