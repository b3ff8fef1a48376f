"""The groups of patients that two models are compared in: by sex, by age band, by view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

AGE_BANDS: Final = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 121))  # years, the upper end excluded


@dataclass(frozen=True, slots=True)
class Group:
    """One group; `members` (N,) says which images belong to it. An image whose tag is not known is in no group."""

    kind: Literal["sex", "age", "view"]
    value: str
    members: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """For people: `sex F`, `age 40-60`, `view PA`."""
        return f"{self.kind} {self.value}"


def groups_of(ages: NDArray[np.float32], sexes: NDArray[np.str_], views: NDArray[np.str_]) -> list[Group]:
    """The groups that hold an image, of N images."""
    groups = [Group("sex", value, sexes == value) for value in ("F", "M")]
    groups += [Group("age", _band(low, high), (ages >= low) & (ages < high)) for low, high in AGE_BANDS]
    groups += [Group("view", value, views == value) for value in ("PA", "AP")]
    return [group for group in groups if group.members.any()]


def _band(low: int, high: int) -> str:
    return f"{low}+" if high == AGE_BANDS[-1][1] else f"{low}-{high}"
