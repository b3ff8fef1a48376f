"""Draw a class activation map over its film.

Only evidence for the finding is drawn, the positive part of the map. Colour and opacity both grow with it, on a scale
that starts at 0 and never ends below `FAINT`: a map without evidence stays nearly invisible instead of being stretched
until it looks like a find.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chest_xray.findings import RESEARCH_USE_ONLY
from chest_xray.images.decode import decode_image
from chest_xray.images.limits import DEFAULT_LIMITS, Limits

FAINT: Final = 1.0
OPACITY: Final = 0.55
LEGEND_WIDTH: Final = 768  # pixels that a legend needs; smaller films are enlarged to it

# Plasma by Nathaniel Smith and Stefan van der Walt (CC0), at nine even steps: even to the eye and to most colour-blind
# eyes, and no grey in it, so that it cannot be taken for the film.
_ANCHORS: Final = (
    (13, 8, 135),
    (76, 2, 161),
    (126, 3, 168),
    (170, 35, 149),
    (204, 71, 120),
    (229, 107, 93),
    (248, 148, 65),
    (253, 195, 40),
    (240, 249, 33),
)


def colours(levels: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Levels 0..1 of any shape (...) to colours (..., 3); levels outside are clipped."""
    steps = np.linspace(0.0, 1.0, len(_ANCHORS))
    channels = [np.interp(levels, steps, channel) for channel in zip(*_ANCHORS, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def evidence(cam: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The positive part of a map (h, w), smoothly enlarged to (height, width), in shares of the logit."""
    enlarged = Image.fromarray(cam.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    positive: NDArray[np.float32] = np.maximum(np.asarray(enlarged, dtype=np.float32), np.float32(0))
    return positive


def full_scale(cam: NDArray[np.float32]) -> float:
    """The share of the logit that is drawn in the last colour: the map's largest, but at least `FAINT`."""
    return max(float(cam.max()), FAINT)


def overlay(film: NDArray[Any], cam: NDArray[np.float32], *, full: float | None = None) -> NDArray[np.uint8]:
    """A film (H, W), uint8 or uint16, with its map (h, w) drawn over it: colours (H, W, 3).

    `full` is the evidence drawn in the last colour, for maps that are to be compared; by default `full_scale(cam)`.
    """
    levels = np.minimum(evidence(cam, *film.shape) / (full or full_scale(cam)), 1.0)
    opacity = (OPACITY * levels)[..., np.newaxis]
    grey = _displayed(film)[..., np.newaxis].astype(np.float32)
    mixed: NDArray[np.uint8] = (grey * (1 - opacity) + colours(levels) * opacity).round().astype(np.uint8)
    return mixed


def overlay_png(
    image: bytes, cam: NDArray[np.float32], *, caption: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The PNG file of an image file's film with a map over it and, below a caption, the notice and the colours' scale.

    Raises:
        ImageError: the bytes are not an image that can be read.
    """
    film = _displayed(decode_image(image, limits))
    if caption is None:
        picture = Image.fromarray(overlay(film, cam))
    else:
        picture = _with_legend(Image.fromarray(overlay(_wide_enough(film), cam)), caption, full_scale(cam))
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def map_png(cam: NDArray[np.float32], size: int) -> bytes:
    """A map (h, w) alone, as a transparent PNG (size, size) to lay over the film: it then looks as `overlay` draws it.

    A picture of 256 levels with their colours and opacities in its palette, which is a third of the bytes of RGBA and
    off by at most half a level.
    """
    levels = np.minimum(evidence(cam, size, size) * np.float32(255.0 / full_scale(cam)), np.float32(255.0))
    picture = Image.fromarray(np.rint(levels).astype(np.uint8))
    scale = np.linspace(0.0, 1.0, 256)
    picture.putpalette(colours(scale).tobytes())
    opacities = (255 * OPACITY * scale).round().astype(np.uint8).tobytes()
    stream = io.BytesIO()
    picture.save(stream, format="PNG", transparency=opacities, compress_level=1)
    return stream.getvalue()


def _displayed(film: NDArray[Any]) -> NDArray[np.uint8]:
    """8 bits for the eye: a 16-bit film is stretched from its darkest to its brightest value."""
    if film.dtype == np.uint8:
        return film
    low, high = int(film.min()), int(film.max())
    return ((film.astype(np.float32) - low) * (255.0 / max(high - low, 1))).round().astype(np.uint8)


def _wide_enough(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = film.shape
    if width >= LEGEND_WIDTH:
        return film
    size = (LEGEND_WIDTH, max(1, round(height * LEGEND_WIDTH / width)))
    return np.asarray(Image.fromarray(film).resize(size, Image.Resampling.BICUBIC))


def _with_legend(picture: Image.Image, caption: str, full: float) -> Image.Image:
    """A strip below the picture: caption and notice at the left, the colours from 0 to `full` at the right."""
    width, height = picture.size
    line = width // 40
    font = ImageFont.load_default(size=line * 0.75)
    whole = Image.new("RGB", (width, height + 3 * line), (16, 16, 16))
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    draw.text((line, height + line), caption, font=font, fill="white", anchor="lm")
    draw.text((line, height + 2 * line), RESEARCH_USE_ONLY, font=font, fill=(170, 170, 170), anchor="lm")
    left, right, top = width - width // 4, width - line, height + line // 2
    whole.paste(Image.fromarray(colours(np.tile(np.linspace(0, 1, right - left), (line, 1)))), (left, top))
    for x, text, anchor in ((left, "0", "lm"), (right, f"+{full:.1f}", "rm"), ((left + right) // 2, "evidence", "mm")):
        draw.text((x, height + 2 * line), text, font=font, fill="white", anchor=anchor)
    return whole
