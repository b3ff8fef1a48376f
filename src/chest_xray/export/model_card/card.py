"""model_card.md: what a reader must know before trusting a number of this model.

In the form of Hugging Face's model cards: metadata in YAML with a model-index, then the text (Mitchell et al., "Model
Cards for Model Reporting", FAT* 2019). Made from evaluation.json, the manifest and the run's record alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chest_xray.bundle import Manifest
from chest_xray.evaluation.results import Evaluation
from chest_xray.export.footprint import STATED_NOTHING, Footprint, Rates
from chest_xray.export.model_card.context import AFTER_FIGURES, BEFORE_FIGURES
from chest_xray.export.model_card.facts import Facts
from chest_xray.export.model_card.figures import FIGURES
from chest_xray.export.model_card.groups import GROUPS
from chest_xray.findings import FINDINGS, PHANTOM, describe_source
from chest_xray.training.run import TrainingRecord

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MODEL_NAME = "DenseNet121, 14 findings of NIH ChestX-ray14"


def write_model_card(
    manifest: Manifest, record: TrainingRecord, evaluation: Evaluation, rates: Rates = STATED_NOTHING
) -> str:
    """The card: YAML between two lines of dashes, then Markdown."""
    footprint = Footprint(seconds=record.seconds, device=record.device, rates=rates)
    facts = Facts(manifest=manifest, record=record, evaluation=evaluation, footprint=footprint)
    sections = [section(facts) for section in (*BEFORE_FIGURES, *FIGURES, *GROUPS, *AFTER_FIGURES)]
    return f"---\n{card_metadata(facts)}\n---\n\n" + "\n\n".join(sections) + "\n"


def card_metadata(facts: Facts) -> str:
    """The YAML of the metadata, with a model-index of the mean and of each finding that has a value."""
    from huggingface_hub import ModelCardData

    phantom = facts.evaluation.label_version == PHANTOM
    data = ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="onnx",
        pipeline_tag="image-classification",
        tags=["chest-x-ray", "radiology", "multi-label", "densenet121", "onnx", "research-use-only"],
        datasets=None if phantom else ["NIH-ChestX-ray14"],
        metrics=["roc_auc"],
        model_name=MODEL_NAME,
        eval_results=_results(facts),
    )
    return data.to_yaml()


def _results(facts: Facts) -> list[EvalResult]:
    evaluation = facts.evaluation
    values = [
        ("roc_auc", "mean AUROC", evaluation.mean.auroc),
        ("average_precision", "mean AUPRC", evaluation.mean.auprc),
    ]
    values += [("roc_auc", f"AUROC, {name}", evaluation.findings[name].auroc) for name in FINDINGS]
    return [_result(facts, kind, name, value) for kind, name, value in values if value is not None]


def _result(facts: Facts, kind: str, name: str, value: float) -> EvalResult:
    from huggingface_hub import EvalResult

    evaluation = facts.evaluation
    phantom = evaluation.label_version == PHANTOM
    return EvalResult(
        task_type="image-classification",
        task_name="Multi-label classification of chest radiographs",
        dataset_type="cxr-phantom" if phantom else "nih-chest-xray14",
        dataset_name=f"{describe_source(evaluation.label_version)}, test list",
        dataset_split=evaluation.split,
        dataset_revision=evaluation.data_hash,
        metric_type=kind,
        metric_name=name,
        metric_value=round(value, 4),
    )
