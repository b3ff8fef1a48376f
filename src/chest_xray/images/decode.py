"""Bytes of an image file -> one grey array. The only place where image files are decoded.

Which decoder runs is decided by the file's first bytes, never by its name. Each Pillow plugin is called
directly rather than through `Image.open`, so that no other format can be reached and Pillow's bomb warning,
which is process-wide state, is not involved: `Limits` is what bounds the work. No state is shared between
calls, so any number of threads may decode.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.errors import ImageError
from chest_xray.images import jpeg, png
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.images.orientation import UPRIGHT, apply_orientation

GreyImage = NDArray[np.uint8] | NDArray[np.uint16]

_Opener = Callable[[bytes, Limits], tuple[Image.Image, int]]
_OPENERS: Final[dict[bytes, tuple[str, _Opener]]] = {
    png.SIGNATURE: ("PNG", png.open_png),
    jpeg.SIGNATURE: ("JPEG", jpeg.open_jpeg),
}


def decode_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> GreyImage:
    """Decode a PNG or JPEG file to grey values (H, W), upright: uint16 for 16-bit grey PNG, else uint8.

    Colours become luma (ITU-R BT.601); transparent pixels become black, which is what surrounds an exposed
    field.

    Raises:
        ImageError: not a PNG or JPEG file, or one that is truncated, animated or damaged.
        ImageTooLargeError: more bytes or pixels than `limits` allow; nothing was decoded.
    """
    limits.check_bytes(len(data))
    name, opener = _opener(data)
    try:
        image, orientation = opener(data, limits)
        grey = _to_grey(image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise ImageError(f"The {name} file is damaged: {_one_line(error)}.") from error
    return grey if orientation == UPRIGHT else apply_orientation(grey, orientation)


def _opener(data: bytes) -> tuple[str, _Opener]:
    for signature, named_opener in _OPENERS.items():
        if data.startswith(signature):
            return named_opener
    raise ImageError(f"The file is neither PNG nor JPEG: it begins with {data[:8].hex(' ')}.")


def _to_grey(image: Image.Image) -> NDArray[Any]:
    if image.mode == "I;16":
        return np.asarray(image)
    if image.has_transparency_data:
        image = _over_black(image if image.mode == "RGBA" else image.convert("RGBA"))
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _over_black(image: Image.Image) -> Image.Image:
    if image.getchannel("A").getextrema() == (255, 255):
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
