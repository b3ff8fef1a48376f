"""DICOM (PS3.10, PS3.5): the data elements are walked and checked; only those that make the picture are kept.

The walk is iterative and bounded in depth and in the number of elements, and it goes to the end of the file, so that
nothing else hides there. What is not in `dicom_tags.KEPT` is passed over by its length: names, identifiers, dates,
free text and private elements are never read into an object, so no error, log line or answer can hold one. Messages
say where in the file something is wrong, never what stands there.

Read: Part 10 files in implicit VR little endian, explicit VR little endian, deflated, and encapsulated syntaxes.
Explicit VR big endian is refused: the standard retired it in 2006.
"""

import zlib
from contextlib import suppress
from dataclasses import dataclass
from struct import unpack_from
from typing import Final, Literal, NamedTuple

from chest_xray.errors import ImageError, ImageTooLargeError
from chest_xray.images.dicom import tags
from chest_xray.images.limits import Limits

Buffer = bytes | memoryview

MAGIC: Final = b"DICM"
MAGIC_AT: Final = 128
IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

MAX_ELEMENTS: Final = 50_000
MAX_DEPTH: Final = 8
MAX_VALUE_BYTES: Final = 4096
# 65,536 entries of 16 bits.
MAX_TABLE_BYTES: Final = 131_072
# What may stand before the pixels of a deflated file: everything but the pixels.
MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
# A deflated file's first part, in which its dimensions are looked for.
_DEFLATED_START: Final = 1024 * 1024

