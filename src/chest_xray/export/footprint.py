"""Energy, carbon and cost of a training run: its measured seconds times rates that a person states.

energy [kWh] = seconds / 3600 x watts / 1000, carbon [g CO2e] = energy x the grid's g CO2e a kWh, cost = hours x the
machine's price (Lacoste et al., "Quantifying the carbon emissions of machine learning", 2019). Nothing is guessed: what
nobody measured or stated is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chest_xray.errors import SettingsError


class Rates(BaseModel):
    """What a person states of the machine that trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    watts: float | None = Field(default=None, gt=0, description="Mean power of the machine that trained, in watts.")
    grid_gco2: float | None = Field(default=None, ge=0, description="Its grid's emissions, in grams of CO2e a kWh.")
    usd_per_hour: float | None = Field(default=None, ge=0, description="The machine's price, in US dollars an hour.")

    @classmethod
    def from_options(cls, values: Mapping[str, float | None]) -> Self:
        """Read the options of `cxr export`.

        Raises:
            SettingsError: a value that cannot be used.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = "--" + str(first["loc"][0]).replace("_", "-")
            raise SettingsError(f"{name} is {first['input']}: {first['msg']}.") from error


STATED_NOTHING: Final = Rates()


class Footprint(BaseModel):
    """A run's measured time under stated rates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float | None = Field(description="Wall-clock seconds of training, as the run's record has them.")
    device: str | None
    rates: Rates

    @property
    def kwh(self) -> float | None:
        """Energy; None where the time was not measured or the power not stated."""
        if self.seconds is None or self.rates.watts is None:
            return None
        return self.seconds / 3600 * self.rates.watts / 1000

    @property
    def gco2(self) -> float | None:
        """Carbon, grams of CO2e; None where the energy or the grid's emissions are not known."""
        return None if self.kwh is None or self.rates.grid_gco2 is None else self.kwh * self.rates.grid_gco2

    @property
    def usd(self) -> float | None:
        """Cost; None where the time or the price is not known."""
        if self.seconds is None or self.rates.usd_per_hour is None:
            return None
        return self.seconds / 3600 * self.rates.usd_per_hour
