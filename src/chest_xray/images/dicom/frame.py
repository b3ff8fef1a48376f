"""How the pixels of a DICOM frame are stored: the image pixel module (PS3.3 C.7.6.3), checked."""

from dataclasses import dataclass
from typing import Final

from chest_xray.errors import ImageError, ImageTooLargeError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, term, whole
from chest_xray.images.limits import Limits

_GREY: Final = frozenset(("MONOCHROME1", "MONOCHROME2"))
_COLOUR: Final = frozenset(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"))


@dataclass(frozen=True, slots=True)
class Frame:
    """The storage of one frame: `stored` bits of `allocated` (8 or 16), the highest of them at `high`.

    `planar` says that colours are stored one plane after the other.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: bool

    @property
    def colour(self) -> bool:
        """Three samples a pixel, of 8 bits."""
        return self.samples == 3


def read_frame(values: Values, limits: Limits) -> Frame:
    """Read and check the storage of the pixels.

    Raises:
        ImageError: an element is absent or says what is not read.
        ImageTooLargeError: more pixels than `limits` allow, counting each colour.
    """
    columns, rows = whole(values, tags.COLUMNS), whole(values, tags.ROWS)
    limits.check_size(columns, rows)
    frame = Frame(
        rows=rows,
        columns=columns,
        samples=whole(values, tags.SAMPLES, 1),
        allocated=whole(values, tags.BITS_ALLOCATED),
        stored=whole(values, tags.BITS_STORED),
        high=whole(values, tags.HIGH_BIT, whole(values, tags.BITS_STORED) - 1),
        signed=whole(values, tags.SIGNED, 0) == 1,
        photometric=term(values, tags.PHOTOMETRIC),
        planar=whole(values, tags.PLANAR, 0) == 1,
    )
    _check_bits(frame)
    _check_colours(frame)
    if frame.rows * frame.columns * frame.samples > limits.max_pixels:
        raise ImageTooLargeError(
            f"The image has {columns}x{rows} pixels of {frame.samples} colours; "
            f"at most {limits.max_pixels:,} values are decoded."
        )
    return frame


def _check_bits(frame: Frame) -> None:
    if frame.allocated not in (8, 16):
        raise ImageError(f"{name(tags.BITS_ALLOCATED)} is {frame.allocated}; 8 or 16 is expected.")
    if not 8 <= frame.stored <= frame.allocated:
        raise ImageError(f"{name(tags.BITS_STORED)} is {frame.stored}; 8 to {frame.allocated} is expected.")
    if not frame.stored - 1 <= frame.high < frame.allocated:
        expected = f"{frame.stored - 1} to {frame.allocated - 1}"
        raise ImageError(f"{name(tags.HIGH_BIT)} is {frame.high}; {expected} is expected.")


def _check_colours(frame: Frame) -> None:
    if frame.photometric in _GREY and frame.samples == 1:
        return
    if frame.photometric not in _COLOUR or frame.samples != 3:
        raise ImageError(
            f"{name(tags.PHOTOMETRIC)} and {name(tags.SAMPLES)} say what is not read; "
            "MONOCHROME1 or MONOCHROME2 with 1, or RGB or YBR_FULL with 3, are expected."
        )
    if frame.allocated != 8 or frame.signed:
        raise ImageError(f"A colour image has {name(tags.BITS_ALLOCATED)} 8 and unsigned values; found something else.")
