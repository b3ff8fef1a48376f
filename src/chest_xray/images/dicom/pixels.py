"""Pixel data of any transfer syntax -> stored words (grey) or luma (colour), (H, W).

Native pixels, deflated or not, are a view of the file's own bytes. JPEG Baseline takes the way of a JPEG file, RLE
is Pillow's PackBits. JPEG Lossless, JPEG-LS and JPEG 2000 are decoded by GDCM in a process of their own (codecs.py).

JPEG Extended with 12 bits is refused: GDCM, the only free decoder of it here, wraps what overshoots the range, so
that saturated parts of a film turn from white to black.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.errors import ImageError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.codecs import decode_in_worker
from chest_xray.images.dicom.codestream import (
    BASELINE,
    EXTENDED,
    JPEG_LS,
    LOSSLESS,
    Header,
    check_header,
    jpeg_2000_header,
    jpeg_header,
)
from chest_xray.images.dicom.frame import Frame
from chest_xray.images.dicom.rle import decode_rle
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.walk import Elements
from chest_xray.images.jpeg import open_jpeg
from chest_xray.images.limits import Limits

Words = NDArray[np.uint8] | NDArray[np.uint16]

_JPEG: Final = {"1.2.840.10008.1.2.4.50": (BASELINE,), "1.2.840.10008.1.2.4.51": (BASELINE, EXTENDED)}
_RLE: Final = "1.2.840.10008.1.2.5"
# What GDCM decodes, with the JPEG process that the stream must name; 0 is JPEG 2000.
_WORKER: Final = {
    "1.2.840.10008.1.2.4.57": LOSSLESS,
    "1.2.840.10008.1.2.4.70": LOSSLESS,
    "1.2.840.10008.1.2.4.80": JPEG_LS,
    "1.2.840.10008.1.2.4.81": JPEG_LS,
    "1.2.840.10008.1.2.4.90": 0,
    "1.2.840.10008.1.2.4.91": 0,
}
# APP14 of Adobe with transform 0: the three components are RGB.
_ADOBE_RGB: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def read_pixels(elements: Elements, frame: Frame, limits: Limits) -> Words:
    """The stored words of a grey frame, or the luma of a colour frame.

    Raises:
        ImageError: the pixel data are not what the file says, are damaged, or of a transfer syntax that is not read.
    """
    if elements.fragments is None:
        return _native(elements.native or memoryview(b""), frame)
    stream = _one_frame(elements.fragments)
    syntax = elements.syntax
    if syntax in _JPEG:
        return _jpeg(stream, frame, _JPEG[syntax], limits)
    if syntax == _RLE:
        return _rle(stream, frame)
    if syntax in _WORKER:
        return _by_worker(stream, syntax, frame)
    raise ImageError(
        "The transfer syntax of the DICOM file is not read; little endian, deflated, RLE, JPEG Baseline, "
        "JPEG Lossless, JPEG-LS or JPEG 2000 is expected."
    )


def _one_frame(fragments: tuple[memoryview, ...]) -> bytes:
    """The fragments behind the offset table, joined."""
    if len(fragments) < 2:
        raise ImageError(f"The DICOM file is damaged: its {name(tags.PIXEL_DATA)} have no fragment.")
    if len(fragments[0]) > 4:
        raise ImageError(f"The offset table of {name(tags.PIXEL_DATA)} has several frames; one frame is expected.")
    return b"".join(fragments[1:])


def _native(pixels: memoryview, frame: Frame) -> Words:
    subsampled = frame.photometric == "YBR_FULL_422"
    if subsampled and frame.columns % 2:
        raise ImageError(f"{name(tags.COLUMNS)} is {frame.columns}; an even number is expected with YBR_FULL_422.")
    size = frame.rows * frame.columns * (2 if subsampled else frame.samples) * frame.allocated // 8
    if len(pixels) not in (size, size + size % 2):
        raise ImageError(
            f"The DICOM file is damaged: its {name(tags.PIXEL_DATA)} have {len(pixels):,} bytes, expected {size:,}."
        )
    if frame.colour:
        return _luma(np.frombuffer(pixels, np.uint8, size), frame)
    return np.frombuffer(pixels[:size], "<u2" if frame.allocated == 16 else "u1").reshape(frame.rows, frame.columns)


def _luma(values: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Luma (H, W) of 8-bit colours: Y of YBR as it stands, ITU-R BT.601 of RGB as for a PNG."""
    if frame.photometric == "YBR_FULL_422":
        # Y1 Y2 Cb Cr, PS3.3 C.7.6.3.1.2.
        return values.reshape(-1, 4)[:, :2].reshape(frame.rows, frame.columns)
    shape = (3, frame.rows, frame.columns) if frame.planar else (frame.rows, frame.columns, 3)
    colours = values.reshape(shape)
    if frame.photometric == "YBR_FULL":
        return np.ascontiguousarray(colours[0] if frame.planar else colours[..., 0])
    if frame.planar:
        image = Image.merge("RGB", [Image.fromarray(plane) for plane in colours])
    else:
        image = Image.fromarray(colours)
    return np.asarray(image.convert("L"))


