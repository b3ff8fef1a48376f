"""Every error of the API as RFC 9457 problem+json. Nothing of a request's body or file name enters one.

Nothing here imports FastAPI: the SageMaker container answers with these problems too, and starts 0.3 s sooner without.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chest_xray.errors import (
    AuditError,
    ChestXrayError,
    ImageError,
    ImageTooLargeError,
    ImageUnsuitableError,
    UnlikeTrainingError,
)

PROBLEM_TYPE: Final = "application/problem+json"
_AUDIT_RETRY_SECONDS: Final = 10
_log: Final = logging.getLogger("chest_xray.errors")


class ApiError(ChestXrayError):
    """A request that is answered with a problem. `headers` go with the answer."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}


def problem_of(request_id: str, error: Exception) -> Problem:
    """What an error says to the caller."""
    known = as_api_error(error)
    return Problem(
        title=known.status.phrase,
        status=known.status.value,
        code=known.code,
        detail=str(known),
        request_id=request_id,
    )


def problem_response(request_id: str, error: ApiError) -> Response:
    """The HTTP answer of an error."""
    body = problem_of(request_id, error).model_dump_json()
    return Response(body, error.status, headers=dict(error.headers), media_type=PROBLEM_TYPE)


def image_code(error: ImageError) -> str:
    """The problem code of an image that was not scored: one of a few words of the project's own."""
    match error:
        case ImageTooLargeError():
            return "image_too_large"
        case ImageUnsuitableError():
            return "image_unsuitable"
        case UnlikeTrainingError():
            return error.code
    return "image_unreadable"


def add_problem_handlers(app: Starlette) -> None:
    """Answer every foreseen error of `app` as a problem; `Boundary` answers the others."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, AuditError):
            _log.error("%s: %s", request.state.request_id, error)
        return problem_response(request.state.request_id, as_api_error(error))

    for kind in (ApiError, AuditError, ImageError, HTTPException):
        app.add_exception_handler(kind, answer)


def as_api_error(error: Exception) -> ApiError:
    """The problem that an exception becomes."""
    match error:
        case ApiError():
            return error
        case ImageError():
            too_large = isinstance(error, ImageTooLargeError)
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.UNPROCESSABLE_ENTITY
            return ApiError(status, image_code(error), str(error))
        case AuditError():
            # The sentence itself names a folder of the server; it goes into the log.
            return ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "audit_unwritable",
                "The audit log cannot be written, so nothing is answered. The server's log has the reason.",
                headers={"Retry-After": str(_AUDIT_RETRY_SECONDS)},
            )
        case HTTPException():
            status = HTTPStatus(error.status_code)
            detail = f"{status.description or status.phrase}."
            return ApiError(status, status.name.lower(), detail, dict(error.headers or {}))
    return ApiError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The server failed on this request. Its log has the error beside the request id.",
    )


class Answer(BaseModel):
    """What goes out as JSON: frozen, and nothing in it that its document does not name.

    What the program itself computes with is taken from the attributes of its own objects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, from_attributes=True)


class Problem(Answer):
    """An error, by RFC 9457. `code` is for programs, `detail` for people."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
