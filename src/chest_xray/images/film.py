"""What a decoded image file is: grey values and the few facts about them that may be kept."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8] | NDArray[np.uint16]
MediaType = Literal["image/png", "image/jpeg", "application/dicom"]
View = Literal["PA", "AP"]
Sex = Literal["F", "M"]
FileCheck = Literal["window", "bits_stored", "for_processing", "orientation"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that a file says of itself, or contradicts, which makes its picture doubtful; `detail` is a sentence.

    `window`: its VOI does not show the film, and the film's own range was taken. `bits_stored`: its values need more
    bits than it says. `for_processing`: raw values. `orientation`: stored turned or mirrored.
    """

    check: FileCheck
    detail: str


@dataclass(frozen=True, slots=True)
class Film:
    """One image file, decoded.

    `grey` (H, W) is upright, with bright bone: uint8, or uint16 for a 16-bit grey PNG. `view`, `age` in years and `sex`
    come from DICOM tags; None where the file does not say. `doubts` are a DICOM file's, at most one of each check.
    Nothing else of a file's metadata is kept.
    """

    grey: GreyImage
    media_type: MediaType
    view: View | None = None
    age: int | None = None
    sex: Sex | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class FullFilm:
    """One image file at the depth that it has, for a viewer that lets its user choose the window.

    `film.grey` (H, W) is upright, uint8 or uint16. A pixel p stands for `low + slope * p`. It is shown, 0 black to 1
    white, as (p - window[0]) / (window[1] - window[0]), clipped, or as 1 less that if `inverted`: that is `decode_film`
    of the same file, to one grey level of 256. `baked` says that a VOI LUT or a sigmoid, which no window can undo, is
    in the pixels already. Padding is black under this window.
    """

    film: Film
    low: float
    slope: float
    window: tuple[float, float]
    inverted: bool = False
    baked: bool = False
