"""PNG (ISO/IEC 15948): the chunks are walked and checked before Pillow sees any of them.

Pillow does not check the CRC of the pixel chunks and warns, process-wide, about some ancillary ones. So
every CRC is checked here (0.2 ms for an NIH file), and only the chunk types that make pixels are
passed on. What remains undetected is an encoder that wrote too few pixels behind right checksums: Pillow
leaves the rest black.
"""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from chest_xray.errors import ImageError
from chest_xray.images.limits import Limits
from chest_xray.images.orientation import UPRIGHT, read_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_ANIMATION_CHUNKS = frozenset((b"acTL", b"fcTL", b"fdAT"))


def open_png(data: bytes, limits: Limits) -> tuple[Image.Image, int]:
    """Check a PNG file and decode it; returns the image in its own mode and its EXIF orientation.

    Raises:
        ImageError: truncated, animated or damaged.
        ImageTooLargeError: the header declares more pixels than `limits` allow.
    """
    pixels = [SIGNATURE]
    orientation = UPRIGHT
    for kind, body, whole in _chunks(data):
        if len(pixels) == 1:
            limits.check_size(*_dimensions(kind, body))
        if kind in _ANIMATION_CHUNKS:
            raise ImageError("The PNG file is animated; one still image is expected.")
        if kind in _PIXEL_CHUNKS:
            pixels.append(bytes(whole))
        elif kind == b"eXIf":
            orientation = read_orientation(bytes(body))
    image = PngImageFile(io.BytesIO(b"".join(pixels)))
    image.load()
    return image, orientation


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield (type, body, the whole chunk) up to and with IEND; what follows IEND is not looked at."""
    view = memoryview(data)
    position = len(SIGNATURE)
    while position + 12 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, position)
        end = position + 12 + length
        if end > len(view):
            break
        body = view[position + 8 : end - 4]
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise ImageError(f"The PNG file is damaged: the checksum of its {_printable(kind)} chunk is wrong.")
        yield kind, body, view[position:end]
        if kind == b"IEND":
            return
        position = end
    raise ImageError(f"The PNG file is truncated: it ends after {len(data):,} bytes, without an IEND chunk.")


def _dimensions(kind: bytes, body: memoryview) -> tuple[int, int]:
    """Width and height from the first chunk, which must be IHDR."""
    if kind != b"IHDR" or len(body) != 13:
        raise ImageError("The PNG file is damaged: it does not begin with a 13-byte IHDR chunk.")
    width, height = struct.unpack_from(">II", body)
    return width, height


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalpha() else kind.hex()
