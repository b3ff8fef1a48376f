"""Findings and their mean on the test images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Probability, ShareInterval
from chest_xray.evaluation.results.base import Count, Estimate


class Confusion(Frozen):
    """Test images by label and flag."""

    true_positives: Count = Field(description="With the finding and flagged.")
    false_positives: Count = Field(description="Without the finding and flagged.")
    false_negatives: Count = Field(description="With the finding and not flagged.")
    true_negatives: Count = Field(description="Without the finding and not flagged.")


class AtOperatingPoint(Frozen):
    """Flags of the test images at the threshold that was chosen on validation images.

    Intervals are of the patient bootstrap; at a value of 0 or 1, where no round differs, Wilson's with patients as n.
    """

    threshold: Probability = Field(description="Calibrated probability from which a finding is flagged.")
    aim: str = Field(description="What the threshold was chosen for: youden, f1 or sensitivity=S.")
    confusion: Confusion = Field(description="Counts of images.")
    sensitivity: Estimate = Field(description="Share of images with the finding that are flagged.")
    specificity: Estimate = Field(description="Share of images without the finding that are not flagged.")
    ppv: Estimate | None = Field(description="Share of flagged images that have the finding; null if none is flagged.")
    npv: Estimate | None = Field(description="Share of images not flagged that lack it; null if all are flagged.")
    accuracy: Estimate = Field(description="Share of images whose flag is right; read it beside the prevalence.")
    f1: Estimate = Field(description="Harmonic mean of sensitivity and PPV.")


class CalibrationErrors(Frozen):
    """One set of probabilities against the labels."""

    brier: Estimate = Field(description="Mean squared difference of probability and label (Brier 1950).")
    ece: Estimate = Field(
        description="Expected calibration error over 15 bins of equally many images. Its interval is the bootstrap's "
        "spread around the value; resampling itself adds error, which is taken off."
    )
    ece_by_chance: float = Field(
        description="The error expected of so many images if every probability were true, images taken as independent."
    )
    mean_probability: Probability = Field(description="To be read beside the prevalence.")


class FindingCalibration(Frozen):
    """A finding's calibration, fitted on validation images, measured on test images."""

    method: Literal["platt", "temperature", "loss_weight"] = Field(
        description="What turns a logit into a probability; loss_weight where nothing could be fitted."
    )
    slope: float = Field(description="probability = sigmoid(slope * logit + intercept).")
    intercept: float = Field(description="See slope; a prior correction that was asked for is in it.")
    cross_validated_brier: dict[Literal["platt", "temperature"], float] = Field(
        description="Brier score of each method on validation images in ten folds of patients; the lowest was taken."
    )
    before: CalibrationErrors = Field(description="Of sigmoid(logit), which is what the network itself says.")
    after: CalibrationErrors = Field(description="Of the calibrated probabilities, as the bundle gives them.")


class FindingMetrics(Frozen):
    """One finding on the test images. Figures are null where a class is missing, or nearly so: see `issues`."""

    positives: Count = Field(description="Images with the finding.")
    negatives: Count = Field(description="Images without it.")
    prevalence: Probability = Field(description="positives / (positives + negatives); what guessing gives as AUPRC.")
    auroc: Probability | None = Field(description="Area under the ROC curve.")
    ci95: ShareInterval | None = Field(description="95% interval of `auroc`: spread of the patient bootstrap.")
    auroc_delong_ci95: ShareInterval | None = Field(
        description="95% interval of `auroc` by DeLong's variance, clustered by patient (Obuchowski 1997), on the "
        "logit scale: a second opinion on `ci95` without resampling."
    )
    auprc: Probability | None = Field(description="Average precision; read it beside the prevalence.")
    auprc_ci95: ShareInterval | None = Field(description="95% interval of `auprc`: spread of the patient bootstrap.")
    few_cases: bool = Field(description="Fewer than 10 images of one class: not in the mean, and hardly to be read.")
    at_operating_point: AtOperatingPoint | None = Field(
        default=None, description="Null where validation images gave no operating point: it is never flagged."
    )
    calibration: FindingCalibration | None = Field(default=None, description="Null where scores or labels are missing.")


class MeanCalibration(Frozen):
    """Unweighted means over the mean's findings."""

    ece_before: Probability = Field(description="Expected calibration error of sigmoid(logit).")
    ece_after: Probability = Field(description="The same of the calibrated probabilities.")
    brier_before: Probability = Field(description="Brier score of sigmoid(logit).")
    brier_after: Probability = Field(description="The same of the calibrated probabilities.")


class MeanMetrics(Frozen):
    """Unweighted means over `findings`, those with at least 10 images of each class."""

    auroc: Probability | None = Field(description="Mean of the findings' AUROC; null where no finding has one.")
    ci95: ShareInterval | None = Field(
        description="95% interval of `auroc`; each round draws the same patients for all."
    )
    auprc: Probability | None = Field(description="Mean of the findings' AUPRC.")
    auprc_ci95: ShareInterval | None = Field(description="95% interval of `auprc`.")
    findings: list[str] = Field(description="What the means are taken over.")
    left_out: list[str] = Field(description="Findings that are not in the means; `issues` says why.")
    calibration: MeanCalibration | None = Field(default=None, description="Calibration errors, averaged.")


class Issue(Frozen):
    """Something that was met in the data and is not in a figure, or should be known of one."""

    kind: Literal[
        "one_class_only",
        "few_cases",
        "not_finite",
        "labels_missing",
        "patient_on_both_sides",
        "not_calibrated",
        "never_flagged",
        "not_checked",
        "boxes_not_measured",
        "boxes_without_label",
    ] = Field(description="What was met.")
    finding: str | None = Field(description="Whose; null when it concerns all.")
    reason: str = Field(description="For people: what was found and what was done about it.")
