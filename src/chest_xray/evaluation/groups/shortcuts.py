"""What can be predicted without the lungs: by the view, by the border of the image, by the size of its file.

Logistic regressions, fitted on training images and measured on test images. What they reach is open to the network too:
an AUROC close to theirs says little about the lungs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.evaluation.calibration.calibrate import enough_cases
from chest_xray.evaluation.graph_scores import thinned
from chest_xray.evaluation.results import Estimate, Shortcut, Shortcuts, WithinView
from chest_xray.evaluation.scored import ScoredImages
from chest_xray.statistics import Floats
from chest_xray.statistics.clustered import auroc_interval, clustered_auroc

Input = Literal["view", "border", "size"]
# More images would not change a regression on at most 64 numbers.
MOST_TRAINING_IMAGES: Final = 20_000
_BORDER_PARTS: Final = 8
_AT_ONCE = 512
_INPUTS: Final[dict[Input, str]] = {
    "view": "PA or AP",
    "border": "mean and standard deviation of 8 stretches along each side, of the outermost sixteenth of the image",
    "size": "logarithms of the width and height of the source file, their square, and their ratio",
}


def measure_shortcuts(shards: Shards, test: ScoredImages, rows: NDArray[np.int64]) -> Shortcuts | None:
    """Fit to training images, measure on the test images; None where there is no training image.

    Args:
        shards: prepared images.
        test: N scored test images.
        rows: (N,), their positions in the shards.
    """
    fitted_on = shards.rows("train")
    if not (len(fitted_on) and len(rows)):
        return None
    fitted_on = thinned(fitted_on, MOST_TRAINING_IMAGES)
    inside = {"view": view_features, "size": size_features, "border": border_features}
    alone: dict[Input, Shortcut] = {}
    for name in _INPUTS:
        features = inside[name](shards, fitted_on), inside[name](shards, rows)
        alone[name] = _shortcut(_INPUTS[name], *features, shards.labels[fitted_on], test)
    return Shortcuts(training_images=len(fitted_on), alone=alone, within_view=within_views(test))


def view_features(shards: Shards, rows: NDArray[np.int64]) -> Floats:
    """(n, 2): is it PA, is it AP; both 0 where it is not known."""
    views = np.asarray(shards.views)[rows]
    return np.column_stack([views == "PA", views == "AP"]).astype(np.float64)


def size_features(shards: Shards, rows: NDArray[np.int64]) -> Floats:
    """(n, 5) from the width and height of the source file in pixels."""
    width, height = np.log(shards.widths[rows]), np.log(shards.heights[rows])
    return np.column_stack([width, height, width**2, height**2, width - height])


def border_features(shards: Shards, rows: NDArray[np.int64]) -> Floats:
    """(n, 64): mean and standard deviation of each stretch, top, bottom, left and right, on the scale 0..1."""
    found = []
    with progress("Reading image borders", len(rows)) as advance:
        for start in range(0, len(rows), _AT_ONCE):
            found.append(_borders(shards.read(rows[start : start + _AT_ONCE])))
            advance(len(found[-1]))
    return np.concatenate(found)


def _borders(pixels: NDArray[np.uint8]) -> Floats:
    depth = max(1, pixels.shape[1] // 16)
    sides = (
        pixels[:, :depth],
        pixels[:, -depth:],
        pixels[:, :, :depth].transpose(0, 2, 1),
        pixels[:, :, -depth:].transpose(0, 2, 1),
    )
    stretches = [
        part.reshape(len(pixels), -1) / 255 for side in sides for part in np.array_split(side, _BORDER_PARTS, 2)
    ]
    return np.column_stack([value for part in stretches for value in (part.mean(axis=1), part.std(axis=1))])


def _shortcut(
    inputs: str, fitted_on: Floats, measured_on: Floats, labels: NDArray[np.uint8], test: ScoredImages
) -> Shortcut:
    middle, spread = fitted_on.mean(axis=0), fitted_on.std(axis=0)
    spread[spread < 1e-9] = 1.0
    findings = {}
    for k, name in enumerate(test.findings):
        if not (enough_cases(labels[:, k]) and _measurable(test, k)):
            continue
        scores = _logistic_scores((fitted_on - middle) / spread, labels[:, k], (measured_on - middle) / spread)
        findings[name] = _auroc(test, k, scores, np.ones(len(test), dtype=bool))
    return Shortcut(inputs=inputs, mean_auroc=_mean(findings), findings=findings)


def _logistic_scores(fitted_on: Floats, labels: NDArray[np.uint8], measured_on: Floats) -> Floats:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=1000).fit(fitted_on, labels)
    return np.asarray(model.decision_function(measured_on), dtype=np.float64)


def within_views(test: ScoredImages) -> list[WithinView]:
    """The model's AUROC within PA and within AP, where the view tells nothing."""
    found = []
    views: tuple[Literal["PA", "AP"], ...] = ("PA", "AP")
    for view in views:
        inside = test.views == view
        kept = [k for k in range(len(test.findings)) if _measurable(test, k) and enough_cases(test.labels[inside, k])]
        if not kept:
            continue
        findings = {test.findings[k]: _auroc(test, k, test.logits[:, k], inside) for k in kept}
        every = {test.findings[k]: _auroc(test, k, test.logits[:, k], np.ones(len(test), dtype=bool)) for k in kept}
        found.append(
            WithinView(
                view=view,
                images=int(inside.sum()),
                mean_auroc=_mean(findings),
                mean_auroc_all=_mean(every),
                findings=findings,
            )
        )
    return found


def _measurable(test: ScoredImages, k: int) -> bool:
    whole = np.isfinite(test.labels[:, k]).all() and np.isfinite(test.logits[:, k]).all()
    return bool(whole) and enough_cases(test.labels[:, k])


def _auroc(test: ScoredImages, k: int, scores: NDArray[np.floating], inside: NDArray[np.bool_]) -> Estimate:
    _, patients = np.unique(test.patients[inside], return_inverse=True)
    positive = test.labels[inside, k] == 1
    found = clustered_auroc(positive, scores[inside].astype(np.float64), patients, int(patients.max()) + 1)
    return Estimate(value=found.value, ci95=auroc_interval(found))


def _mean(findings: Mapping[str, Estimate]) -> float | None:
    return float(np.mean([found.value for found in findings.values()])) if findings else None
