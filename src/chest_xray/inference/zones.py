"""Where a heat map lies, in the words of a report: "right lower zone", "both lower zones", "central".

The film is upright and frontal, so that the patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chest_xray.images.class_maps import FAINT
from chest_xray.prediction import Prediction

Side = Literal["right", "left"]
Height = Literal["upper", "mid", "lower"]
Zone = tuple[Side, Height] | Literal["central"]

CENTRAL: Final = "central"
# Below this part of full colour a map cannot be seen on the film (opacity 0.055), and nothing is said of it.
_VISIBLE: Final = 0.1
_PART_OF_STRONGEST: Final = 0.5
_HEIGHTS: Final[tuple[Height, ...]] = get_args(Height)
# Where the bands end across the film, in fifths of its width.
_BANDS: Final = (0, 2, 3, 5)


def locations(prediction: Prediction) -> dict[str, str | None]:
    """`describe` of each heat map of a prediction; None throughout for a film whose sides are in doubt."""
    turned = any(warning.check in ("rotated", "orientation") for warning in prediction.quality)
    return {finding: None if turned else describe(cam) for finding, cam in prediction.heat_maps.items()}


def describe(cam: NDArray[np.float32]) -> str | None:
    """The zones of a map (h, w), in shares of the logit, as words; None where it has no evidence to be seen."""
    zones = zones_of(cam)
    lungs = {side: [height for height in _HEIGHTS if (side, height) in zones] for side in get_args(Side)}
    if lungs["right"] == lungs["left"]:
        parts = [_part("both", lungs["right"])]
    else:
        parts = [_part(side, heights) for side, heights in lungs.items()]
    if CENTRAL in zones:
        parts.append(CENTRAL)
    return ", ".join(part for part in parts if part) or None


def zones_of(cam: NDArray[np.float32]) -> frozenset[Zone]:
    """The zones of a map (h, w) that its evidence, the positive part, lies in.

    The film is divided into a central band, a fifth of its width, and at each side of it an upper, a mid and a lower
    third of its height. A zone counts if it holds at least half of the evidence that the strongest zone holds; a cell
    that lies in several zones is shared among them by area.

    Thirds are those of the ILO's classification of radiographs (2011), which takes them of the lungs; where the lungs
    end on a film is not known here, so that they are thirds of the film. A fifth is the mediastinum: up to 8 cm (the
    usual limit for a widened one) of a film that is 35 to 43 cm wide.
    """
    evidence = np.maximum(cam.astype(np.float64), 0.0)
    if cam.size == 0 or evidence.max() < _VISIBLE * FAINT:
        return frozenset()
    height, width = cam.shape
    held = _overlaps(height, (0, 1, 2, 3)) @ evidence @ _overlaps(width, _BANDS).T
    zones: dict[Zone, float] = {CENTRAL: float(held[:, 1].sum())}
    for row, name in enumerate(_HEIGHTS):
        zones["right", name], zones["left", name] = float(held[row, 0]), float(held[row, 2])
    # Rounded, so that the order in which cells are added up decides nothing.
    strongest = max(zones.values())
    return frozenset(zone for zone, share in zones.items() if round(share / strongest, 9) >= _PART_OF_STRONGEST)


def _overlaps(cells: int, ends: tuple[int, ...]) -> NDArray[np.float64]:
    """How much of each of `cells` lies in each band (bands, cells). Bands end at `ends`, in parts of the last of them.

    In whole numbers: a cell is `ends[-1]` long, the film `cells * ends[-1]`.
    """
    whole = ends[-1]
    starts = np.arange(cells) * whole
    shared = [
        np.minimum(starts + whole, end * cells) - np.maximum(starts, begin * cells) for begin, end in pairwise(ends)
    ]
    return np.asarray(np.maximum(np.stack(shared), 0), np.float64)


def _part(side: str, heights: Collection[Height]) -> str:
    if not heights:
        return ""
    if len(heights) == len(_HEIGHTS):
        return "both lungs" if side == "both" else f"{side} lung"
    several = len(heights) > 1 or side == "both"
    return f"{side} {' and '.join(heights)} zone{'s' if several else ''}"
