"""RLE Lossless (PS3.5 annex G): one PackBits segment a byte plane, unpacked by Pillow's own decoder."""

from itertools import pairwise
from struct import unpack_from
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.errors import ImageError
from chest_xray.images.dicom.frame import Frame

_HEADER: Final = 64


def decode_rle(stream: bytes, frame: Frame) -> NDArray[np.uint8]:
    """The byte planes (samples x bytes of a sample, H x W) of a frame, the most significant byte first.

    A plane is unpacked as one long row, because some writers let a run go on into the next row.

    Raises:
        ImageError: another number of segments than the file says, or one outside the stream or too short.
    """
    planes = frame.samples * frame.allocated // 8
    if len(stream) < _HEADER or unpack_from("<I", stream)[0] != planes:
        raise ImageError(f"The DICOM file is damaged: its RLE frame has no header of {planes} segments.")
    starts = [*unpack_from(f"<{planes}I", stream, 4), len(stream)]
    if starts[0] < _HEADER or starts != sorted(starts):
        raise ImageError("The DICOM file is damaged: the segments of its RLE frame lie outside of it.")
    size = frame.rows * frame.columns
    unpacked = np.empty((planes, size), np.uint8)
    for plane, (start, end) in enumerate(pairwise(starts)):
        unpacked[plane] = np.asarray(Image.frombytes("L", (size, 1), stream[start:end], "packbits", "L"))[0]
    return unpacked
