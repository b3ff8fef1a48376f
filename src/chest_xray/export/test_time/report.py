"""test_time.json: what several looks at a film gain on the test list, and what they cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Sha256
from chest_xray.evaluation.comparison.results import Difference, MeanDifference
from chest_xray.export.compress.report import MapAgreement
from chest_xray.notices import RESEARCH_USE_ONLY


class TestTimeOption(Frozen):
    """One option against the plain film on the same images: A is plain, B the option."""

    __test__ = False  # no test, whatever its name

    name: str
    description: str
    passes: int = Field(ge=1, description="Films that the network sees for one.")
    ms: float = Field(gt=0, description="Median of one film, on all processors, views made and averaged.")
    cost: float = Field(gt=0, description="`ms` over that of the plain film.")
    mean: MeanDifference
    findings: dict[str, Difference]
    maps: MapAgreement = Field(description="Its heat maps against the plain film's.")


class TestTime(Frozen):
    """The content of test_time.json."""

    __test__ = False

    format: Literal["cxr-test-time/1"] = "cxr-test-time/1"
    notice: str = RESEARCH_USE_ONLY
    bundles: list[Sha256] = Field(description="The first is the plain one; all of them are the ensemble.")
    data_hash: Sha256
    label_version: str
    images: int
    patients: int
    rounds: int
    seed: int
    threads: int
    timed_films: int
    plain_ms: float
    options: list[TestTimeOption]
    notes: list[str]
