"""JPEG (ITU-T T.81): the segments are walked and checked before Pillow sees any of them.

Metadata segments (EXIF, ICC, multi-picture indexes, comments) are read for the orientation only and not
passed on: Pillow parses and warns about some of them, process-wide, and none of them changes the grey
values. JPEG has no checksums: flipped bits inside the compressed pixels cannot be told from a picture.
"""

import io
from collections.abc import Iterator

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from chest_xray.errors import ImageError, ImageTooLargeError
from chest_xray.images.limits import Limits
from chest_xray.images.orientation import UPRIGHT, read_orientation

SIGNATURE = b"\xff\xd8\xff"
# Progressive files of real encoders have about ten scans; each one costs a pass over all pixels.
MAX_SCANS = 64

_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF = 0xE1
# JFIF and Adobe say how the components map to colours; the other application segments and comments do not.
_DROPPED = (frozenset(range(0xE1, 0xF0)) | {0xFE}) - {0xEE}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}


def open_jpeg(data: bytes, limits: Limits) -> tuple[Image.Image, int]:
    """Check a JPEG file and decode it; returns the image in its own mode and its EXIF orientation.

    Raises:
        ImageError: truncated, damaged, or with more scans than an encoder writes.
        ImageTooLargeError: the header declares more pixels than `limits` allow.
    """
    kept = [SIGNATURE[:2]]
    orientation = UPRIGHT
    sized = False
    for marker, segment in _segments(data):
        if marker in _FRAME_HEADERS:
            _check_size(segment, limits)
            sized = True
        if marker == _EXIF and segment[4:10] == b"Exif\0\0":
            orientation = read_orientation(segment[10:])
        if marker not in _DROPPED:
            kept.append(segment)
    if not sized:
        raise ImageError("The JPEG file is damaged: no frame header comes before its first scan.")
    image = JpegImageFile(io.BytesIO(b"".join(kept)))
    image.load()
    return image, orientation


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, segment with its marker); the last one begins at the first scan and is all the rest."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise ImageError(f"The JPEG file is damaged: no marker at byte {position}.")
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == _START_OF_SCAN:
            _check_scans(data, position)
            _check_end(data)
            yield marker, data[position:]
            return
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            end = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
            yield marker, data[position:end]
            position = end
    raise ImageError(f"The JPEG file is truncated: it ends after {len(data):,} bytes, before its first scan.")


def _check_scans(data: bytes, start: int) -> None:
    scans = data.count(bytes((0xFF, _START_OF_SCAN)), start)
    if scans > MAX_SCANS:
        raise ImageError(f"The JPEG file has {scans} scans; at most {MAX_SCANS} are decoded.")


def _check_end(data: bytes) -> None:
    """Refuse what follows the end of the image: a second picture, or another file in the same bytes.

    Inside a scan 0xFF is followed by 0 or by a restart marker, so that the first end after the last scan's start is it.
    Some cameras pad with zeros.
    """
    end = data.find(_END_OF_IMAGE, data.rfind(bytes((0xFF, _START_OF_SCAN)))) + 2
    if end >= 2 and data[end:].strip(b"\0"):
        raise ImageError(f"The JPEG file goes on for {len(data) - end:,} bytes behind its end; one image is expected.")


def _check_size(segment: bytes, limits: Limits) -> None:
    """Refuse an image by its frame header, counting colours: a file of many scans needs 2 bytes of each of them."""
    width, height = _dimensions(segment)
    limits.check_size(width, height)
    components = segment[9] if len(segment) > 9 else 1
    if width * height * components > 2 * limits.max_pixels:
        raise ImageTooLargeError(
            f"The JPEG file has {width}x{height} pixels of {components} colours; "
            f"at most {2 * limits.max_pixels:,} values are decoded."
        )


def _dimensions(segment: bytes) -> tuple[int, int]:
    """Width and height from a frame header: marker, length, precision, height, width."""
    if len(segment) < 9:
        raise ImageError("The JPEG file is damaged: its frame header is too short.")
    return int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
