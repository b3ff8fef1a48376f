"""Bytes of an image file -> one film. The only place where image files are decoded.

Which decoder runs is decided by the file's first bytes, never by its name. Each Pillow plugin is called
directly rather than through `Image.open`, so that no other format can be reached and Pillow's bomb warning,
which is process-wide state, is not involved: `Limits` is what bounds the work. No state is shared between
calls, so any number of threads may decode.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.errors import ImageError
from chest_xray.images import jpeg, png
from chest_xray.images.film import Film, FullFilm, GreyImage, MediaType
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.images.orientation import UPRIGHT, apply_orientation
from chest_xray.images.preprocess import full_level

_Film = TypeVar("_Film", Film, FullFilm)
_Openers = dict[MediaType, Callable[[bytes, Limits], _Film]]
_BAND: Final = 256
_SIGNATURES: Final[dict[bytes, MediaType]] = {png.SIGNATURE: "image/png", jpeg.SIGNATURE: "image/jpeg"}
# What people send by mistake. Of any other file nothing is said: its first bytes may be a name.
_FOREIGN: Final = {
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"PK\3\4": "ZIP",
    b"\x1f\x8b": "gzip",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}


def decode_film(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Film:
    """Decode a PNG, JPEG or DICOM file, upright: uint16 for 16-bit grey PNG, else uint8.

    Colours become luma (ITU-R BT.601); transparent pixels become black, which is what surrounds an exposed
    field. DICOM is shown as a viewer would show it first, with bright bone.

    Raises:
        ImageError: not a PNG, JPEG or DICOM file, or one that is truncated, animated or damaged.
        ImageTooLargeError: more bytes or pixels than `limits` allow; nothing was decoded.
        ImageUnsuitableError: a DICOM file that by its own tags is no frontal radiograph of the chest.
    """
    return _open(data, limits, _OPENERS)


def decode_full(data: bytes, limits: Limits = DEFAULT_LIMITS) -> FullFilm:
    """Decode a PNG, JPEG or DICOM file for a viewer, upright and at the depth of the file.

    Pixels of PNG and JPEG are those of `decode_film`; those of DICOM are values after the modality LUT. 16-bit PNG are
    shown over the bits in use, as the network gets them.

    Raises:
        ImageError: as `decode_film`.
    """
    return _open(data, limits, _FULL_OPENERS)


def decode_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> GreyImage:
    """The grey values (H, W) of `decode_film`."""
    return decode_film(data, limits).grey


def _open(data: bytes, limits: Limits, openers: _Openers[_Film]) -> _Film:
    limits.check_bytes(len(data))
    media_type = _media_type(data)
    try:
        return openers[media_type](data, limits)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        name = media_type.rpartition("/")[2].upper()
        raise ImageError(f"The {name} file is damaged: {_one_line(error)}.") from error


def _media_type(data: bytes) -> MediaType:
    signed = [media_type for signature, media_type in _SIGNATURES.items() if data.startswith(signature)]
    dicom = data[128:132] == b"DICM"
    if signed and dicom:
        raise ImageError("The file claims to be both a picture and DICOM; one of them is expected.")
    if not signed and not dicom:
        foreign = [name for signature, name in _FOREIGN.items() if data.startswith(signature)]
        raise ImageError(f"The file is neither PNG nor JPEG nor DICOM{f' but {foreign[0]}' if foreign else ''}.")
    return "application/dicom" if dicom else signed[0]


def _open_png(data: bytes, limits: Limits) -> Film:
    return _picture(*png.open_png(data, limits), "image/png")


def _open_jpeg(data: bytes, limits: Limits) -> Film:
    return _picture(*jpeg.open_jpeg(data, limits), "image/jpeg")


def _open_dicom(data: bytes, limits: Limits) -> Film:
    from chest_xray.images.dicom.film import open_dicom

    return open_dicom(data, limits)


def _picture(image: Image.Image, orientation: int, media_type: MediaType) -> Film:
    grey = _to_grey(image)
    return Film(grey if orientation == UPRIGHT else apply_orientation(grey, orientation), media_type)


def _open_full_dicom(data: bytes, limits: Limits) -> FullFilm:
    from chest_xray.images.dicom.film import open_full_dicom

    return open_full_dicom(data, limits)


def _full_picture(film: Film) -> FullFilm:
    white = 255 if film.grey.dtype == np.uint8 else full_level(film.grey.astype(np.uint16, copy=False))
    return FullFilm(film, low=0.0, slope=1.0, window=(0.0, float(white)))


_OPENERS: Final[_Openers[Film]] = {
    "image/png": _open_png,
    "image/jpeg": _open_jpeg,
    "application/dicom": _open_dicom,
}
_FULL_OPENERS: Final[_Openers[FullFilm]] = {
    "image/png": lambda data, limits: _full_picture(_open_png(data, limits)),
    "image/jpeg": lambda data, limits: _full_picture(_open_jpeg(data, limits)),
    "application/dicom": _open_full_dicom,
}


def _to_grey(image: Image.Image) -> NDArray[Any]:
    if image.mode == "I;16":
        return np.asarray(image)
    if image.mode == "L" and not image.has_transparency_data:
        return np.asarray(image)
    grey = np.empty((image.height, image.width), np.uint8)
    # In bands: the copies that the steps below make would be four times the size of a large colour image.
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height)))
        grey[top : top + _BAND] = _band_to_grey(band)
    return grey


def _band_to_grey(image: Image.Image) -> NDArray[np.uint8]:
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
