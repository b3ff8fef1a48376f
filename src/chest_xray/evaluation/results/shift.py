"""How the test list differs from the validation images, and what correcting for prevalence would do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chest_xray.bundle import Frozen, Interval, Probability
from chest_xray.evaluation.results.performance import CalibrationErrors


class TagShift(Frozen):
    """One tag of images, in validation and in test."""

    tag: Literal["view AP", "sex F", "age", "any finding"] = Field(
        description="A share of images, or the mean age in years."
    )
    validation: float = Field(description="Its value in the validation images.")
    test: float = Field(description="Its value in the test images.")
    standardised_difference: float = Field(description="Test less validation, over the pooled standard deviation.")
    ci95: Interval | None = Field(description="95% interval of it over patients.")
    warned: bool = Field(description="Whether the rule is met.")


class PrevalenceShift(Frozen):
    """A finding's prevalence, in validation and in test."""

    validation: Probability = Field(description="Share of validation images with the finding.")
    test: Probability = Field(description="Share of test images with it.")
    odds_ratio: float | None = Field(description="Test over validation; null where it is in none of either.")
    ci95: Interval | None = Field(description="95% interval of the odds ratio, over patients.")
    warned: bool = Field(description="Whether the rule is met.")


class Shift(Frozen):
    """Case mix and prevalence. Calibration and operating points come from validation images and suit their mix."""

    rule: str = Field(description="When a difference is warned of.")
    tags: list[TagShift] = Field(description="View, sex, age and whether there is any finding.")
    findings: dict[str, PrevalenceShift] = Field(description="By finding.")
    warnings: list[str] = Field(description="For people, one a line; empty where the rule is never met.")


class PriorEffect(Frozen):
    """What moving a finding's intercept to another prevalence does on the test images (Elkan 2001)."""

    prior: Probability = Field(description="The prevalence that the intercept is moved to.")
    errors: CalibrationErrors = Field(description="Of the moved probabilities.")


class FindingPrior(Frozen):
    """A finding's calibration moved from the validation prevalence to that of the test list."""

    validation: Probability = Field(description="Prevalence that the calibration was fitted at.")
    known: PriorEffect = Field(
        description="With the prevalence that the test labels have. One number of the labels is used, so this is what "
        "a site that knows its prevalence may hope for."
    )
    estimated: PriorEffect = Field(
        description="With the prevalence estimated from test scores without labels (Saerens et al. 2002)."
    )


class PriorCorrection(Frozen):
    """What `--prior` did, and what it would do. It moves no ranking, and no flag: thresholds move along."""

    applied: Literal["validation", "test", "given"] = Field(
        description="validation: nothing was moved; test: to the test list's prevalence; given: to numbers."
    )
    given: dict[str, Probability] = Field(description="The numbers; empty unless they were given.")
    findings: dict[str, FindingPrior] = Field(description="Where validation and test have enough cases.")
    mean_ece_validation: Probability | None = Field(description="Mean calibration error with nothing moved.")
    mean_ece_known: Probability | None = Field(description="The same with the test labels' prevalence.")
    mean_ece_estimated: Probability | None = Field(description="The same with the estimated prevalence.")
