"""Files made to exhaust, to hang or to deceive whoever decodes them. Built here, byte by byte; none is stored."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image
from tests.support.bundles import film, png

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXPLICIT = b"1.2.840.10008.1.2.1"
DEFLATED = b"1.2.840.10008.1.2.1.99"
JPEG_2000 = b"1.2.840.10008.1.2.4.90"
JPEG_LS = b"1.2.840.10008.1.2.4.80"
LOSSLESS = b"1.2.840.10008.1.2.4.70"
RLE = b"1.2.840.10008.1.2.5"
DX = b"1.2.840.10008.5.1.4.1.1.1.1"
GIB = 1 << 30
LONG = (b"OB", b"OW", b"SQ", b"UN")


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, *, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    """A PNG header chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


@cache
def deflated_zeros(count: int, *, raw: bool = False) -> bytes:
    """`count` zero bytes as a deflate stream: one compressed mebibyte, repeated."""
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = last.compress(bytes(count % (1 << 20))) + last.flush()
    stream = mebibyte * (count >> 20) + rest
    return stream if raw else b"\x78\xda" + stream + struct.pack(">I", (count % 65521) << 16 | 1)


def element(group: int, number: int, kind: bytes, value: bytes, *, length: int | None = None) -> bytes:
    """One explicit little-endian data element; `length` may lie."""
    value += b"\0" * (len(value) % 2)
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", group, number, kind)
    return head + (struct.pack("<HI", 0, size) if kind in LONG else struct.pack("<H", size)) + value


def part10(syntax: bytes, body: bytes, *, preamble: bytes = b"") -> bytes:
    """A DICOM file of a transfer syntax around a data set."""
    meta = element(2, 0x10, b"UI", syntax)
    length = element(2, 0, b"UL", struct.pack("<I", len(meta)))
    return preamble.ljust(128, b"\0") + b"DICM" + length + meta + body


def described(
    rows: int, columns: int, *, bits: int = 16, frames: bytes | None = None, before_image: bytes = b""
) -> bytes:
    """The elements before the pixels of a chest radiograph."""
    short = struct.Struct("<H")
    parts = [
        element(8, 0x16, b"UI", DX),
        element(8, 0x60, b"CS", b"DX"),
        before_image,
        element(0x18, 0x15, b"CS", b"CHEST"),
        element(0x28, 2, b"US", short.pack(1)),
        element(0x28, 4, b"CS", b"MONOCHROME2"),
        b"" if frames is None else element(0x28, 8, b"IS", frames),
        element(0x28, 0x10, b"US", short.pack(rows)),
        element(0x28, 0x11, b"US", short.pack(columns)),
        element(0x28, 0x100, b"US", short.pack(bits)),
        element(0x28, 0x101, b"US", short.pack(bits)),
        element(0x28, 0x102, b"US", short.pack(bits - 1)),
        element(0x28, 0x103, b"US", short.pack(0)),
    ]
    return b"".join(parts)


def native(pixels: bytes) -> bytes:
    """Pixel data as they are."""
    return element(0x7FE0, 0x10, b"OW", pixels)


def fragments(*parts: bytes) -> bytes:
    """Encapsulated pixel data: an empty offset table, then the fragments."""
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (b"", *parts))
    return element(0x7FE0, 0x10, b"OB", b"", length=0xFFFFFFFF) + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def nested(depth: int) -> bytes:
    """Sequences in sequences, of undefined length, never closed."""
    opened = element(8, 0x1140, b"SQ", b"", length=0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return opened * depth


def j2k_header(side: int, tile: int) -> bytes:
    """The first segments of a JPEG 2000 stream of one 8-bit component."""
    size = struct.pack(">HIIIIIIIIH", 0, side, side, 0, 0, tile, tile, 0, 0, 1) + bytes((7, 1, 1))
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size


def jpeg_of(side: int, scans: int = 1) -> bytes:
    """A JPEG whose header declares `side` x `side` pixels and whose only scan is repeated."""
    stream = io.BytesIO()
    Image.fromarray(film()).save(stream, format="JPEG", progressive=scans > 1)
    data = stream.getvalue()
    frame = data.index(b"\xff\xc2" if scans > 1 else b"\xff\xc0")
    data = data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]
    scan = data.index(b"\xff\xda")
    return data[:scan] + data[scan:-2] * scans + b"\xff\xd9"


