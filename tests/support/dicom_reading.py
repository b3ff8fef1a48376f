"""Small steps around a DICOM file that several tests take: its stored words, its refusal, an element put in."""

import struct
from typing import Any

import pytest
from numpy.typing import NDArray

from chest_xray.errors import ImageError
from chest_xray.images.decode import decode_film
from chest_xray.images.dicom.frame import read_frame
from chest_xray.images.dicom.pixels import read_pixels
from chest_xray.images.dicom.walk import read_elements
from chest_xray.images.limits import DEFAULT_LIMITS, Limits


def stored(data: bytes) -> NDArray[Any]:
    """The words of a grey file as they come from the decoder, before presentation."""
    elements = read_elements(data, DEFAULT_LIMITS)
    return read_pixels(elements, read_frame(elements.values, DEFAULT_LIMITS), DEFAULT_LIMITS)


def refusal(data: bytes, kind: type[ImageError] = ImageError, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(kind) as caught:
        decode_film(data, limits)
    message = str(caught.value)
    assert "\n" not in message
    return message


def element(tag: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little-endian element."""
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, kind)
    return head + (struct.pack("<HI", 0, size) if long else struct.pack("<H", size)) + value


def before_pixels(data: bytes, inserted: bytes) -> bytes:
    """`data` with bytes right before its native pixel data element."""
    place = data.rindex(b"\xe0\x7f\x10\x00OW")
    return data[:place] + inserted + data[place:]
