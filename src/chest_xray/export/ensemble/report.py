"""ensemble.json: what the members are, and what their mean gains over each of them on the test list."""

from __future__ import annotations

from typing import Literal

from chest_xray.bundle import Frozen, Sha256
from chest_xray.evaluation.comparison.results import MeanDifference, describe_difference
from chest_xray.notices import RESEARCH_USE_ONLY


class Member(Frozen):
    """One member; `gain` has it as A and the ensemble as B, on the same test images."""

    name: str
    digest: Sha256
    gain: MeanDifference


class Ensemble(Frozen):
    """The content of ensemble.json."""

    format: Literal["cxr-ensemble/1"] = "cxr-ensemble/1"
    notice: str = RESEARCH_USE_ONLY
    data_hash: Sha256
    label_version: str
    images: int
    patients: int
    rounds: int
    seed: int
    members: list[Member]

    @property
    def verdict(self) -> str:
        """One line: what the ensemble gains over each member."""
        told = "; ".join(f"{describe_difference(member.gain)} over {member.name}" for member in self.members)
        auroc = self.members[0].gain.b
        return f"mean AUROC {'n/a' if auroc is None else f'{auroc:.3f}'}: {told}"