# The preamble's 128 bytes may be anything, also what makes an operating system or a browser run the file.
_PROGRAMS: Final = (b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"PK", b"%PDF", b"<")
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_END_OF_ITEM: Final = 0xFFFEE00D
_END_OF_SEQUENCE: Final = 0xFFFEE0DD
_LONG: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT: Final = frozenset(
    (
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
        b"ST", b"TM", b"UI", b"UL", b"US",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Elements:
    """What is kept of a file: raw little-endian values by tag (group << 16 | element).

    `items` holds the first item of each kept sequence. Exactly one of `native` (the bytes of the pixels) and
    `fragments` (of an encapsulated frame; the offset table comes first) is set, or neither where the file has no
    pixel data.
    """

    syntax: str
    values: dict[int, bytes]
    items: dict[int, dict[int, bytes]]
    native: memoryview | None
    fragments: tuple[memoryview, ...] | None


def read_elements(data: bytes, limits: Limits) -> Elements:
    """Walk a Part 10 file.

    Raises:
        ImageError: truncated, damaged, or of a transfer syntax or a shape that is not read.
        ImageTooLargeError: a deflated file that holds more than its pixels and 16 MiB.
    """
    if data.startswith(_PROGRAMS):
        raise ImageError("The DICOM file begins as a program, an archive or a page does; zeros or TIFF are expected.")
    meta = _Walk(memoryview(data), MAGIC_AT + len(MAGIC), implicit=False, only_meta=True)
    meta.run()
    syntax = meta.values.get(tags.TRANSFER_SYNTAX, b"").rstrip(b"\0 ").decode("latin-1")
    if not syntax.startswith(IMPLICIT):
        raise ImageError("The DICOM file names no transfer syntax of the standard in (0002,0010); store it as one.")
    if syntax == _BIG_ENDIAN:
        raise ImageError("The DICOM file is big endian, a retired transfer syntax; store it as little endian.")
    body, start = memoryview(data), meta.position
    if syntax == DEFLATED:
        body, start = memoryview(_inflate(body[start:], limits)), 0
    walk = _Walk(body, start, implicit=syntax == IMPLICIT)
    walk.run()
    if walk.fragments is not None and (syntax in (IMPLICIT, EXPLICIT, DEFLATED)):
        raise ImageError("The DICOM file is damaged: its pixel data are in fragments, its transfer syntax has none.")
    return Elements(syntax, walk.values, walk.items, walk.native, walk.fragments)


def _inflate(deflated: memoryview, limits: Limits) -> bytes:
    """The data set of a deflated file, at most as long as the dimensions in its first part allow."""
    first = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _DEFLATED_START)
    start = _Walk(memoryview(first), 0, implicit=False)
    with suppress(_CutShortError):
        start.run()
    bound = MAX_HEADER_BYTES + _pixel_bytes(start.values, limits)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = stream.decompress(deflated, bound)
    if stream.unconsumed_tail:
        raise ImageTooLargeError(f"The deflated DICOM file holds more than {bound:,} bytes, more than its image takes.")
    if not stream.eof:
        raise ImageError("The DICOM file is truncated: its deflated part has no end.")
    return inflated


def _pixel_bytes(values: dict[int, bytes], limits: Limits) -> int:
    sides = [values.get(tag, b"") for tag in (tags.COLUMNS, tags.ROWS)]
    if not all(len(side) == 2 for side in sides):
        return 2 * limits.max_pixels
    width, height = (int.from_bytes(side, "little") for side in sides)
    limits.check_size(width, height)
    samples = 3 if values.get(tags.SAMPLES, b"")[:1] == b"\3" else 1
    size = 2 if values.get(tags.BITS_ALLOCATED, b"")[:1] == b"\x10" else 1
    return min(width * height * samples * size, 2 * limits.max_pixels)


class _CutShortError(ImageError):
    """An element that goes on past the end of the bytes."""


class _Level(NamedTuple):
    """One open data set, sequence or run of fragments. `end` is exact unless a delimiter closes the level."""

    kind: Literal["data set", "items", "fragments"]
    end: int
    delimited: bool
    implicit: bool
    values: dict[int, bytes] | None
    tag: int = 0


class _Walk:
    """The state of one walk; `run` goes on to the end of the bytes, where zeros may pad the file."""

    def __init__(self, data: memoryview, start: int, *, implicit: bool, only_meta: bool = False):
        self.data = data
        self.position = start
        self.values: dict[int, bytes] = {}
        self.items: dict[int, dict[int, bytes]] = {}
        self.native: memoryview | None = None
        self.fragments: tuple[memoryview, ...] | None = None
        self._pixels: list[memoryview] = []
        self._only_meta = only_meta
        self._last = -1
        self._count = 0
        self._levels = [_Level("data set", len(data), False, implicit, self.values)]

    def run(self) -> None:
        while self._levels:
            level = self._levels[-1]
            if not level.delimited and self.position == level.end:
                self._levels.pop()
                continue
            self._need(8, level)
            group, number = unpack_from("<HH", self.data, self.position)
            if self._only_meta and group != 2:
                return
            self._count += 1
            if self._count > MAX_ELEMENTS:
                raise ImageError(f"The DICOM file has more than {MAX_ELEMENTS:,} data elements; hundreds are usual.")
            if level.kind == "data set":
                self._element(level, group << 16 | number)
            else:
                self._item(level, group << 16 | number)

    def _need(self, count: int, level: _Level) -> None:
        if self.position + count <= level.end:
            return
        if level.end == len(self.data):
            raise _CutShortError(f"The DICOM file is truncated: the element at byte {self.position:,} is incomplete.")
        raise self._damaged("goes on past the end of its sequence")

    def _damaged(self, what: str) -> ImageError:
        return ImageError(f"The DICOM file is damaged: the element at byte {self.position:,} {what}.")

    def _element(self, level: _Level, tag: int) -> None:
        """One element of a data set: kept, entered, or passed over."""
        if tag == _END_OF_ITEM and level.delimited:
            self.position += 8
            self._levels.pop()
            return
        top = len(self._levels) == 1
        if top:
            if tag == 0 and self._last >= tags.PIXEL_DATA and not bytes(self.data[self.position :]).strip(b"\0"):
                self._levels.clear()
                return
            if tag <= self._last:
                raise self._damaged("is out of order")
            self._last = tag
        kind, length = self._header(level)
        if top and tag == tags.PIXEL_DATA:
            self._pixel_data(level, kind, length)
        elif length == _UNDEFINED:
            self._enter_undefined(level, tag, kind)
        else:
            self._need(length, level)
            self._defined(level, tag, length)

    def _header(self, level: _Level) -> tuple[bytes, int]:
        """Step over an element's header; returns its value representation (empty where implicit) and length."""
        if level.implicit:
            (length,) = unpack_from("<I", self.data, self.position + 4)
            self.position += 8
            return b"", length
        kind, length = unpack_from("<2sH", self.data, self.position + 4)
        if kind in _SHORT:
            self.position += 8
            return kind, length
        if kind not in _LONG:
            raise self._damaged("has no value representation of the standard")
        self._need(12, level)
        (length,) = unpack_from("<I", self.data, self.position + 8)
        self.position += 12
        return kind, length

    def _defined(self, level: _Level, tag: int, length: int) -> None:
        end = self.position + length
        if len(self._levels) == 1 and tag in tags.KEPT_SEQUENCES:
            self._enter(_Level("items", end, False, level.implicit, None, tag))
            return
        if level.values is not None and tag in (tags.KEPT if len(self._levels) == 1 else tags.KEPT_IN_ITEMS):
            if length > (MAX_TABLE_BYTES if tag == tags.LUT_DATA else MAX_VALUE_BYTES):
                raise self._damaged("is longer than its kind of value can be")
            if tag in level.values:
                raise self._damaged("is there twice")
            level.values[tag] = bytes(self.data[self.position : end])
        self.position = end

    def _enter_undefined(self, level: _Level, tag: int, kind: bytes) -> None:
        if kind in (b"OB", b"OW"):
            self._enter(_Level("fragments", level.end, True, level.implicit, None))
        elif kind in (b"", b"SQ", b"UN"):
            kept = tag if len(self._levels) == 1 and tag in tags.KEPT_SEQUENCES else 0
            # An unknown sequence is written as in implicit VR (PS3.5 6.2.2).
            self._enter(_Level("items", level.end, True, level.implicit or kind == b"UN", None, kept))
        else:
            raise self._damaged("has no length")

    def _enter(self, level: _Level) -> None:
        if len(self._levels) > MAX_DEPTH:
            raise ImageError(f"The DICOM file nests its sequences more than {MAX_DEPTH} deep.")
        self._levels.append(level)

    def _item(self, level: _Level, tag: int) -> None:
        """One item of a sequence or one fragment of pixels."""
        (length,) = unpack_from("<I", self.data, self.position + 4)
        if tag == _END_OF_SEQUENCE and level.delimited:
            self.position += 8
            self._levels.pop()
            if level.tag == tags.PIXEL_DATA:
                self.fragments = tuple(self._pixels)
            return
        if tag != _ITEM:
            raise self._damaged("is no item of the sequence around it")
        self.position += 8
        if length != _UNDEFINED:
            self._need(length, level)
        if level.kind == "fragments":
            self._fragment(level, length)
        else:
            self._enter_item(level, length)

    def _fragment(self, level: _Level, length: int) -> None:
        if length == _UNDEFINED:
            raise self._damaged("is a fragment without a length")
        end = self.position + length
        if level.tag == tags.PIXEL_DATA:
            self._pixels.append(self.data[self.position : end])
        self.position = end

    def _enter_item(self, level: _Level, length: int) -> None:
        values: dict[int, bytes] | None = None
        if level.tag and level.tag not in self.items:
            values = self.items[level.tag] = {}
        undefined = length == _UNDEFINED
        end = level.end if undefined else self.position + length
        self._enter(_Level("data set", end, undefined, level.implicit, values))

    def _pixel_data(self, level: _Level, kind: bytes, length: int) -> None:
        if length != _UNDEFINED:
            self._need(length, level)
            self.native = self.data[self.position : self.position + length]
            self.position += length
        elif kind in (b"OB", b"OW", b"UN"):
            self._enter(_Level("fragments", level.end, True, level.implicit, None, tags.PIXEL_DATA))
        else:
            raise self._damaged("is pixel data without a length")
