"""Values of DICOM data elements: numbers and defined terms, checked, and never quoted in a message."""

import re
from collections.abc import Mapping
from struct import unpack
from typing import Final

from chest_xray.errors import ImageError
from chest_xray.images.dicom.tags import name

Values = Mapping[int, bytes]

_DECIMAL: Final = re.compile(rb"[+-]?(?:\d{1,16}\.?\d{0,16}|\.\d{1,16})(?:[eE][+-]?\d{1,3})?")
_INTEGER: Final = re.compile(rb"[+-]?\d{1,12}")
_TERM: Final = re.compile(rb"[A-Z0-9_ ]{1,32}")
# No rescale or window of a radiograph comes near; within them no arithmetic overflows.
_LARGEST: Final = 1e9
_SMALLEST: Final = 1e-9


def term(values: Values, tag: int) -> str:
    """A code string's first value in upper case; empty where it is absent or is no code string."""
    found = values.get(tag, b"").split(b"\\")[0].strip(b"\0 ").upper()
    return found.decode("latin-1") if _TERM.fullmatch(found) else ""


def text(values: Values, tag: int) -> bytes:
    """A value without its padding."""
    return values.get(tag, b"").strip(b"\0 ")


def whole(values: Values, tag: int, default: int | None = None) -> int:
    """An unsigned 16-bit number.

    Raises:
        ImageError: it is of another length, or absent with no `default`.
    """
    found = values.get(tag, b"")
    if not found and default is not None:
        return default
    if len(found) != 2:
        raise ImageError(f"The DICOM file has no usable {name(tag)}; one 16-bit number is expected.")
    return int.from_bytes(found, "little")


def integer_string(values: Values, tag: int, default: int) -> int:
    """An integer string; `default` where it is absent or empty."""
    found = text(values, tag)
    if not found:
        return default
    if not _INTEGER.fullmatch(found):
        raise ImageError(f"The DICOM file has no usable {name(tag)}; a whole number is expected.")
    return int(found)


def decimal(values: Values, tag: int) -> float | None:
    """The first of a decimal string's values; None where it is absent or empty.

    Raises:
        ImageError: it is no number, or one of a size that no radiograph has.
    """
    found = text(values, tag).split(b"\\")[0].strip()
    if not found:
        return None
    number = float(found) if _DECIMAL.fullmatch(found) else _LARGEST + 1
    if abs(number) > _LARGEST or 0 < abs(number) < _SMALLEST:
        raise ImageError(f"The DICOM file has no usable {name(tag)}; a decimal number up to 1e9 is expected.")
    return number


def descriptor(values: Values, tag: int, *, signed: bool) -> tuple[int, int, int]:
    """A lookup table's number of entries, first value mapped, and bits of an entry."""
    found = values.get(tag, b"")
    if len(found) != 6:
        raise ImageError(f"The DICOM file has no usable {name(tag)}; three 16-bit numbers are expected.")
    entries, first, bits = unpack("<HhH" if signed else "<HHH", found)
    return entries or 65_536, first, bits
