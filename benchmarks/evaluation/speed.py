"""`evaluate_s` and `evaluate_rss_mb`: a whole evaluation of as many images as NIH's test list has, without a network.

The scores are drawn: 25,596 test images of 2,797 patients with NIH's prevalences, and 8,652 validation images, which is
a tenth of NIH's training list. Measured is all that `cxr evaluate --predictions` does between reading and writing:
calibration, thresholds, metrics, groups of patients. The process is a new one, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from chest_xray.evaluation.measure import Choices, evaluate_predictions
from chest_xray.evaluation.scored import Origin, ScoredImages, Scores
from chest_xray.findings import FINDINGS

# Images of the official test list with each finding, labels v2020 rounded to a share of a thousand.
PREVALENCE = (0.128, 0.042, 0.182, 0.239, 0.068, 0.063, 0.022, 0.104, 0.071, 0.036, 0.043, 0.017, 0.045, 0.003)


def measure(rounds: int) -> dict[str, Any]:
    """Run `main` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.evaluation.speed", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print seconds and peak memory as JSON."""
    scores = draw_scores(test=(25_596, 2_797), validation=(8_652, 2_800))
    before = _peak_mb()
    started = time.perf_counter()
    evaluate_predictions(scores, Choices(rounds=int(sys.argv[1])))
    seconds = time.perf_counter() - started
    found = {"evaluate_s": round(seconds, 2), "evaluate_rss_mb": round(_peak_mb(), 1)}
    print(json.dumps(found | {"evaluate_rss_before_mb": round(before, 1), "evaluate_rounds": int(sys.argv[1])}))


def draw_scores(*, test: tuple[int, int], validation: tuple[int, int]) -> Scores:
    """Scores of (images, patients) of each list."""
    rng = np.random.default_rng(0)
    origin = Origin(
        data_hash="0" * 64,
        label_version="drawn",
        split_source="patient hash",
        weights_sha256="0" * 64,
        positive_weights=(5.0,) * len(FINDINGS),
    )
    return Scores(origin, _draw(rng, *validation, first=test[1]), _draw(rng, *test, first=0))


def _draw(rng: np.random.Generator, images: int, patients: int, first: int) -> ScoredImages:
    owner = np.concatenate([np.arange(patients), rng.integers(0, patients, images - patients)])
    labels = (rng.random((images, len(FINDINGS))) < PREVALENCE).astype(np.float32)
    effect = rng.normal(scale=0.6, size=(patients, len(FINDINGS)))[owner]
    logits = effect + rng.normal(scale=0.8, size=labels.shape) + 1.2 * labels - 0.5
    return ScoredImages(
        findings=FINDINGS,
        images=np.array([f"{k:08d}.png" for k in range(images)]),
        patients=(owner + first).astype(np.int64),
        ages=rng.integers(1, 95, patients)[owner].astype(np.float32),
        sexes=rng.choice(["F", "M"], patients)[owner],
        views=rng.choice(["PA", "AP"], images),
        seen_in_training=np.zeros(images, dtype=bool),
        labels=labels,
        logits=logits.astype(np.float32),
    )


def _peak_mb() -> float:
    # Kilobytes on Linux, bytes on macOS.
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


if __name__ == "__main__":
    main()
