"""Two networks' scores of the same test images: paired differences of AUROC, over patients, by finding and by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.evaluation.calibration.calibrate import FEWEST_CASES
from chest_xray.evaluation.comparison.results import (
    ComparedBundle,
    Comparison,
    Difference,
    GroupComparison,
    MeanDifference,
)
from chest_xray.evaluation.groups.tags import Group, groups_of
from chest_xray.statistics import Floats
from chest_xray.statistics.metrics import RankedScores, interval95

_ROUNDS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class PairedImages:
    """N test images and what both networks say of them.

    Attributes:
        findings: F names, in the order of labels and logits.
        labels: (N, F), 0 or 1.
        patients: (N,).
        ages: (N,), years, NaN when not known.
        sexes: 'M', 'F' or ''.
        views: 'PA', 'AP' or ''.
        a: (N, F) logits.
        b: (N, F) logits.
    """

    findings: tuple[str, ...]
    labels: NDArray[np.uint8]
    patients: NDArray[np.int64]
    ages: NDArray[np.float32]
    sexes: NDArray[np.str_]
    views: NDArray[np.str_]
    a: NDArray[np.float32]
    b: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> PairedImages:
        """Some of them."""
        arrays = {name: getattr(self, name)[chosen] for name in self.__slots__ if name != "findings"}
        return PairedImages(findings=self.findings, **arrays)


def compare(
    images: PairedImages,
    a: ComparedBundle,
    b: ComparedBundle,
    *,
    label_version: str,
    notes: list[str],
    rounds: int,
    seed: int,
) -> Comparison:
    """Compare B with A on all images and in each group of patients that is large enough."""
    kept, left_out = _split_groups(groups_of(images.ages, images.sexes, images.views), images.labels)
    with progress("Comparing, by group", 1 + len(kept), "groups") as advance:
        whole = _compare(images, rounds, seed)
        advance(1)
        groups = []
        for group in kept:
            groups.append(_compare_group(images.of(group.members), group, rounds, seed))
            advance(1)
    return Comparison(
        a=a,
        b=b,
        label_version=label_version,
        images=len(images.labels),
        patients=len(np.unique(images.patients)),
        rounds=rounds,
        seed=seed,
        fewest_cases=FEWEST_CASES,
        mean=whole[0],
        findings=whole[1],
        groups=groups,
        groups_left_out=left_out,
        notes=notes,
    )


def _split_groups(groups: list[Group], labels: NDArray[np.uint8]) -> tuple[list[Group], dict[str, str]]:
    kept, left_out = [], {}
    for group in groups:
        counts = labels[group.members].sum(axis=0)
        fewer = np.minimum(counts, len(labels[group.members]) - counts)
        if (fewer >= FEWEST_CASES).any():
            kept.append(group)
        else:
            left_out[group.name] = f"no finding has {FEWEST_CASES} images of each class"
    return kept, left_out


def _compare_group(images: PairedImages, group: Group, rounds: int, seed: int) -> GroupComparison:
    mean, findings = _compare(images, rounds, seed)
    return GroupComparison(
        kind=group.kind,
        group=group.value,
        images=len(images.labels),
        patients=len(np.unique(images.patients)),
        mean=mean,
        findings=findings,
    )


def _compare(images: PairedImages, rounds: int, seed: int) -> tuple[MeanDifference, dict[str, Difference]]:
    positives = images.labels.sum(axis=0, dtype=np.int64)
    negatives = len(images.labels) - positives
    enough = np.minimum(positives, negatives) >= FEWEST_CASES
    compared = np.flatnonzero(enough)
    sampled = paired_bootstrap(images, compared, rounds=rounds, seed=seed)
    names = images.findings
    findings = {
        name: Difference(positives=int(positives[k]), negatives=int(negatives[k]), a=None, b=None,
                         difference=None, ci95=None, p=None)
        for k, name in enumerate(names)
    }  # fmt: skip
    for place, k in enumerate(compared.tolist()):
        findings[names[k]] = findings[names[k]].model_copy(update=_values(sampled, place))
    any_of = images.labels[:, compared].any(axis=1)
    mean = MeanDifference(
        positives=int(any_of.sum()),
        negatives=int((~any_of).sum()),
        findings=[names[k] for k in compared],
        left_out={names[k]: _reason(int(positives[k]), int(negatives[k])) for k in np.flatnonzero(~enough).tolist()},
        **_values(_mean(sampled), 0) if len(compared) else dict.fromkeys(("a", "b", "difference", "ci95", "p")),
    )
    return mean, _with_holm(findings)


def _reason(positives: int, negatives: int) -> str:
    if min(positives, negatives) == 0:
        return "one class only"
    return f"{min(positives, negatives)} images of one class, fewer than {FEWEST_CASES}"


@dataclass(frozen=True, slots=True)
class Paired:
    """AUROCs (F,) of both networks and, of the same resamples, their difference B less A (R, F)."""

    a: Floats
    b: Floats
    differences: Floats


def paired_bootstrap(images: PairedImages, findings: NDArray[np.intp], *, rounds: int, seed: int) -> Paired:
    """Resample patients with replacement; each round has the same patients for both networks and every finding."""
    ranked = [
        [RankedScores(images.labels[:, k], logits[:, k]) for k in findings.tolist()] for logits in (images.a, images.b)
    ]
    unique, index = np.unique(images.patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    differences = np.empty((rounds, len(findings)))
    for start in range(0, rounds, _ROUNDS_AT_ONCE):
        count = min(_ROUNDS_AT_ONCE, rounds - start)
        draws = rng.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=count)
        weights = draws[:, index].astype(np.float64)
        for place, (mine, theirs) in enumerate(zip(*ranked, strict=True)):
            differences[start : start + count, place] = theirs.auroc(weights) - mine.auroc(weights)
    a, b = (np.array([scores.auroc()[0] for scores in side], dtype=np.float64) for side in ranked)
    return Paired(a, b, differences)


def _mean(sampled: Paired) -> Paired:
    """Means over findings, as one column; a round in which a finding lost a class has none."""
    return Paired(*(values.mean(axis=-1, keepdims=True) for values in (sampled.a, sampled.b, sampled.differences)))


def _values(sampled: Paired, place: int) -> dict[str, float | tuple[float, float] | None]:
    a, b = float(sampled.a[place]), float(sampled.b[place])
    interval = interval95(sampled.differences[:, place])
    p = None if interval is None else two_sided_p(sampled.differences[:, place])
    return {"a": a, "b": b, "difference": b - a, "ci95": interval, "p": p}


def two_sided_p(differences: Floats) -> float:
    """Twice the smaller share of rounds on one side of 0, which belongs to both; never 0 (Davison and Hinkley 1997)."""
    known = differences[np.isfinite(differences)]
    tail = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


def _with_holm(findings: dict[str, Difference]) -> dict[str, Difference]:
    """Holm's step-down correction of the p-values that are there."""
    ordered = sorted((row.p, name) for name, row in findings.items() if row.p is not None)
    corrected, largest = {}, 0.0
    for rank, (p, name) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - rank)))
        corrected[name] = largest
    return {name: row.model_copy(update={"p_holm": corrected.get(name)}) for name, row in findings.items()}
