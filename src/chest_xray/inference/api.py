"""The HTTP wrapper of a `Predictor`, whichever it is.

POST /v1/predictions   the bytes of one PNG or JPEG film; `?explain=Effusion,Mass`, `all` or `none`
GET  /v1/model         the deployed model: calibration, operating points, metrics, provenance
GET  /healthz          the process answers
GET  /readyz           a model is loaded and proved
GET  /openapi.json     this, for programs
"""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Query, Request
from starlette.requests import ClientDisconnect

import chest_xray
from chest_xray.backends.base import Predictor
from chest_xray.cpus import available_cpus
from chest_xray.errors import SettingsError
from chest_xray.findings import RESEARCH_USE_ONLY
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.inference.answers import Health, ModelAnswer, ModelCard, PredictionAnswer, Problem, Readiness
from chest_xray.inference.boundary import LOOPBACK_HOSTS, Boundary
from chest_xray.inference.explain import parse_explain
from chest_xray.inference.problems import ApiError, add_problem_handlers, problem_documents

IMAGE_TYPES: Final = ("image/png", "image/jpeg")

_IMAGE_BODY: Final = {
    "required": True,
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGE_TYPES},
}
_IMAGE_PROBLEMS: Final = problem_documents(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY
)


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """FastAPI's document plus the schema of problems, which answers refer to but no route returns."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document


def create_app(
    predictor: Predictor,
    *,
    limits: Limits = DEFAULT_LIMITS,
    hosts: Collection[str] | None = LOOPBACK_HOSTS,
) -> FastAPI:
    """The application that answers for `predictor`.

    `limits` bound the body of a request; `hosts` are the names by which callers may address the server.
    """
    # No /docs: FastAPI's documentation pages fetch their scripts from a CDN, which hospital networks refuse.
    app = _Api(
        title="chest-xray-classifier",
        version=chest_xray.__version__,
        description=RESEARCH_USE_ONLY,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Boundary, hosts=hosts)
    add_problem_handlers(app)
    _add_predictions(app, predictor, limits)
    _add_model(app, predictor)
    return app


def _add_predictions(app: FastAPI, predictor: Predictor, limits: Limits) -> None:
    # One film at a time keeps all processors busy; as many as there are processors hide the decoding.
    limiter = anyio.CapacityLimiter(available_cpus())

    @app.post(
        "/v1/predictions",
        summary="Score one film",
        responses=_IMAGE_PROBLEMS,
        openapi_extra={"requestBody": _IMAGE_BODY},
    )
    async def predict(
        request: Request,
        explain: Annotated[
            list[str],
            Query(default_factory=list, description="Findings to return heat maps of; `all`; `none`."),
        ],
    ) -> PredictionAnswer:
        started = time.perf_counter()
        _check_content_type(request)
        explained = _explained(explain)
        image = await _read_body(request, limits)
        scored = await run_sync(partial(predictor.predict, image, explain=explained), limiter=limiter)
        answer = PredictionAnswer.of(request.state.request_id, scored)
        answer.timings_ms["total"] = (time.perf_counter() - started) * 1e3
        return answer


def _add_model(app: FastAPI, predictor: Predictor) -> None:
    @app.get("/v1/model", summary="The deployed model")
    async def model(request: Request) -> ModelCard:
        return ModelCard.of(request.state.request_id, predictor)

    @app.get("/healthz", summary="Is the process up?")
    async def healthz() -> Health:
        return Health()

    @app.get("/readyz", summary="Is a model loaded?")
    async def readyz() -> Readiness:
        return Readiness(model=ModelAnswer.of(predictor.identity))


def _check_content_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in IMAGE_TYPES:
        accepted = ", ".join(IMAGE_TYPES)
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "content_type_unsupported",
            f"The Content-Type is none of {accepted}. Send the film's bytes as the body, under their type.",
            headers={"Accept": accepted},
        )


def _explained(values: list[str]) -> tuple[str, ...]:
    try:
        return parse_explain(values)
    except SettingsError as error:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "explain_unknown", str(error)) from error


async def _read_body(request: Request, limits: Limits) -> bytes:
    """The body, refused by its announced length or else at the first chunk that passes the limit."""
    too_large = ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body has more than the {limits.max_bytes} bytes that are read.",
        headers={"Connection": "close"},
    )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.max_bytes:
                raise too_large
    except ClientDisconnect as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "body_incomplete", "The connection ended in the body.") from error
    return bytes(body)
