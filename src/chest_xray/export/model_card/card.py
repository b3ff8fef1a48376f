"""model_card.md: what a reader must know before trusting a number of this model.

In the form of Hugging Face's model cards: metadata in YAML with a model-index, then the text (Mitchell et al., "Model
Cards for Model Reporting", FAT* 2019). Made from evaluation.json, the manifest and the run's record alone. Its prose
stands in model_card.md.j2, for people who write no code.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from chest_xray.bundle import Manifest
from chest_xray.errors import BundleError
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.footprint import STATED_NOTHING, Footprint, Rates
from chest_xray.export.model_card.context import footprint, guard, model
from chest_xray.export.model_card.facts import Facts, Words
from chest_xray.export.model_card.figures import calibration, localisation, operating_points, performance, prior, shift
from chest_xray.export.model_card.groups import shortcuts, subgroups
from chest_xray.notices import describe_source
from chest_xray.training.run import TrainingRecord

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

TEMPLATE: Final = files("chest_xray.export.model_card") / "model_card.md.j2"
_PARTS: Final = (
    model,
    performance,
    operating_points,
    calibration,
    shift,
    prior,
    localisation,
    subgroups,
    shortcuts,
    guard,
    footprint,
)


def write_model_card(
    manifest: Manifest, record: TrainingRecord, evaluation: Evaluation, rates: Rates = STATED_NOTHING
) -> str:
    """The card: YAML between two lines of dashes, then Markdown.

    Raises:
        BundleError: the template cannot be read, or names something that no card has.
    """
    from huggingface_hub import ModelCard

    facts = Facts(
        manifest=manifest,
        record=record,
        evaluation=evaluation,
        footprint=Footprint(seconds=record.seconds, device=record.device, rates=rates),
    )
    data, template = card_metadata(facts), TEMPLATE.read_text(encoding="utf-8")
    words = card_words(facts)
    _check_names(template, {"card_data", *words})
    return f"{ModelCard.from_template(data, template_str=template, **words).content}\n"


def card_words(facts: Facts) -> Words:
    """What stands in the template's places, by their names."""
    parts = {name: word for part in _PARTS for name, word in part(facts).items()}
    return {"model_name": facts.title, **parts}


def _check_names(template: str, known: set[str]) -> None:
    """Jinja2 would leave an empty place for a name that nobody gave it."""
    from jinja2 import Environment, TemplateSyntaxError, meta

    try:
        named = meta.find_undeclared_variables(Environment(autoescape=True).parse(template))
    except TemplateSyntaxError as error:
        raise BundleError(f"{TEMPLATE.name}, line {error.lineno}: {error.message}. Mend the template.") from error
    if unknown := sorted(named - known):
        raise BundleError(
            f"{TEMPLATE.name} names {unknown[0]}, which no card has. Expected one of {', '.join(sorted(known))}."
        )


def card_metadata(facts: Facts) -> ModelCardData:
    """The metadata, with a model-index of the mean and of each finding that has a value."""
    from huggingface_hub import ModelCardData

    return ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="onnx",
        pipeline_tag="image-classification",
        tags=["chest-x-ray", "radiology", "multi-label", "densenet121", "onnx", "research-use-only"],
        datasets=["NIH-ChestX-ray14"] if facts.nih else None,
        metrics=["roc_auc"],
        model_name=facts.title,
        eval_results=_results(facts),
    )


def _results(facts: Facts) -> list[EvalResult]:
    evaluation = facts.evaluation
    values = [
        ("roc_auc", "mean AUROC", evaluation.mean.auroc),
        ("average_precision", "mean AUPRC", evaluation.mean.auprc),
    ]
    values += [("roc_auc", f"AUROC, {name}", row.auroc) for name, row in evaluation.findings.items()]
    return [_result(facts, kind, name, value) for kind, name, value in values if value is not None]


def _result(facts: Facts, kind: str, name: str, value: float) -> EvalResult:
    from huggingface_hub import EvalResult

    evaluation = facts.evaluation
    kind_of_data = "cxr-phantom" if facts.phantom else "nih-chest-xray14" if facts.nih else evaluation.label_version
    return EvalResult(
        task_type="image-classification",
        task_name="Multi-label classification of chest radiographs",
        dataset_type=kind_of_data,
        dataset_name=f"{describe_source(evaluation.label_version)}, test list",
        dataset_split=evaluation.split,
        dataset_revision=evaluation.data_hash,
        metric_type=kind,
        metric_name=name,
        metric_value=round(value, 4),
    )
