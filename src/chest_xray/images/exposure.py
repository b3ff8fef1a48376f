"""Are a film's grey levels those of a picture? Judged on the film's own pixels: without padding and collimation.

Of 1,232 films of NIH ChestX-ray14, as their makers' windows show them, none has more than 29% of its exposed field on
black nor more than 7% on white, and none spans fewer than 99 levels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_ON_ONE_LEVEL: Final = 0.7
MOST_BLACK: Final = 0.4
MOST_WHITE: Final = 0.2
FEWEST_LEVELS: Final = 64
# Levels that the eye takes for black or white.
_ENDS: Final = 3
# Shares of pixels are told to 1% from so many rows and columns, in a hundredth of the time that all would take.
_SIDE: Final = 96
_FEWEST_PIXELS: Final = 256
# A row outside of the field varies by noise only: by so little of what the most varied tenth of the rows do.
_FLAT: Final = 0.05

_Words = NDArray[np.uint8] | NDArray[np.uint16]
_Values = NDArray[np.float64]


def own_words(words: _Words, values: _Values, padding: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A sample of an image's words (H, W) that are the film's own, as (N,); none where there are too few to judge.

    Left out are padding, what lies outside of the exposed field, and the lowest and the highest value, which the file
    itself has cut off. `values` and `padding` are by word.
    """
    sample = _thinned(words).astype(np.int64)
    field = sample[_field(values[sample])]
    own = field[~padding[field]]
    if own.size:
        stands_for = values[own]
        own = own[(stands_for > stands_for.min()) & (stands_for < stands_for.max())]
    return own if own.size >= _FEWEST_PIXELS else own[:0]


def fault_of_window(levels: NDArray[np.uint8]) -> str | None:
    """Why a window that shows a film's own pixels in these grey levels (N,) was meant for other values; None if not.

    A window for 8 bits puts most of a 12-bit film on white, one for 16 bits shows it in a sliver of the greys.
    """
    if not levels.size:
        return None
    counts = np.bincount(levels, minlength=256)
    share = counts.max() / levels.size
    if share > MOST_ON_ONE_LEVEL:
        return f"shows {share:.0%} of the film in one grey"
    spanned = span(counts)
    return f"shows the film in {spanned + 1} of 256 greys" if spanned < FEWEST_LEVELS else None


def saturated(pixels: NDArray[np.uint8]) -> tuple[float, float] | None:
    """The shares of a film's exposed field (H, W) that are black and white, where one of them is too large."""
    sample = _thinned(pixels)
    field = sample[_field(sample.astype(np.float64))]
    counts = np.bincount(field.ravel(), minlength=256)
    black, white = (float(end.sum() / field.size) for end in (counts[:_ENDS], counts[-_ENDS:]))
    return (black, white) if black > MOST_BLACK or white > MOST_WHITE else None


def span(counts: NDArray[np.int64]) -> int:
    """Grey levels between the darkest and the brightest hundredth of the pixels, 0..255, by their histogram (256,)."""
    below = counts.cumsum()
    low, high = np.searchsorted(below, (0.01 * below[-1], 0.99 * below[-1]))
    return int(high - low)


def _thinned(image: _Words) -> _Words:
    rows, columns = (max(1, side // _SIDE) for side in image.shape)
    return image[::rows, ::columns]


def _field(values: _Values) -> tuple[slice, slice]:
    """The rows and columns between the outermost that vary by more than noise: collimators are straight."""
    rows = _between(values.std(axis=1))
    return rows, _between(values[rows].std(axis=0))


def _between(spreads: _Values) -> slice:
    found = np.flatnonzero(spreads > _FLAT * np.sort(spreads)[9 * len(spreads) // 10])
    return slice(found[0], found[-1] + 1) if found.size else slice(None)
