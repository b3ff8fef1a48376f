"""How the test list differs from the validation images, to which calibration and operating points were fitted.

Warned of is what is large and not chance. Large: a standardised difference over 0.1 (Austin, Statistics in Medicine
2009), or odds of a finding 1.25 times apart or more, which moves a calibrated log-odds by 0.22. Not chance: the 95%
interval over patients leaves out no difference.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chest_xray.evaluation.results import PrevalenceShift, Shift, TagShift
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.statistics import Floats
from chest_xray.statistics.metrics import PatientDraws, interval95

LARGE_DIFFERENCE: Final = 0.1
LARGE_ODDS_RATIO: Final = 1.25
RULE: Final = (
    f"Warned of: a standardised difference over {LARGE_DIFFERENCE:g} in view, sex, age or share of images with any "
    f"finding, or odds of a finding {LARGE_ODDS_RATIO:g} times apart or more, if its 95% interval over patients leaves "
    "out no difference."
)
Tag = Literal["view AP", "sex F", "age", "any finding"]
_TAGS: Final[tuple[Tag, ...]] = ("view AP", "sex F", "age", "any finding")


def measure_shift(validation: ScoredImages, test: ScoredImages, *, rounds: int, seed: int) -> Shift | None:
    """Compare the test images with the validation images; None where one of them has none."""
    if not (len(validation) and len(test)):
        return None
    # Two seeds: the lists have different patients and are drawn independently.
    lists = [
        (images, PatientDraws(images.patients, rounds=rounds, seed=seed + place))
        for place, images in enumerate((validation, test))
    ]
    columns = [(_tags(images), draws) for images, draws in lists]
    tags = [
        found
        for tag in _TAGS
        if (found := _tag_shift(tag, *(_Moments(values[tag], draws) for values, draws in columns))) is not None
    ]
    findings = {
        name: moved
        for k, name in enumerate(test.findings)
        if (moved := _prevalence_shift(*(_Moments(images.labels[:, k], draws) for images, draws in lists))) is not None
    }
    return Shift(rule=RULE, tags=tags, findings=findings, warnings=_warnings(tags, findings))


def _tags(images: ScoredImages) -> dict[Tag, Floats]:
    """Values (N,), NaN where a tag is not known."""
    return {
        "view AP": np.where(images.views == "", np.nan, images.views == "AP"),
        "sex F": np.where(images.sexes == "", np.nan, images.sexes == "F"),
        "age": images.ages.astype(np.float64),
        "any finding": (images.labels == 1).any(axis=1).astype(np.float64),
    }


class _Moments:
    """Mean and variance of what is known of (N,) values, on all images and in each round; `mean` is NaN without any."""

    def __init__(self, values: NDArray[np.floating], draws: PatientDraws) -> None:
        known = np.isfinite(values)
        filled = np.where(known, values, 0)
        columns = np.column_stack([known, filled, filled**2]).astype(np.float64)
        self.mean, self.variance = _mean_and_variance(columns.sum(axis=0)[None])
        self.mean_rounds, self.variance_rounds = _mean_and_variance(draws.sums(columns))


def _mean_and_variance(sums: Floats) -> tuple[Floats, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[:, 1] / sums[:, 0]
        return mean, np.maximum(sums[:, 2] / sums[:, 0] - mean**2, 0)


def _tag_shift(tag: Tag, validation: _Moments, test: _Moments) -> TagShift | None:
    difference = _standardised(validation.mean, test.mean, validation.variance, test.variance)[0]
    if not np.isfinite(difference):
        return None
    rounds = _standardised(validation.mean_rounds, test.mean_rounds, validation.variance_rounds, test.variance_rounds)
    interval = interval95(rounds)
    return TagShift(
        tag=tag,
        validation=float(validation.mean[0]),
        test=float(test.mean[0]),
        standardised_difference=float(difference),
        ci95=interval,
        warned=abs(float(difference)) > LARGE_DIFFERENCE and _leaves_out(interval, 0.0),
    )


def _standardised(a: Floats, b: Floats, variance_a: Floats, variance_b: Floats) -> Floats:
    pooled = np.sqrt((variance_a + variance_b) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(a == b, 0.0, (b - a) / pooled)


def _prevalence_shift(validation: _Moments, test: _Moments) -> PrevalenceShift | None:
    if not (np.isfinite(validation.mean[0]) and np.isfinite(test.mean[0])):
        return None
    ratio = _odds(test.mean) / _odds(validation.mean)
    rounds = _odds(test.mean_rounds) / _odds(validation.mean_rounds)
    interval = interval95(rounds)
    known = float(ratio[0]) if np.isfinite(ratio[0]) and ratio[0] > 0 else None
    apart = known is not None and max(known, 1 / known) >= LARGE_ODDS_RATIO
    return PrevalenceShift(
        validation=float(validation.mean[0]),
        test=float(test.mean[0]),
        odds_ratio=known,
        ci95=interval,
        warned=apart and _leaves_out(interval, 1.0),
    )


def _odds(share: Floats) -> Floats:
    """NaN where nobody or everybody has it: no ratio can be told."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((share > 0) & (share < 1), share / (1 - share), np.nan)


def _leaves_out(interval: tuple[float, float] | None, value: float) -> bool:
    return interval is not None and not interval[0] <= value <= interval[1]


def _warnings(tags: list[TagShift], findings: dict[str, PrevalenceShift]) -> list[str]:
    lines = [
        f"Test images differ from validation images in {tag.tag}: {_value(tag.tag, tag.test)} against "
        f"{_value(tag.tag, tag.validation)}. Calibration and operating points were fitted to the latter."
        for tag in tags
        if tag.warned
    ]
    apart = [
        f"{name} {shift.test:.1%} against {shift.validation:.1%}" for name, shift in findings.items() if shift.warned
    ]
    if apart:
        lines.append(
            f"Prevalence differs between test and validation: {', '.join(apart)}. Probabilities are off by that; "
            "`cxr evaluate --prior test` moves them to the test list's prevalence."
        )
    return lines


def _value(tag: str, value: float) -> str:
    return f"{value:.1f} years" if tag == "age" else f"{value:.1%}"
