"""An evaluation with known numbers, for what is written about one."""

from __future__ import annotations

from tests.support.bundles import profile

from chest_xray.bundle import FindingProfile
from chest_xray.evaluation.localise.results import (
    THRESHOLDS,
    LocalisationFigure,
    LocalisationMethod,
    LocalisationReport,
    LocalisedFinding,
)
from chest_xray.evaluation.results import (
    AtOperatingPoint,
    Bootstrap,
    CalibrationErrors,
    Confusion,
    Estimate,
    Evaluation,
    FindingCalibration,
    FindingMetrics,
    FindingPrior,
    GapReport,
    GroupFigure,
    GroupFinding,
    Issue,
    MeanCalibration,
    MeanMetrics,
    NoFinding,
    PrevalenceShift,
    PriorCorrection,
    PriorEffect,
    Profiles,
    Shift,
    Shortcut,
    Shortcuts,
    Subgroup,
    Subgroups,
    TagShift,
    WithinView,
)
from chest_xray.findings import FINDINGS


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
        value=0.4,
        ci95=(0.3, 0.5),
        random=0.1,
        centre_cell=0.2,
        average_place=0.6,
        gain=gain,
        gain_ci95=(gain - 0.05, gain + 0.05),
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
        positives=0,
        negatives=120,
        prevalence=0.0,
        auroc=None,
        ci95=None,
        auroc_delong_ci95=None,
        auprc=None,
        auprc_ci95=None,
        few_cases=True,
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
            calibration=MeanCalibration(ece_before=0.21, ece_after=0.034, brier_before=0.28, brier_after=0.12),
        ),
        "findings": findings,
        "issues": [
            Issue(kind="one_class_only", finding="Hernia", reason="no test image with it; it is not in the mean."),
            Issue(kind="never_flagged", finding="Hernia", reason="it is never flagged."),
            Issue(kind="boxes_not_measured", finding=None, reason="7 boxes are of images that are not there."),
        ],
        "shift": shift(),
        "prior": prior(),
        "subgroups": subgroups(),
        "shortcuts": shortcuts(),
        "localisation": localisation(),
    }
    return Evaluation.model_validate(fields | changes)


def _finding() -> FindingMetrics:
    return FindingMetrics(
        positives=30,
        negatives=90,
        prevalence=0.25,
        auroc=0.75,
        ci95=(0.7, 0.8),
        auroc_delong_ci95=(0.69, 0.8),
        auprc=0.3,
        auprc_ci95=(0.25, 0.35),
        few_cases=False,
        at_operating_point=AtOperatingPoint(
            threshold=0.222,
            aim="youden",
            confusion=Confusion(true_positives=24, false_positives=27, false_negatives=6, true_negatives=63),
            sensitivity=Estimate(value=0.8, ci95=(0.66, 0.93)),
            specificity=Estimate(value=0.7, ci95=(0.61, 0.79)),
            ppv=Estimate(value=0.47, ci95=(0.35, 0.6)),
            npv=None,
            accuracy=Estimate(value=0.725, ci95=(0.65, 0.8)),
            f1=Estimate(value=0.59, ci95=None),
        ),
        calibration=FindingCalibration(
            method="platt",
            slope=0.7,
            intercept=-0.9,
            cross_validated_brier={"platt": 0.1, "temperature": 0.2},
            before=_errors(0.281, 0.207),
            after=_errors(0.119, 0.037),
        ),
    )


def _errors(brier: float, ece: float) -> CalibrationErrors:
    return CalibrationErrors(
        brier=Estimate(value=brier, ci95=None),
        ece=Estimate(value=ece, ci95=None),
        ece_by_chance=0.041,
        mean_probability=0.26,
    )


def shift() -> Shift:
    """Effusion and the views differ."""
    same = PrevalenceShift(validation=0.25, test=0.25, odds_ratio=1.0, ci95=(0.8, 1.25), warned=False)
    more = PrevalenceShift(validation=0.1, test=0.25, odds_ratio=3.0, ci95=(2.2, 4.1), warned=True)
    return Shift(
        rule="Warned of: large and not chance.",
        tags=[
            TagShift(
                tag="view AP", validation=0.35, test=0.566, standardised_difference=0.44, ci95=(0.3, 0.6), warned=True
            )
        ],
        findings={name: more if name == "Effusion" else same for name in FINDINGS},
        warnings=["Prevalence differs between test and validation: Effusion 25.0% against 10.0%."],
    )


def prior() -> PriorCorrection:
    """Correction with the known prevalence would halve the error of Effusion."""
    effect = PriorEffect(prior=0.25, errors=_errors(0.11, 0.02))
    return PriorCorrection(
        applied="validation",
        given={},
        findings={"Effusion": FindingPrior(validation=0.1, known=effect, estimated=effect)},
        mean_ece_validation=0.044,
        mean_ece_known=0.022,
        mean_ece_estimated=0.066,
    )


def subgroups() -> Subgroups:
    """Women are missed more often, and their effusions underestimated; of children there are too few."""
    return Subgroups(
        fewest_patients=50,
        fewest_cases=10,
        method="Clustered by patient.",
        groups=[
            Subgroup(
                kind="sex",
                group="F",
                images=61,
                patients=52,
                mean_auroc=_group_figure(0.777, -0.06, q=0.3),
                mean_findings=["Effusion", "Mass"],
                no_finding=NoFinding(underdiagnosis=_group_figure(0.31, 0.2, q=0.01), overdiagnosis=None),
                findings={
                    "Effusion": GroupFinding(
                        positives=15,
                        negatives=46,
                        auroc=None,
                        ece=None,
                        ece_by_chance=None,
                        excess=_group_figure(-0.12, -0.2, q=0.02),
                        underdiagnosis=None,
                        overdiagnosis=None,
                    )
                },
            )
        ],
        left_out={"age 0-18": "7 patients, fewer than 50"},
    )


def _group_figure(value: float, difference: float, q: float) -> GroupFigure:
    gap = GapReport(difference=difference, ci95=(difference - 0.1, difference + 0.1), p=q / 2, q=q)
    return GroupFigure(value=value, ci95=(value - 0.05, value + 0.05), gap=gap)


def shortcuts() -> Shortcuts:
    """The view alone gets two thirds of the way."""
    effusion = {"Effusion": Estimate(value=0.7, ci95=(0.6, 0.8))}
    return Shortcuts(
        training_images=900,
        alone={"view": Shortcut(inputs="PA or AP", mean_auroc=0.688, findings=effusion)},
        within_view=[
            WithinView(view="AP", images=66, mean_auroc=0.699, mean_auroc_all=0.755, findings=effusion),
            WithinView(view="PA", images=54, mean_auroc=None, mean_auroc_all=None, findings={}),
        ],
    )


def profiles() -> Profiles:
    """Those of `tests.support.bundles`: Hernia has no operating point."""
    found: dict[str, FindingProfile] = {name: profile(index) for index, name in enumerate(FINDINGS)}
    return Profiles(images=99, weights_sha256="e" * 64, findings=found)
