"""PNG (ISO/IEC 15948): the chunks are walked and checked before Pillow sees any of them.

Pillow does not check the CRC of the pixel chunks and warns, process-wide, about some ancillary ones. So
every CRC is checked here (0.2 ms for an NIH file), and only the chunk types that make pixels are
passed on.

Most films are 8-bit grey without transparency, which kornia-rs (Rust) decodes to the same values three times as fast
as Pillow; it also refuses a file with too few pixels, which Pillow fills up with black. Every other kind is Pillow's.
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
MAX_CHUNKS = 20_000
_PIXEL_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
# Keyword, zero byte, method, deflate stream; iTXt, where the stream comes later, is bounded by the file's size.
_COMPRESSED_CHUNKS = frozenset((b"zTXt", b"iCCP"))
_LONGEST_KEYWORD = 80
_MOST_METADATA = 4 * 1024 * 1024
_ANIMATION_CHUNKS = frozenset((b"acTL", b"fcTL", b"fdAT"))
# IHDR after the dimensions: 8 bits, grey, deflate, adaptive filters, not interlaced.
_PLAIN_GREY = bytes((8, 0, 0, 0, 0))
_IHDR_DEPTH = len(SIGNATURE) + 16
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Chunk headers, palette and the fixed parts of a deflate stream.
_LONGEST_OVERHEAD = 16_384
# kornia-rs keeps Python's lock while it decodes: 4 ms a million pixels, in which no other request is served.
_MOST_AT_ONCE = 4_000_000


def open_png(data: bytes, limits: Limits) -> tuple[Image.Image, int]:
    """Check a PNG file and decode it; returns the image in its own mode and its EXIF orientation.

    Raises:
        ImageError: truncated, animated or damaged.
        ImageTooLargeError: the header declares more pixels than `limits` allow.
    """
    pixels: list[bytes | memoryview] = [SIGNATURE]
    orientation = UPRIGHT
    width = height = 0
    plain = False
    for kind, body, whole in _chunks(data):
        if len(pixels) == 1:
            width, height = _dimensions(kind, body)
            limits.check_size(width, height)
            plain = bytes(body[8:]) == _PLAIN_GREY and width * height <= _MOST_AT_ONCE
        plain = plain and kind != b"tRNS"
        if kind in _ANIMATION_CHUNKS:
            raise ImageError("The PNG file is animated; one still image is expected.")
        if kind in _COMPRESSED_CHUNKS:
            _check_compressed(kind, body)
        if kind in _PIXEL_CHUNKS:
            pixels.append(whole)
        elif kind == b"eXIf":
            orientation = read_orientation(bytes(body))
    kept = b"".join(pixels)
    _check_length(kept, width, height)
    if plain:
        return _decode_plain(kept, width, height), orientation
    image = PngImageFile(io.BytesIO(kept))
    image.load()
    return image, orientation


def _check_length(kept: bytes, width: int, height: int) -> None:
    """Refuse more compressed bytes than the pixels take uncompressed: a decoder stops early and would not tell."""
    depth, colour = kept[_IHDR_DEPTH], kept[_IHDR_DEPTH + 1]
    row = (width * depth * _CHANNELS.get(colour, 4) + 7) // 8 + 1
    # Seven interlaced passes have at most twice the rows' filter bytes; deflate stores with 5 bytes a block.
    longest = height * (row + 2) + height * row // 128 + _LONGEST_OVERHEAD
    if len(kept) > longest:
        raise ImageError(f"The PNG file is damaged: {len(kept):,} bytes are more than {width}x{height} pixels take.")


def _decode_plain(data: bytes, width: int, height: int) -> Image.Image:
    from kornia_rs.io import decode_image_png_u8

    try:
        grey = decode_image_png_u8(data, (height, width), "mono")
    except Exception as error:  # kornia-rs raises nothing narrower
        raise ImageError(f"The PNG file is damaged: its pixels cannot be decoded ({len(data):,} bytes).") from error
    return Image.fromarray(grey[:, :, 0])


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield (type, body, the whole chunk) up to and with IEND, which must be the end of the file."""
    view = memoryview(data)
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(view):
            break
        length, kind = struct.unpack_from(">I4s", view, position)
        end = position + 12 + length
        if end > len(view):
            break
        body = view[position + 8 : end - 4]
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise ImageError(f"The PNG file is damaged: the checksum of its {_printable(kind)} chunk is wrong.")
        yield kind, body, view[position:end]
        if kind == b"IEND":
            if end < len(view):
                raise ImageError(
                    f"The PNG file goes on for {len(view) - end:,} bytes behind its end; one image is expected."
                )
            return
        position = end
    else:
        raise ImageError(f"The PNG file has more than {MAX_CHUNKS:,} chunks; encoders write one for each 8 kB or more.")
    raise ImageError(f"The PNG file is truncated: it ends after {len(data):,} bytes, without an IEND chunk.")


def _check_compressed(kind: bytes, body: memoryview) -> None:
    """Refuse a text or colour profile, which nobody here reads, that would fill a reader's memory."""
    start = bytes(body[:_LONGEST_KEYWORD]).find(b"\0")
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(body[start + 2 :], _MOST_METADATA)
    except zlib.error:
        return
    if stream.unconsumed_tail and len(inflated) == _MOST_METADATA:
        raise ImageError(f"The PNG file's {_printable(kind)} chunk inflates to more than {_MOST_METADATA:,} bytes.")


def _dimensions(kind: bytes, body: memoryview) -> tuple[int, int]:
    """Width and height from the first chunk, which must be IHDR."""
    if kind != b"IHDR" or len(body) != 13:
        raise ImageError("The PNG file is damaged: it does not begin with a 13-byte IHDR chunk.")
    width, height = struct.unpack_from(">II", body)
    return width, height


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalpha() else kind.hex()
