"""The card of a bundle made of other bundles: first its own figures, then the whole card that it comes from.

The metadata are what programs read of a card, so its model-index has the new bundle's figures and not the source's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chest_xray.bundle import Manifest
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.model_card.markdown import table, value_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


def derived_card(card: str, heading: str, text: str, *, before: str, own: Evaluation, source: Manifest) -> str:
    """The card of a bundle that was measured anew.

    Args:
        card: of the bundle that it comes from, with metadata or without.
        heading: of the section that goes first.
        text: of that section, above the table of its figures.
        before: what the other bundle is to this one, for example "the graph before".
        own: the evaluation of the new bundle.
        source: the manifest of the bundle that `card` is about.
    """
    metadata, rest = _metadata(card, own)
    figures = table(("finding", "this bundle", before), _rows(own, source))
    whose = (
        "AUROC on the test list with 95% intervals over patients. All else that was measured of this bundle is in "
        f"`evaluation.json`. Every figure below this line is of {before}, whose card follows whole."
    )
    return metadata + "\n\n".join((f"# {heading}", text, figures, whose, "---", rest.lstrip()))


def _rows(own: Evaluation, source: Manifest) -> list[tuple[str, str, str]]:
    rows = [
        (name, value_of(row.auroc, row.ci95), value_of(before.auroc, before.auroc_ci95))
        for (name, row), before in zip(own.findings.items(), source.findings.values(), strict=True)
    ]
    mean = (value_of(own.mean.auroc, own.mean.ci95), value_of(source.mean_auroc, None))
    return [*rows, (f"mean of {len(own.mean.findings)}", *mean)]


def _metadata(card: str, own: Evaluation) -> tuple[str, str]:
    """The YAML block with the figures of `own`, and what follows it; a card without metadata has none."""
    if not card.startswith("---\n"):
        return "", card
    from huggingface_hub import ModelCard, ModelCardData

    parsed = ModelCard(card)
    values = {"mean AUROC": own.mean.auroc, "mean AUPRC": own.mean.auprc}
    values |= {f"AUROC, {name}": row.auroc for name, row in own.findings.items()}
    data = parsed.data
    if isinstance(data, ModelCardData):
        data.eval_results = [
            replace(result, metric_value=round(value, 4)) for result, value in _paired(data.eval_results or [], values)
        ]
    return f"---\n{data.to_yaml()}\n---\n\n", parsed.text


def _paired(results: list[EvalResult], values: dict[str, float | None]) -> list[tuple[EvalResult, float]]:
    """The results that have a new value; one that has none is left out rather than kept as it was."""
    found = [(result, values.get(result.metric_name or "")) for result in results]
    return [(result, value) for result, value in found if value is not None]
