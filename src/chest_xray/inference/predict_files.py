"""Score image files one by one; a file that cannot be read does not take the others with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chest_xray.backends.base import Prediction, Predictor
from chest_xray.console import say
from chest_xray.errors import ImageError
from chest_xray.findings import describe_source


def predict_files(
    predictor: Predictor, files: Sequence[Path], *, pictures: Path | None = None
) -> Iterator[tuple[Path, Prediction]]:
    """Yield each file with its prediction; with `pictures`, write the film with its top finding's heat map there.

    Raises:
        ImageError: after the last file, when some could not be read.
    """
    failures: list[str] = []
    for path in files:
        try:
            yield path, _predict_file(predictor, path, pictures)
        except (ImageError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            failures.append(f"{path.name}: {reason}")
            if len(files) > 1:
                say(f"error: {failures[-1]}")
    if failures:
        raise ImageError(failures[0] if len(files) == 1 else f"{len(failures)} of {len(files)} files were not scored.")


def top_finding(prediction: Prediction) -> str:
    """The finding furthest over its operating point, or else the most probable one."""
    best = max(prediction.findings, key=lambda score: (bool(score.flag), score.probability))
    return best.finding


def _predict_file(predictor: Predictor, path: Path, pictures: Path | None) -> Prediction:
    image = path.read_bytes()
    if pictures is None:
        return predictor.predict(image)
    from chest_xray.inference.heatmap import overlay_png

    prediction = predictor.predict(image, explain=("all",))
    finding = top_finding(prediction)
    probability = next(score.probability for score in prediction.findings if score.finding == finding)
    source = describe_source(predictor.manifest.provenance.label_version)
    caption = f"{finding.replace('_', ' ')}, probability {probability:.2f}, model of {source}"
    pictures.mkdir(parents=True, exist_ok=True)
    picture = pictures / f"{path.stem}-{finding}.png"
    picture.write_bytes(overlay_png(image, prediction.heat_maps[finding], caption=caption))
    say(f"Heat map: {picture}")
    return prediction
