"""What `cxr doctor` finds: one line for each thing that a step needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """`unknown` is what could not be looked up, which a step may need or not. `cure` says what to do, if anything."""

    name: str
    state: State
    found: str
    cure: str = ""
