"""What a model card is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chest_xray.bundle import Manifest
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.footprint import Footprint
from chest_xray.notices import NIH_LABELS, PHANTOM
from chest_xray.training.run import TrainingRecord

# What stands in the template's places, by their names; "" where there is nothing to say.
Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card is made of."""

    manifest: Manifest
    record: TrainingRecord
    evaluation: Evaluation
    footprint: Footprint

    @property
    def phantom(self) -> bool:
        """Whether the images were drawn and not taken."""
        return self.evaluation.label_version == PHANTOM

    @property
    def nih(self) -> bool:
        """Whether the images are NIH's, so that what is known of NIH's labels holds for them."""
        return self.evaluation.label_version in NIH_LABELS

    @property
    def title(self) -> str:
        """`DenseNet121, 14 findings of NIH ChestX-ray14`."""
        whose = " of NIH ChestX-ray14" if self.nih or self.phantom else ""
        return f"DenseNet121, {len(self.evaluation.findings)} findings{whose}"
