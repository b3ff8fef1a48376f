"""The HTTP wrapper of a `Predictor`, whichever it is.

GET  /, /page/...      the page for readers
POST /v1/predictions   one PNG, JPEG or DICOM film as the body, or several in a multipart body
POST /v1/films         one film's pixels at full depth, for a viewer
POST /v1/feedback      what a reader says of a film's findings
POST /v1/events/.../shown   a reader had withheld scores shown
GET  /v1/model         the deployed model: calibration, operating points, metrics, guard, provenance
GET  /healthz          the process answers
GET  /readyz           a model is loaded and proved, and new requests are taken
GET  /metrics          counts for Prometheus
GET  /openapi.json     this, for programs

A request passes `Boundary`, then `AccessControl`, then `AdmissionControl`.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

import chest_xray
from chest_xray.images.limits import DEFAULT_LIMITS, Limits
from chest_xray.inference.answers import Health, ModelAnswer, ModelCard, Readiness
from chest_xray.inference.api.feedback import add_feedback
from chest_xray.inference.api.films import add_films
from chest_xray.inference.api.openapi import ANY_PROBLEMS, KEY_PROBLEMS, DocumentedApi, problem_documents
from chest_xray.inference.api.pages import add_pages, read_assets
from chest_xray.inference.api.predictions import add_predictions
from chest_xray.inference.api.shown import add_shown
from chest_xray.inference.http.access import OPEN_PATHS, Access, AccessControl, OpenAccess
from chest_xray.inference.http.admission import Admission, AdmissionControl, AdmissionLimits, draining
from chest_xray.inference.http.boundary import LOOPBACK_HOSTS, Boundary
from chest_xray.inference.http.bounds import DEADLINE_SECONDS
from chest_xray.inference.http.problems import ApiError, add_problem_handlers, problem_response
from chest_xray.inference.service import PredictionService
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.prediction import Predictor
from chest_xray.records.audit import Audit
from chest_xray.records.ground_truth import GroundTruthLog
from chest_xray.records.metrics import CONTENT_TYPE, Metrics

DEFAULT_ADMISSION: Final = AdmissionLimits()


def create_app(
    predictor: Predictor,
    *,
    limits: Limits = DEFAULT_LIMITS,
    hosts: Collection[str] | None = LOOPBACK_HOSTS,
    access: Access | None = None,
    audit: Audit | None = None,
    ground_truth: GroundTruthLog | None = None,
    admission: AdmissionLimits = DEFAULT_ADMISSION,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> FastAPI:
    """The application that answers for `predictor`, on one event loop.

    `limits` bound the body of a request; `hosts` are the names by which callers may address the server. Without
    `access` anybody may ask; without `audit` nothing is recorded; without `ground_truth` no feedback is kept.
    `app.state` has the `Admission`, whose `drain` is for the server to call before it ends, the `PredictionService` and
    the `Metrics`.
    """
    identity = predictor.identity
    metrics = Metrics(model=identity.name, version=identity.version, digest=identity.digest)
    service = PredictionService(
        predictor, limits=limits, audit=audit, metrics=metrics, deadline_seconds=deadline_seconds
    )
    # No /docs: FastAPI's documentation pages fetch their scripts from a CDN, which hospital networks refuse.
    app = DocumentedApi(
        title="chest-xray-classifier",
        version=chest_xray.__version__,
        description=RESEARCH_USE_ONLY,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.keys, app.open_paths = not isinstance(access, OpenAccess | None), OPEN_PATHS
    app.state.metrics, app.state.service, app.state.admission = metrics, service, Admission(admission, metrics)
    # The one that is added last is the first that a request meets.
    app.add_middleware(AdmissionControl, admission=app.state.admission, max_body_bytes=limits.max_bytes)
    if access is not None:
        app.add_middleware(AccessControl, access=access)
    app.add_middleware(Boundary, hosts=hosts, metrics=metrics)
    add_problem_handlers(app)
    app.add_exception_handler(RequestValidationError, _answer_parameter_fault)
    add_predictions(app, service)
    add_films(app, service)
    add_feedback(app, service, ground_truth, audit)
    add_shown(app, service, audit)
    _add_model(app, service, feedback=ground_truth is not None)
    _add_states(app, predictor)
    _add_metrics(app, metrics)
    add_pages(app, read_assets())
    return app


async def _answer_parameter_fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The fault's own `input` is left out: it is what the caller sent.
    first = error.errors()[0]
    detail = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
    problem = ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "parameter_invalid", detail)
    return problem_response(request.state.request_id, problem)


def _add_model(app: FastAPI, service: PredictionService, *, feedback: bool) -> None:
    @app.get("/v1/model", summary="The deployed model", responses=KEY_PROBLEMS)
    async def model(request: Request) -> ModelCard:
        return ModelCard.of(request.state.request_id, service.predictor, service.limits, feedback=feedback)


def _add_states(app: FastAPI, predictor: Predictor) -> None:
    @app.get("/healthz", summary="Is the process up?", responses=ANY_PROBLEMS)
    async def healthz() -> Health:
        return Health()

    @app.get(
        "/readyz",
        summary="Is a model loaded, and are requests taken?",
        responses=ANY_PROBLEMS | problem_documents(HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def readyz() -> Readiness:
        if app.state.admission.draining:
            raise draining()
        return Readiness(model=ModelAnswer.model_validate(predictor.identity))


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    @app.get("/metrics", summary="Counts for Prometheus", response_class=Response, responses=KEY_PROBLEMS | text)
    async def scrape() -> Response:
        await run_sync(metrics.prepare)
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)
