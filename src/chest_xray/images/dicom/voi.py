"""Values of interest (PS3.3 C.11.2): a window or a lookup table of the file, as values and the range that is shown.

The real range of a table's entries decides what is white, not the bits that its descriptor names: CR readers of more
than one maker write 16 there and use 12, others write 8 and use 12. A descriptor that the largest entry bears out is
taken at its word, so that a table which ends short of white does.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.errors import ImageError
from chest_xray.images.dicom import tags
from chest_xray.images.dicom.tags import name
from chest_xray.images.dicom.values import Values, decimal, descriptor, term
from chest_xray.images.dicom.walk import Elements

Floats = NDArray[np.float64]
_LINEAR, _EXACT, _SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"
_FULL: Final = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Shades:
    """Values and the range that they are shown over; `baked` if a VOI made them that is not linear."""

    values: Floats
    low: float
    high: float
    baked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table: its entries, the first value that it maps, and the white of its entries."""

    entries: Floats
    first: int
    white: float

    def look_up(self, values: NDArray[np.int64]) -> Floats:
        """The entries of values; what lies outside has the first or the last entry."""
        return self.entries[np.clip(values - self.first, 0, len(self.entries) - 1)]


def read_voi(modality: Floats, elements: Elements) -> Shades | None:
    """What the file's VOI makes of values behind the modality LUT; None where it has none.

    Raises:
        ImageError: a lookup table or a window that the standard does not allow.
    """
    item = elements.items.get(tags.VOI_LUT)
    if item:
        table = read_table(item, signed=bool(modality.min() < 0))
        return Shades(table.look_up(np.rint(modality).astype(np.int64)), 0, table.white, baked=True)
    center, width = decimal(elements.values, tags.WINDOW_CENTER), decimal(elements.values, tags.WINDOW_WIDTH)
    if center is None or width is None:
        return None
    return _window(modality, center, width, term(elements.values, tags.VOI_FUNCTION) or _LINEAR)


def read_table(item: Values, *, signed: bool) -> Table:
    """A modality or VOI lookup table, with entries of 16 bits or of 8 bits packed two in a word.

    Raises:
        ImageError: its descriptor is none, or its data have another length.
    """
    count, first, bits = descriptor(item, tags.LUT_DESCRIPTOR, signed=signed)
    data = item.get(tags.LUT_DATA, b"")
    if not 8 <= bits <= 16:
        raise ImageError(f"{name(tags.LUT_DESCRIPTOR)} says {bits} bits an entry; 8 to 16 are expected.")
    entries: NDArray[np.uint16] | NDArray[np.uint8]
    if len(data) == 2 * count:
        entries = np.frombuffer(data, "<u2")
    elif bits == 8 and len(data) == count + count % 2:
        entries = np.frombuffer(data, np.uint8, count)
    else:
        raise ImageError(f"{name(tags.LUT_DATA)} has {len(data):,} bytes for {count:,} entries; two each are expected.")
    return Table(entries.astype(np.float64), first, _white(int(entries.max()), bits))


def _white(largest: int, bits: int) -> float:
    return 2**bits - 1 if largest.bit_length() == bits else max(largest, 1)


def _window(x: Floats, center: float, width: float, function: str) -> Shades:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function not in (_LINEAR, _EXACT, _SIGMOID):
        raise ImageError(f"{name(tags.VOI_FUNCTION)} is not read; LINEAR, LINEAR_EXACT or SIGMOID is expected.")
    if width <= 0 or (function == _LINEAR and width < 1):
        raise ImageError(f"{name(tags.WINDOW_WIDTH)} is too small; at least 1 is expected, more than 0 for the others.")
    if function == _SIGMOID:
        return Shades(_FULL / (1 + np.exp(-np.clip(4 * (x - center) / width, -60, 60))), 0, _FULL, baked=True)
    if function == _LINEAR:
        center, width = center - 0.5, width - 1
    if width == 0:
        below, above = x[x <= center], x[x > center]
        return Shades(x, float(below.max(initial=x.min() - 1)), float(above.min(initial=x.max() + 1)))
    return Shades(x, center - width / 2, center + width / 2)
