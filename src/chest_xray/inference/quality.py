"""What a picture itself tells against its scores: blank, flat, saturated, inverted, turned, cropped, too small.

Poses are told by the bundle's linear discriminant over thumbnails; the bundle's margins come from validation films. Of
the poses that are likelier than upright by their margin, the likeliest is named. A blank film has no pose. What its
file says against it comes with the film (`Film.doubts`).
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle, QualityProfile
from chest_xray.bundle.film_statistics import POSES, FilmStatistics
from chest_xray.images.coarse import grey_range, thumbnail
from chest_xray.images.exposure import FEWEST_LEVELS, saturated
from chest_xray.prediction import QualityCheck, QualityWarning

_DETAILS: Final = {
    "inverted": "The film looks inverted: bone dark and air bright.",
    "rotated_90": "The film looks turned to the left by 90 degrees.",
    "rotated_180": "The film looks turned upside down.",
    "rotated_270": "The film looks turned to the right by 90 degrees.",
    "cropped": "The film looks cropped: it shows a part of a chest.",
}


class QualityChecks:
    """The checks of one bundle. Safe to call from several threads at once."""

    def __init__(self, statistics: FilmStatistics, profile: QualityProfile, image_size: int):
        self._statistics = statistics
        self._image_size = image_size
        self._blank_range = profile.blank_range
        margins: dict[QualityCheck, float] = {
            "inverted": profile.inverted_margin,
            "rotated": profile.rotated_margin,
            "cropped": profile.cropped_margin,
        }
        self._checks = tuple(_check_of(pose) for pose in POSES[1:])
        self._margins = np.array([margins[check] for check in self._checks])

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """The checks with the bundle's statistics and margins."""
        return cls(bundle.statistics, bundle.manifest.quality, bundle.manifest.image_size)

    def judge(self, pixels: NDArray[np.uint8], *, width: int, height: int) -> tuple[QualityWarning, ...]:
        """The warnings of a film, at most one of each check.

        Args:
            pixels: the network's input (S, S).
            width: of the film as it came, in pixels.
            height: of the film as it came, in pixels.
        """
        found = grey_range(pixels)
        blank = self._blank(found)
        seen = (blank,) if blank else (_low_contrast(found), _saturated(pixels), self._pose(pixels))
        return tuple(warning for warning in (self._too_small(width, height), *seen) if warning is not None)

    def _too_small(self, width: int, height: int) -> QualityWarning | None:
        size = self._image_size
        if min(width, height) >= size:
            return None
        return QualityWarning(
            "too_small", f"The film has {width}x{height} pixels; the network looks at {size}x{size} and sees a blur."
        )

    def _blank(self, found: int) -> QualityWarning | None:
        if found >= self._blank_range:
            return None
        return QualityWarning("blank", f"The film is almost blank: its grey values span {found} of 255 levels.")

    def _pose(self, pixels: NDArray[np.uint8]) -> QualityWarning | None:
        gains = self._statistics.pose_gains(thumbnail(pixels)[np.newaxis])[0]
        over = np.where(gains > self._margins, gains, -np.inf)
        best = int(over.argmax())
        if not np.isfinite(over[best]):
            return None
        check, pose = self._checks[best], POSES[1 + best]
        return QualityWarning(check, _DETAILS["cropped" if check == "cropped" else pose])


def _low_contrast(found: int) -> QualityWarning | None:
    if found >= FEWEST_LEVELS:
        return None
    return QualityWarning("low_contrast", f"The film has little contrast: its grey values span {found} of 255 levels.")


def _saturated(pixels: NDArray[np.uint8]) -> QualityWarning | None:
    shares = saturated(pixels)
    if shares is None:
        return None
    black, white = shares
    return QualityWarning(
        "saturated", f"Much of the film shows nothing: {black:.0%} of its field is black and {white:.0%} is white."
    )


def _check_of(pose: str) -> QualityCheck:
    if pose == "inverted":
        return "inverted"
    return "rotated" if pose.startswith("rotated") else "cropped"
