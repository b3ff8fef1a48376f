"""What a compressed frame says of itself, held to what the DICOM file says of it before a decoder runs.

JPEG (ITU-T T.81), JPEG-LS (T.87) and JPEG 2000 (T.800) all begin with the size, the number of components and the
bits of a sample.
"""

from struct import unpack_from
from typing import Final, NamedTuple

from chest_xray.errors import ImageError
from chest_xray.images.dicom.frame import Frame

BASELINE: Final = 0xC0
EXTENDED: Final = 0xC1
LOSSLESS: Final = 0xC3
JPEG_LS: Final = 0xF7
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {JPEG_LS}
_ADOBE: Final = 0xEE
_START_OF_SCAN: Final = 0xDA
_MAX_TILES: Final = 65_535


class Header(NamedTuple):
    """`process` is the JPEG frame marker, 0 for JPEG 2000; `adobe` says that an Adobe segment names the colours."""

    process: int
    width: int
    height: int
    components: int
    precision: int
    adobe: bool = False


def jpeg_header(stream: bytes) -> Header:
    """The frame header of a JPEG or JPEG-LS stream.

    Raises:
        ImageError: there is none before the first scan.
    """
    position, adobe = 2, False
    while stream[:2] == b"\xff\xd8" and position + 4 <= len(stream) and stream[position] == 0xFF:
        marker, length = stream[position + 1], int.from_bytes(stream[position + 2 : position + 4], "big")
        if marker == 0xFF:
            position += 1
            continue
        if marker in _JPEG_FRAMES and position + 10 <= len(stream):
            precision, height, width, components = unpack_from(">BHHB", stream, position + 4)
            return Header(marker, width, height, components, precision, adobe)
        if marker == _START_OF_SCAN:
            break
        adobe = adobe or (marker == _ADOBE and stream[position + 4 : position + 9] == b"Adobe")
        position += 2 + max(2, length)
    raise ImageError("The DICOM file is damaged: its pixel data are no JPEG stream; one is expected.")


def jpeg_2000_header(stream: bytes) -> Header:
    """The SIZ segment of a JPEG 2000 codestream.

    Raises:
        ImageError: there is none, its components differ, or it has more tiles than the standard allows.
    """
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 42:
        raise ImageError("The DICOM file is damaged: its pixel data are no JPEG 2000 stream; one is expected.")
    right, bottom, left, top, tile_width, tile_height = unpack_from(">6I", stream, 8)
    (components,) = unpack_from(">H", stream, 40)
    kinds = {stream[at : at + 3] for at in range(42, 42 + 3 * min(components, 4), 3)}
    tiles = -(-right // max(1, tile_width)) * -(-bottom // max(1, tile_height))
    if len(kinds) != 1 or next(iter(kinds))[1:] != b"\1\1" or tiles > _MAX_TILES:
        raise ImageError("The DICOM file is damaged: its JPEG 2000 stream has components or tiles of unequal kinds.")
    return Header(0, right - left, bottom - top, components, (next(iter(kinds))[0] & 0x7F) + 1)


def check_header(header: Header, frame: Frame, processes: tuple[int, ...]) -> None:
    """Refuse a stream that is another image than the file says.

    Raises:
        ImageError: its process, size, components or bits are not those of `frame`.
    """
    if header.process not in processes:
        raise ImageError("The DICOM file is damaged: its pixel data are not compressed as its transfer syntax says.")
    if (header.width, header.height, header.components) != (frame.columns, frame.rows, frame.samples):
        raise ImageError(
            f"The DICOM file is damaged: its pixel data hold {header.width}x{header.height} pixels of "
            f"{header.components} samples, the file says {frame.columns}x{frame.rows} of {frame.samples}."
        )
    lowest = frame.stored if frame.signed else 8
    if not lowest <= header.precision <= frame.allocated:
        raise ImageError(
            f"The DICOM file is damaged: its pixel data have {header.precision} bits a sample; "
            f"{lowest} to {frame.allocated} are expected."
        )
