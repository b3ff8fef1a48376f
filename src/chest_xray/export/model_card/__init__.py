"""model_card.md, from the evaluation, the manifest and the run's record."""

from chest_xray.export.model_card.card import write_model_card

__all__ = ["write_model_card"]
