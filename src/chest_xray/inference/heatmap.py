"""Draw a class activation map over its film.

Only evidence for the finding is drawn, the positive part of the map. Colour and opacity both grow with it, on a scale
that starts at 0 and never ends below `FAINT`: a map without evidence stays nearly invisible instead of being stretched
until it looks like a find.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chest_xray.images.class_maps import OPACITY, colours, displayed, evidence, full_scale, overlay
from chest_xray.images.decode import decode_image
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.notices import RESEARCH_USE_ONLY

LEGEND_WIDTH: Final = 768  # pixels that a legend needs; smaller films are enlarged to it


def overlay_png(
    image: bytes, cam: NDArray[np.float32], *, caption: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The PNG file of an image file's film with a map over it and, below a caption, the notice and the colours' scale.

    Raises:
        ImageError: the bytes are not an image that can be read.
    """
    film = displayed(decode_image(image, limits))
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
