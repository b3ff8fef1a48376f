"""robustness.json: AUROC, changed flags and warnings at each level of each perturbation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Probability, Sha256
from chest_xray.notices import RESEARCH_USE_ONLY


class Change(Frozen):
    """AUROC on perturbed films, and how far it is from that of the same films as they are."""

    auroc: Probability
    difference: float = Field(description="Less the clean value: below 0 where it is worse.")
    ci95: Interval | None = Field(description="Percentile interval of the paired difference, over patients.")


class Warned(Frozen):
    """Shares of films."""

    guard: Probability = Field(description="That the guard finds unlike the training films.")
    quality: Probability = Field(description="That a quality check warns of: blank, inverted, rotated or cropped.")
    either: Probability


class Level(Frozen):
    """One level of one perturbation."""

    level: float = Field(description="Strength; 0 is the film itself.")
    setting: float = Field(description="The same as people know it, in the curve's `unit`: gain 1.1 is level 0.1.")
    mean: Change
    findings: dict[str, Change]
    flags_changed: Probability | None = Field(
        description="Share of flags, over films and findings, that are not those of the clean film; None: no flags."
    )
    warned: Warned


class Curve(Frozen):
    """One perturbation, its levels in order of growing strength; at level 0 a film is as it is."""

    name: str
    unit: str
    levels: list[Level]


class Robustness(Frozen):
    """The content of robustness.json. Films are perturbed as the network takes them, not as the detector gave them."""

    format: Literal["cxr-robustness/1"] = "cxr-robustness/1"
    notice: str = RESEARCH_USE_ONLY
    digest: Sha256
    data_hash: Sha256
    label_version: str
    image_size: int
    images: int
    patients: int
    rounds: int
    seed: int
    fewest_cases: int
    clean_mean: Probability
    clean: dict[str, Probability] = Field(description="AUROC of the films as they are.")
    clean_warned: Warned
    left_out: dict[str, str] = Field(description="Findings that have no AUROC here, with the reason.")
    curves: list[Curve]
    notes: list[str]

    @property
    def verdict(self) -> str:
        """One line: where AUROC falls most, and how many of these films are warned of."""
        curve, worst = min(
            ((curve, level) for curve in self.curves for level in curve.levels),
            key=lambda pair: pair[1].mean.difference,
        )
        return (
            f"Mean AUROC {self.clean_mean:.3f} falls most under {curve.name} ({curve.unit}: {worst.setting:.3g}), to "
            f"{worst.mean.auroc:.3f} ({worst.mean.difference:+.3f}); {worst.warned.either:.0%} of these films are "
            f"warned of, {self.clean_warned.either:.0%} of the clean ones."
        )