def _animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.fromarray(film(seed)) for seed in range(3)]
    frames[0].save(stream, format="PNG", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def _with_chunk(kind: bytes, body: bytes) -> bytes:
    plain = png(film())
    return plain[:33] + chunk(kind, body) + plain[33:]


def _text_bomb(kind: bytes) -> bytes:
    return _with_chunk(kind, b"note\0\0" + deflated_zeros(GIB))


def _zip_tail(image: bytes) -> bytes:
    return image + b"PK\x03\x04" + bytes(200)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 32000 x 32000 in 1 MB": lambda: (
        PNG_SIGNATURE + header(32000, 32000) + chunk(b"IDAT", deflated_zeros(32000 * 32001)) + chunk(b"IEND", b"")
    ),
    "png of 16 pixels that inflates to 1 GiB": lambda: (
        PNG_SIGNATURE
        + header(16, 16)
        + chunk(b"IDAT", b"\x78\xda" + deflated_zeros(GIB, raw=True)[:40_000])
        + chunk(b"IEND", b"")
    ),
    "png with 1 GiB of text": lambda: _text_bomb(b"zTXt"),
    "png with 1 GiB of colour profile": lambda: _text_bomb(b"iCCP"),
    "png, interlaced, of 19999 x 19999": lambda: (
        PNG_SIGNATURE
        + header(19_999, 19_999, interlace=1)
        + chunk(b"IDAT", deflated_zeros(1 << 20))
        + chunk(b"IEND", b"")
    ),
    "png, animated": _animated,
    "png with a million empty chunks": lambda: PNG_SIGNATURE + header(16, 16) + chunk(b"teXt", b"") * 1_000_000,
    "png and zip in one": lambda: _zip_tail(png(film())),
    "jpeg of 65500 x 65500": lambda: jpeg_of(65_500),
    "jpeg of 500 scans": lambda: jpeg_of(64, scans=500),
    "jpeg and zip in one": lambda: _zip_tail(jpeg_of(64)),
    "dicom, deflated, of 1 GiB": lambda: part10(
        DEFLATED, zlib.compress(described(64, 64), wbits=-15)[:-2] + deflated_zeros(GIB, raw=True)
    ),
    "dicom, all zeros, deflated": lambda: part10(DEFLATED, deflated_zeros(GIB, raw=True)),
    "dicom of 100,000 nested sequences": lambda: part10(
        EXPLICIT, described(64, 64, before_image=nested(100_000)) + native(bytes(8192))
    ),
    "dicom of 65535 x 65535": lambda: part10(EXPLICIT, described(65535, 65535) + native(bytes(1000))),
    "dicom of 65535 x 65535, rle": lambda: part10(
        RLE, described(65535, 65535) + fragments(struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 50)
    ),
    "dicom of 64 x 64 that is a jpeg 2000 of 65535 x 65535": lambda: part10(
        JPEG_2000, described(64, 64, bits=8) + fragments(j2k_header(65535, 65535))
    ),
    "dicom of 5000 x 5000 in tiles of one pixel": lambda: part10(
        JPEG_2000, described(5000, 5000, bits=8) + fragments(j2k_header(5000, 1))
    ),
    "dicom of 5000 x 5000, jpeg-ls of nothing": lambda: part10(
        JPEG_LS,
        described(5000, 5000)
        + fragments(
            b"\xff\xd8\xff\xf7\0\x0b\x10\x13\x88\x13\x88\1\1\x11\0\xff\xda\0\x08\1\1\0\0\0\0" + bytes(50) + b"\xff\xd9"
        ),
    ),
    "dicom of 6000 x 6000, rle of nothing": lambda: part10(
        RLE, described(6000, 6000) + fragments(struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 50)
    ),
    "dicom of 100,000 frames": lambda: part10(EXPLICIT, described(64, 64, frames=b"100000") + native(bytes(8192))),
    "dicom of a million elements": lambda: part10(
        EXPLICIT, b"".join(element(9, number, b"LO", b"") for number in range(0x10, 0xFFFF)) * 8
    ),
    "dicom of a value of 4 GB": lambda: part10(
        EXPLICIT, element(8, 0x1140, b"UN", b"", length=0xFFFFFFF0) + described(64, 64)
    ),
    "dicom whose pixels never end": lambda: part10(
        RLE, described(64, 64) + element(0x7FE0, 0x10, b"OB", b"", length=0xFFFFFFFF) + bytes(1000)
    ),
    "dicom and windows program in one": lambda: part10(
        EXPLICIT, described(64, 64) + native(bytes(8192)), preamble=b"MZ\x90\0"
    ),
    "dicom and png in one": lambda: part10(
        EXPLICIT, described(64, 64) + native(bytes(8192)), preamble=PNG_SIGNATURE + header(16, 16)
    ),
    "gif": lambda: b"GIF89a" + bytes(100),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
}


def ordinary_dicom() -> bytes:
    """A DICOM radiograph that nothing is wrong with, of `tests.support.bundles.film`."""
    return part10(EXPLICIT, described(64, 64) + native(film().astype(np.uint16).tobytes()))
