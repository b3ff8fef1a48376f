"""POST /v1/predictions: one film as the body, or several as the parts of a multipart body.

What an image is, its first bytes say. A declared type that contradicts them is no error: viewers and archives get it
wrong, the bytes do not. The answer's `film.media_type` says what was found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import anyio
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, BeforeValidator
from starlette.responses import Response

from chest_xray.errors import ImageError, SettingsError
from chest_xray.inference.answers import BatchAnswer, BatchResult, HeatMapKind, PredictionAnswer
from chest_xray.inference.api.openapi import PREDICTION_BODY, PREDICTION_PROBLEMS
from chest_xray.inference.explain import parse_explain
from chest_xray.inference.http.access import LOCAL
from chest_xray.inference.http.problems import ApiError
from chest_xray.inference.http.uploads import IMAGE_TYPES, MULTIPART, content_type, read_body, read_parts
from chest_xray.inference.service import PredictionService
from chest_xray.prediction import ModelIdentity, Prediction

PREDICTIONS: Final = "/v1/predictions"
_PARAMETERS: Final = frozenset({"explain", "heat_maps", "strict"})
_T = TypeVar("_T")


def _boolean(value: object) -> object:
    """`true` or `false` only, as the document says: pydantic would take `yes`, `on` and `1` as well."""
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("expected true or false")
    return value


HeatMaps = Annotated[
    HeatMapKind, Query(description="Heat maps as the small `array`, or as a `png` to lay over the film.")
]
Strict = Annotated[
    bool,
    BeforeValidator(_boolean),
    Query(description="Refuse a film that the guard or a quality check does not accept, instead of saying so."),
]


def add_predictions(app: FastAPI, service: PredictionService) -> None:
    """Add the route to `app`."""
    findings = tuple(service.predictor.manifest.findings)
    explain_of_these = _explain_query(findings)

    # A response that is prepared here is not validated and copied once more by FastAPI.
    @app.post(
        PREDICTIONS,
        summary="Score one film, or several",
        response_model=PredictionAnswer | BatchAnswer,
        responses=PREDICTION_PROBLEMS,
        openapi_extra=PREDICTION_BODY,
    )
    async def predict(
        request: Request,
        explain: tuple[str, ...] = explain_of_these,
        heat_maps: HeatMaps = "array",
        strict: Strict = False,
    ) -> Response:
        _check_parameters(request)
        order = _Order(
            request_id=request.state.request_id,
            explain=_explained(explain, findings),
            strict=strict,
            picture_size=service.predictor.manifest.image_size if heat_maps == "png" else None,
        )
        if content_type(request, (*IMAGE_TYPES, MULTIPART)) == MULTIPART:
            results = await _score(service, request, order, await read_parts(request, service.limits))
            answer: Callable[[], BaseModel] = partial(_batch_answer, service.identity, order, results)
        else:
            (result,) = await _score(service, request, order, [await read_body(request, service.limits)])
            if isinstance(result, ImageError):
                raise result
            answer = partial(PredictionAnswer.answering, order.request_id, result, order.picture_size)
        return Response(await _write(service, order, answer), media_type="application/json")


def _explain_query(findings: Sequence[str]) -> Any:
    """What the document says of `explain` for a model of these findings."""
    schema = {
        "type": "array",
        "anyOf": [
            {"items": {"type": "string", "enum": [*findings, "top", "all"]}},
            {"items": {"type": "string", "const": "none"}},
        ],
    }
    return Query(
        default=(),
        description="Findings to return heat maps of; `top` (the most probable of the flagged, or of all), `all`, or "
        "`none`. Names may also stand in one value, separated by commas.",
        json_schema_extra=schema,
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """What a request asks for. `picture_size` is None where heat maps go out as arrays."""

    request_id: str
    explain: tuple[str, ...]
    strict: bool
    picture_size: int | None


async def _score(
    service: PredictionService, request: Request, order: _Order, images: list[bytes]
) -> list[Prediction | ImageError]:
    scored = service.score(
        images,
        explain=order.explain,
        strict=order.strict,
        caller=caller_of(request),
        request_id=order.request_id,
        received=time.monotonic(),
    )
    del images  # the service lets go of each once it is scored
    return await while_there(request, scored)


def caller_of(request: Request) -> str:
    """The name that access control has given to who asks."""
    caller: str = getattr(request.state, "caller", LOCAL)
    return caller


async def while_there(request: Request, work: Awaitable[_T]) -> _T:
    """The result of `work`, which ends when the client leaves: its place is for somebody who waits.

    Raises:
        ApiError: the client has left.
    """
    with anyio.CancelScope() as scope:
        watcher = asyncio.create_task(_cancel_when_left(request, scope))
        try:
            return await work
        finally:
            watcher.cancel()
    raise ApiError(HTTPStatus.BAD_REQUEST, "client_left", "The connection ended before the answer was there.")


async def _cancel_when_left(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _write(service: PredictionService, order: _Order, answer: Callable[[], BaseModel]) -> str:
    # An answer takes a tenth of a millisecond; a picture takes two, which would hold up everybody's event loop.
    if order.picture_size is None or not order.explain:
        return answer().model_dump_json()
    return await service.run(lambda: answer().model_dump_json())


def _batch_answer(model: ModelIdentity, order: _Order, results: Sequence[Prediction | ImageError]) -> BatchAnswer:
    request_id, size = order.request_id, order.picture_size
    rows = [BatchResult.of(request_id, index, result, size) for index, result in enumerate(results)]
    return BatchAnswer.of(request_id, model, rows)


def _check_parameters(request: Request) -> None:
    if not _PARAMETERS.issuperset(request.query_params):
        known = ", ".join(sorted(_PARAMETERS))
        # What the caller wrote instead is not repeated: it may be a patient's name.
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "parameter_unknown", f"The query has an unknown parameter. Known: {known}."
        )


def _explained(values: Sequence[str], findings: Sequence[str]) -> tuple[str, ...]:
    if "" in values:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "explain_unknown", "explain is empty. Leave it out, or name one."
        )
    try:
        return parse_explain(values, findings)
    except SettingsError as error:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "explain_unknown", str(error)) from error
