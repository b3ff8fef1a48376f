"""What every part of evaluation.json is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chest_xray.bundle import Probability

Interval = tuple[Probability, Probability]
Signed = tuple[float, float]
Count = Annotated[int, Field(ge=0)]


class Frozen(BaseModel):
    """A part of a document: nothing unknown in it, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Frozen):
    """A value between 0 and 1 with its interval."""

    value: Probability = Field(description="The value on all images that it is defined for.")
    ci95: Interval | None = Field(description="95% interval over patients; null where there are too few to tell.")
