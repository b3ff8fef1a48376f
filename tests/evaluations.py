"""An evaluation with known numbers, for what is written about one."""

from __future__ import annotations

from tests.bundles import profile

from chest_xray.bundle import FindingProfile
from chest_xray.findings import FINDINGS
from chest_xray.training.localise.report import (
    THRESHOLDS,
    LocalisationFigure,
    LocalisationMethod,
    LocalisationReport,
    LocalisedFinding,
)
from chest_xray.training.report import Bootstrap, Evaluation, FindingMetrics, MeanMetrics, Profiles


def localisation() -> LocalisationReport:
    """41 boxes of Effusion, met worse than by its average place, and 20 of Mass."""
    return LocalisationReport(
        method=LocalisationMethod(cells=(7, 7), side=224, random_draws=1000, rounds=2000, seed=0),
        overall=_located(61, gain=-0.1),
        findings={"Effusion": _located(41, gain=-0.2), "Mass": _located(20, gain=0.0)},
        boxes_without_image=7,
        boxes_outside_test=0,
        boxes_without_label=0,
    )


def _located(boxes: int, gain: float) -> LocalisedFinding:
    figure = LocalisationFigure(
        value=0.4, ci95=(0.3, 0.5), random=0.1, average_place=0.6, gain=gain, gain_ci95=(gain - 0.05, gain + 0.05)
    )
    return LocalisedFinding(
        boxes=boxes,
        maps=boxes,
        images=boxes,
        patients=boxes,
        few_boxes=False,
        empty_maps=0,
        false_regions=0.5,
        pointing_game=figure,
        pointing_game_strict=figure,
        centre=figure,
        iou={str(t): figure for t in THRESHOLDS},
        iobb={str(t): figure for t in THRESHOLDS},
    )


def evaluation(**changes: object) -> Evaluation:
    """120 test images of 60 patients; Hernia has one class only. `changes` replace fields."""
    findings = {name: _finding() for name in FINDINGS}
    findings["Hernia"] = FindingMetrics(
        positives=0, negatives=120, auroc=None, ci95=None, auprc=None, auprc_ci95=None, few_cases=True
    )
    fields: dict[str, object] = {
        "images": 120,
        "patients": 60,
        "label_version": "v2020",
        "data_hash": "d" * 64,
        "weights_sha256": "e" * 64,
        "bootstrap": Bootstrap(rounds=2000, seed=0),
        "mean": MeanMetrics(
            auroc=0.812,
            ci95=(0.790, 0.831),
            auprc=0.31,
            auprc_ci95=(0.28, 0.34),
            findings=list(FINDINGS[:-1]),
            left_out=["Hernia"],
        ),
        "findings": findings,
        "localisation": localisation(),
    }
    return Evaluation.model_validate(fields | changes)


def _finding() -> FindingMetrics:
    return FindingMetrics(
        positives=30, negatives=90, auroc=0.75, ci95=(0.7, 0.8), auprc=0.3, auprc_ci95=(0.25, 0.35), few_cases=False
    )


def profiles() -> Profiles:
    """Those of `tests.bundles`: Hernia has no operating point."""
    found: dict[str, FindingProfile] = {name: profile(index) for index, name in enumerate(FINDINGS)}
    return Profiles(images=99, weights_sha256="e" * 64, findings=found)
