"""What the guard and the quality checks tell from real films that the model has not seen.

    CXR_REAL_DATA=... python -m benchmarks.serving.guard [--bundle FOLDER] [--films NIH_FOLDER_OR_SHARDS]

Every image goes the whole way of a request: a PNG file, decoding, preprocessing, the graph. `guard_auroc_X` is the
area under the ROC curve of the guard's distance, films of the test list against X; `guard_refused` is the part of X
over the bundle's threshold, and `guard_false_refusal_rate` that of the test films. `quality_sensitivity` is the part
of changed test films of which the right check warns; `quality_false_warnings` the part of unchanged ones.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.other_images import noise, phantoms, photographs, png
from chest_xray.cpus import available_cpus
from chest_xray.data.shards import DATASET_FILE, Shards
from chest_xray.images.decode import decode_image
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.prediction import Prediction, QualityCheck

Grey = NDArray[np.uint8]
CHANGED_FILMS = 60
CROP_SIDES = (0.8, 0.65, 0.5)


def measure_guard(bundle: Path, films: Path) -> dict[str, Any]:
    """Measure a bundle on held-out films.

    Args:
        bundle: a bundle trained on the training films of `films`.
        films: an NIH-format folder, or the shards made of one.
    """
    predictor = OnnxPredictor.load(bundle, threads=1)
    held_out = held_out_films(films)
    kept = held_out[:: max(1, len(held_out) // CHANGED_FILMS)][:CHANGED_FILMS]
    real = _predict(predictor, held_out)
    other = {name: _predict(predictor, images) for name, images in other_images().items()}
    changed = {name: _predict(predictor, images) for name, images in changed_films(kept).items()}
    groups = other | {
        "inverted": changed["inverted"],
        "rotated": [answer for turns in (90, 180, 270) for answer in changed[f"rotated_{turns}"]],
        "cropped": [answer for side in CROP_SIDES for answer in changed[f"cropped_{side:g}"]],
    }
    return (
        {f"guard_auroc_{name}": _auroc(real, answers) for name, answers in groups.items()}
        | {
            "guard_refused": {name: _refused(answers) for name, answers in groups.items()},
            "guard_false_refusal_rate": _refused(real),
            "guard_stated_false_refusal_rate": predictor.manifest.guard.false_refusal_rate,
        }
        | _quality(real, changed)
        | {"guard_images": {name: len(answers) for name, answers in ({"films": real} | groups).items()}}
    )


def _predict(predictor: OnnxPredictor, images: list[Grey]) -> list[Prediction]:
    # An image on each processor takes half the time of one image after the other on all of them.
    with ThreadPoolExecutor(available_cpus()) as pool:
        return list(pool.map(lambda image: predictor.predict(png(image)), images))


def held_out_films(source: Path) -> list[Grey]:
    """The films of the test list."""
    if (source / DATASET_FILE).is_file():
        shards = Shards.open(source)
        return list(shards.read(shards.rows("test")))
    names = (source / "test_list.txt").read_text(encoding="ascii").split()
    return [np.asarray(decode_image((source / "images" / name).read_bytes()), np.uint8) for name in sorted(names)]


def other_images() -> dict[str, list[Grey]]:
    """Images that are no radiographs, and drawn ones."""
    return {"photos": list(photographs()), "noise": list(noise()), "phantoms": list(phantoms(40))}


def changed_films(films: list[Grey]) -> dict[str, list[Grey]]:
    """The films, changed in one way each."""
    rng = np.random.default_rng(0)
    changed = {"inverted": [255 - film for film in films]}
    for turns in (1, 2, 3):
        changed[f"rotated_{90 * turns}"] = [np.rot90(film, turns) for film in films]
    for side in CROP_SIDES:
        changed[f"cropped_{side:g}"] = [_crop(film, side, rng) for film in films]
    changed["blank"] = [(120 + film // 20).astype(np.uint8) for film in films[:20]]
    changed["too_small"] = [film[::2, ::2] for film in films[:20]]
    return changed


def _crop(film: Grey, side: float, rng: np.random.Generator) -> Grey:
    height, width = (round(side * extent) for extent in film.shape)
    top, left = rng.integers(0, film.shape[0] - height + 1), rng.integers(0, film.shape[1] - width + 1)
    return film[top : top + height, left : left + width]


def _auroc(real: list[Prediction], other: list[Prediction]) -> float:
    from sklearn.metrics import roc_auc_score

    truth = [0] * len(real) + [1] * len(other)
    return round(float(roc_auc_score(truth, [answer.guard.distance for answer in (*real, *other)])), 4)


def _refused(answers: list[Prediction]) -> float:
    return round(float(np.mean([not answer.guard.in_distribution for answer in answers])), 4)


def _quality(real: list[Prediction], changed: dict[str, list[Prediction]]) -> dict[str, Any]:
    return {
        "quality_sensitivity": {name: _warned(answers, _check(name)) for name, answers in changed.items()},
        "quality_false_warnings": {
            check: _warned(real, check) for check in ("blank", "inverted", "rotated", "cropped")
        },
        "quality_false_warning_rate": round(float(np.mean([bool(answer.quality) for answer in real])), 4),
    }


def _check(change: str) -> str:
    return next(check for check in get_args(QualityCheck) if change.startswith(check))


def _warned(answers: list[Prediction], check: str) -> float:
    return round(float(np.mean([check in {warning.check for warning in answer.quality} for answer in answers])), 4)


def main() -> None:
    """Measure, and print the result as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle; by default one trained on nih-mini")
    parser.add_argument("--films", type=Path, help="the NIH-format folder or shards of its training")
    arguments = parser.parse_args()
    real_data = os.environ.get("CXR_REAL_DATA")
    if (arguments.bundle is None or arguments.films is None) and not real_data:
        parser.error("set CXR_REAL_DATA to the folder that holds nih-mini, or give --bundle and --films")
    bundle = arguments.bundle
    if bundle is None:
        from benchmarks.serving.model import nih_mini_bundle

        bundle = nih_mini_bundle(Path(str(real_data)))
    started = time.perf_counter()
    result = measure_guard(bundle, arguments.films or Path(str(real_data)) / "nih-mini")
    print(f"measured in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