def _jpeg(stream: bytes, frame: Frame, processes: tuple[int, ...], limits: Limits) -> NDArray[np.uint8]:
    header = jpeg_header(stream)
    if header.precision == 12 and header.process == EXTENDED:
        raise ImageError("JPEG Extended of 12 bits is not read; store the film as JPEG Lossless or JPEG 2000.")
    check_header(header, frame, processes)
    if frame.photometric == "RGB" and not header.adobe:
        stream = stream[:2] + _ADOBE_RGB + stream[2:]
    try:
        image, _orientation = open_jpeg(stream, limits)
    except (ImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageError("The DICOM file is damaged: its JPEG pixel data cannot be decoded.") from error
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _rle(stream: bytes, frame: Frame) -> Words:
    try:
        planes = decode_rle(stream, frame)
    except ValueError as error:
        raise ImageError("The DICOM file is damaged: a segment of its RLE frame is too short.") from error
    if frame.colour:
        return _luma(planes.reshape(-1), _planar(frame))
    if frame.allocated == 8:
        return planes.reshape(frame.rows, frame.columns)
    words = np.empty((frame.rows, frame.columns, 2), np.uint8)
    words[..., 1], words[..., 0] = planes.reshape(2, frame.rows, frame.columns)
    return words.view("<u2")[..., 0]


def _planar(frame: Frame) -> Frame:
    """`frame` as RLE stores it: colours one plane after the other, none of them subsampled."""
    photometric = "YBR_FULL" if frame.photometric.startswith("YBR") else "RGB"
    return Frame(frame.rows, frame.columns, 3, 8, 8, 7, False, photometric, True)


def _by_worker(stream: bytes, syntax: str, frame: Frame) -> Words:
    process = _WORKER[syntax]
    header: Header = jpeg_header(stream) if process else jpeg_2000_header(stream)
    check_header(header, frame, (process,))
    if frame.high != frame.stored - 1:
        raise ImageError(f"{name(tags.HIGH_BIT)} is {frame.high}; {frame.stored - 1} is expected in compressed pixels.")
    decoded = decode_in_worker(
        stream, syntax, frame.rows, frame.columns, samples=frame.samples, precision=header.precision
    )
    if not frame.colour:
        return np.frombuffer(decoded, "u1" if header.precision == 8 else "<u2").reshape(frame.rows, frame.columns)
    # GDCM gives JPEG 2000 as RGB, whatever the stream's own transform, and always pixel by pixel.
    photometric = frame.photometric if frame.photometric in ("RGB", "YBR_FULL") else "RGB"
    interleaved = Frame(frame.rows, frame.columns, 3, 8, 8, 7, False, photometric, False)
    return _luma(np.frombuffer(decoded, np.uint8), interleaved)
