"""Score image files one by one; a file that cannot be read does not take the others with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chest_xray.console import say
from chest_xray.errors import ImageError
from chest_xray.files import write_beside
from chest_xray.inference.scoring import Order, score_film
from chest_xray.notices import describe_source
from chest_xray.prediction import Prediction, Predictor
from chest_xray.records.audit import Audit


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where pictures with heat maps go. A finding that is not flagged has one only with `anyway`."""

    folder: Path
    anyway: bool = False


_SUFFIXES: Final = frozenset((".dcm", ".dicom", ".jpeg", ".jpg", ".png"))


def predict_files(
    predictor: Predictor, files: Sequence[Path], order: Order, *, audit: Audit | None, pictures: Pictures | None = None
) -> Iterator[tuple[Path, Prediction]]:
    """Yield each file with its prediction, once the audit log has it.

    With `pictures`, the film is written there with the one heat map that `order` asks for, beside what is there: a name
    that is taken gets a number. A file of which no byte could be read has no line in the audit log.

    Raises:
        ImageError: after the last file, when some could not be read.
        AuditError: the audit log cannot be written.
    """
    failures: list[str] = []
    for path in files:
        try:
            image = _read(path)
            prediction = _scored(predictor, audit, image, order)
        except ImageError as error:
            failures.append(f"{path}: {error}")
            if len(files) > 1:
                say(f"error: {failures[-1]}")
            continue
        if pictures is not None:
            _write_picture(predictor, path, image, prediction, pictures)
        yield path, prediction
    if failures:
        raise ImageError(failures[0] if len(files) == 1 else f"{len(failures)} of {len(files)} files were not scored.")


def _scored(predictor: Predictor, audit: Audit | None, image: bytes, order: Order) -> Prediction:
    result = score_film(predictor, audit, image, order)
    if isinstance(result, ImageError):
        raise result
    return result


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{error.strerror}.") from error


def _write_picture(predictor: Predictor, path: Path, image: bytes, prediction: Prediction, pictures: Pictures) -> None:
    from chest_xray.inference.heatmap import overlay_png

    ((name, heat_map),) = prediction.heat_maps.items()
    top = next(score for score in prediction.findings if score.finding == name)
    if not top.flag and not pictures.anyway:
        why = "its scores are withheld" if prediction.withheld else "no finding is flagged"
        say(f"{path.name}: no heat map, {why}. --heatmap-anyway draws that of {top.finding}.")
        return
    source = describe_source(predictor.manifest.provenance.label_version)
    caption = f"{top.finding.replace('_', ' ')}, probability {top.probability:.2f}, model of {source}"
    # A UID as a name has dots of its own, which are no suffix.
    stem = path.stem if path.suffix.lower() in _SUFFIXES else path.name
    picture = write_beside(
        pictures.folder, f"{stem}-{top.finding}", ".png", overlay_png(image, heat_map, caption=caption)
    )
    say(f"Heat map: {picture}")
