"""`ece_before`, `ece_after` and their ratio on the phantom demo's test list: means over findings with enough cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chest_xray.evaluation.files import evaluate_file


def measure(predictions: Path) -> dict[str, Any]:
    """Measure the predictions of an evaluation again; nothing is taken from evaluation.json."""
    evaluation = evaluate_file(predictions, None)
    found = evaluation.mean.calibration
    if found is None:
        raise SystemExit(f"{predictions} has no finding with 10 test images of each class.")
    return {
        "ece_ratio": round(found.ece_after / found.ece_before, 4),
        "ece_before": round(found.ece_before, 5),
        "ece_after": round(found.ece_after, 5),
        "brier_before": round(found.brier_before, 5),
        "brier_after": round(found.brier_after, 5),
        "ece_findings": len(evaluation.mean.findings),
        "ece_images": evaluation.images,
        "ece_labels": evaluation.label_version,
    }
