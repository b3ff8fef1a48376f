"""Network input -> what its quality is told from: coarse light and dark for its pose, the grey levels that it uses."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chest_xray.bundle.film_statistics import THUMBNAIL_SIDE
from chest_xray.images.exposure import span


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The means of 32 x 32 cells of a film (S, S), as (1024,) with mean 0 and standard deviation 1.

    A film whose cells differ by less than one grey level is not stretched to that.
    """
    cells = Image.fromarray(pixels).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    values = np.asarray(cells, dtype=np.float64).ravel()
    values -= values.mean()
    return values / max(float(values.std()), 1.0)


def grey_range(pixels: NDArray[np.uint8]) -> int:
    """Grey levels between the darkest and the brightest hundredth of the pixels, 0..255: a marker alone is no range."""
    return span(np.bincount(pixels.ravel(), minlength=256))
