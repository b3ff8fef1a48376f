"""Patient Orientation (PS3.3 C.7.6.1.1.1): which side of the patient lies at the right and at the bottom of a film.

A frontal film for viewing is L, F: its rows run to the patient's left, its columns to the feet. Any other turn of it is
undone, with a warning; where an axis runs front to back the film is no frontal one.
"""

import re
from typing import Final

from chest_xray.errors import ImageUnsuitableError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, text
from chest_xray.images.film import Doubt
from chest_xray.images.orientation import UPRIGHT

_DIRECTION: Final = re.compile(rb"[LRAPHF]{1,3}")
# By the directions of rows and columns: the orientation as EXIF counts it, and what the film is as it is stored.
_TURNS: Final = {
    b"LF": (UPRIGHT, ""),
    b"RF": (2, "mirrored"),
    b"RH": (3, "upside down"),
    b"LH": (4, "upside down and mirrored"),
    b"FL": (5, "on its side and mirrored"),
    b"FR": (6, "on its side"),
    b"HR": (7, "on its side and mirrored"),
    b"HL": (8, "on its side"),
}


def check_frontal(values: Values) -> None:
    """Refuse a film whose rows or columns run from the patient's front to the back.

    Raises:
        ImageUnsuitableError: it is a lateral or an axial view.
    """
    if any(direction[:1] in (b"A", b"P") for direction in _directions(values)):
        raise ImageUnsuitableError(f"{name(tags.ORIENTATION)} is that of a lateral film; a frontal one is expected.")


def orientation(values: Values) -> tuple[int, Doubt | None]:
    """How to turn the stored film upright, 1..8 as EXIF counts it, and what is to be said of it."""
    directions = _directions(values)
    if not directions:
        return UPRIGHT, None
    turn, stored = _TURNS.get(b"".join(direction[:1] for direction in directions), (UPRIGHT, "neither way up"))
    if not stored:
        return UPRIGHT, None
    if stored == "neither way up" or any(len(direction) > 1 for direction in directions):
        return UPRIGHT, _doubt("is not plain: the film may be turned or mirrored.")
    return turn, _doubt(f"says that the film is stored {stored}; it was put right.")


def _doubt(what: str) -> Doubt:
    return Doubt("orientation", f"{name(tags.ORIENTATION)} {what}")


def _directions(values: Values) -> tuple[bytes, ...]:
    """Of rows and of columns; none where the tag is absent or says something else."""
    parts = tuple(part.strip().upper() for part in text(values, tags.ORIENTATION).split(b"\\"))
    return parts if len(parts) == 2 and all(_DIRECTION.fullmatch(part) for part in parts) else ()
