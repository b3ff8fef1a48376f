"""model_card.md: what a reader must know before trusting a number of this model."""

from __future__ import annotations

from chest_xray.findings import RESEARCH_USE_ONLY, describe_source
from chest_xray.training.report import Evaluation, Interval
from chest_xray.training.run import TrainingRecord

_TEMPLATE = """# Model card: DenseNet121, 14 findings of NIH ChestX-ray14

{notice}

- Trained on: {source} (data {data_hash}), {image_size}x{image_size} grey pixels, best of {epochs} epochs: {best_epoch}.
- Code: {git_revision}; started from: {init}.
- Tested on: {images} test images of {patients} patients, mean AUROC {mean}.
- Intervals: 95%, {rounds} bootstrap rounds over patients.

| finding | positives | AUROC | AUPRC |
|---|---|---|---|
{rows}

## Limits

- Made for frontal chest radiographs of adults. Laterals, other body parts and photographs are outside of it.
- NIH's labels are mined from reports and noisy. Calibration and operating points hold for the prevalence of the
  validation images, not for another hospital's.
- Findings with fewer than 10 validation cases have no operating point and are never flagged.
"""


def write_model_card(record: TrainingRecord, evaluation: Evaluation) -> str:
    """Markdown, from the run's record and its evaluation alone."""
    rows = [
        f"| {name} | {m.positives} | {_value(m.auroc, m.ci95)} | {_value(m.auprc, m.auprc_ci95)} |"
        for name, m in evaluation.findings.items()
    ]
    return _TEMPLATE.format(
        notice=RESEARCH_USE_ONLY,
        source=describe_source(record.label_version),
        data_hash=record.data_hash[:12],
        image_size=record.image_size,
        epochs=len(record.history),
        best_epoch=record.best_epoch,
        git_revision=record.git_revision or "unknown revision",
        init=record.config.init,
        images=evaluation.images,
        patients=evaluation.patients,
        mean=_value(evaluation.mean.auroc, evaluation.mean.ci95),
        rounds=evaluation.bootstrap.rounds,
        rows="\n".join(rows),
    )


def _value(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "n/a (one class only)"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
