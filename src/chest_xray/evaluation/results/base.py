"""What every part of evaluation.json is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chest_xray.bundle import Frozen, Probability, ShareInterval

Count = Annotated[int, Field(ge=0)]


class Estimate(Frozen):
    """A value between 0 and 1 with its interval."""

    value: Probability = Field(description="The value on all images that it is defined for.")
    ci95: ShareInterval | None = Field(description="95% interval over patients; null where there are too few to tell.")
