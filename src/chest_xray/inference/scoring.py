"""One film scored or shown for a caller, and its line in the audit log: the same through every door."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chest_xray.errors import ImageError, UnlikeTrainingError
from chest_xray.images.decode import decode_full
from chest_xray.images.film import FullFilm
from chest_xray.images.limits import Limits
from chest_xray.inference.http.problems import image_code
from chest_xray.prediction import ModelIdentity, Prediction, Predictor
from chest_xray.records.audit import Audit, AuditEntry


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks of each of some films.

    `caller` and `request_id` are what the audit log says; `explain` is as `Predictor.predict` takes it. With `strict` a
    film that the guard or a quality check does not accept is refused.
    """

    caller: str
    request_id: str
    explain: Collection[str] = ()
    strict: bool = False


def score_film(predictor: Predictor, audit: Audit | None, image: bytes, order: Order) -> Prediction | ImageError:
    """The prediction for one image file's bytes, or why there is none; recorded before anybody sees it.

    Raises:
        AuditError: the audit log cannot be written.
        SettingsError: `explain` has a name that is no finding.
    """
    try:
        prediction = predictor.predict(image, explain=order.explain)
        if order.strict:
            check_accepted(prediction)
    except ImageError as error:
        _record(audit, predictor.identity, image, order, error)
        return _without_frames(error)
    _record(audit, predictor.identity, image, order, prediction)
    return prediction


def show_film(
    model: ModelIdentity, audit: Audit | None, image: bytes, order: Order, limits: Limits
) -> FullFilm | ImageError:
    """The film in one image file's bytes at full depth, or why there is none; recorded as `viewed`.

    Raises:
        AuditError: the audit log cannot be written.
    """
    try:
        film = decode_full(image, limits)
    except ImageError as error:
        _record(audit, model, image, order, error)
        return _without_frames(error)
    _record(audit, model, image, order, film)
    return film


def check_accepted(prediction: Prediction) -> None:
    """Let a prediction pass whose scores are not withheld.

    Raises:
        UnlikeTrainingError: the first quality warning, as it tells more, or else the guard's verdict.
    """
    code, guard = prediction.withheld, prediction.guard
    if code is None:
        return
    for warning in prediction.quality:
        raise UnlikeTrainingError(code, warning.detail)
    raise UnlikeTrainingError(
        code,
        f"The film is unlike the training films: its distance is {guard.distance:.4g}; at most "
        f"{guard.threshold:.4g} is accepted. Without `strict` it is scored all the same.",
    )


def flagged(prediction: Prediction) -> tuple[str, ...]:
    """The findings that are flagged, in their order."""
    return tuple(score.finding for score in prediction.findings if score.flag)


def _record(
    audit: Audit | None, model: ModelIdentity, image: bytes, order: Order, result: Prediction | FullFilm | ImageError
) -> None:
    if audit is None:
        return
    entry = AuditEntry(
        time=datetime.now(UTC),
        request_id=order.request_id,
        caller=order.caller,
        image=audit.fingerprint(image),
        media_type=None,
        outcome="refused",
        code=None,
        model=model,
        in_distribution=None,
    )
    audit.record(_with_result(entry, result))


def _with_result(entry: AuditEntry, result: Prediction | FullFilm | ImageError) -> AuditEntry:
    if isinstance(result, ImageError):
        return replace(entry, code=image_code(result))
    if isinstance(result, FullFilm):
        return replace(entry, media_type=result.film.media_type, outcome="viewed")
    return replace(
        entry,
        media_type=result.film.media_type,
        outcome="scored",
        in_distribution=result.guard.in_distribution,
        flagged=flagged(result),
        no_operating_point=tuple(score.finding for score in result.findings if score.operating_point is None),
        withheld=result.withheld,
        event_id=result.event_id,
    )


def _without_frames(error: ImageError) -> ImageError:
    """The error without its traceback, whose frames would keep the image's bytes until the answer is written."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error
