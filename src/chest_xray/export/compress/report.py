"""compression.json: how a compressed graph was made, and what it was accepted for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Probability, Sha256, Variant
from chest_xray.evaluation.comparison.results import Comparison, describe_difference


class MapAgreement(Frozen):
    """Pearson's correlation of heat maps before and after, over films and findings; flat maps are left out."""

    mean: float
    least: float
    percentiles: dict[str, float] = Field(description="The 1st, 5th, 25th and 50th.")
    by_finding: dict[str, float]
    flat: int = Field(description="Pairs left out because one of the maps is the same everywhere.")


class Refusals(Frozen):
    """Share of test films that the guard finds unlike the training films, each graph with its own thresholds."""

    before: Probability
    after: Probability
    stated: Probability = Field(description="The rate that the compressed bundle's guard promises at most.")


class Compression(Frozen):
    """compression.json: how a compressed graph was made, and what it was accepted for."""

    format: Literal["cxr-compression/1"] = "cxr-compression/1"
    method: Variant
    compressed_from: Sha256
    calibration_images: int
    excluded: list[str] = Field(description="Layers left in float.")
    layers: int
    size: float = Field(gt=0, description="Bytes of the graph over those of the graph before.")
    agreement: MapAgreement
    refusals: Refusals
    comparison: Comparison = Field(description="A: before, B: after.")

    @property
    def verdict(self) -> str:
        """One line: what it costs and what it saves."""
        mean = self.comparison.mean
        a, b = (0.0 if value is None else value for value in (mean.a, mean.b))
        return (
            f"mean AUROC {b:.4f} against {a:.4f}, {describe_difference(mean)}; heat maps correlate at "
            f"{self.agreement.mean:.4f}; the graph has {self.size:.3f} of its bytes; {len(self.excluded)} of "
            f"{self.layers} layers stayed in float."
        )
