"""Every error of the API as RFC 9457 problem+json. Nothing of a request's body or file name enters one."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chest_xray.errors import ChestXrayError, ImageError, ImageTooLargeError
from chest_xray.inference.answers import Problem

PROBLEM_TYPE: Final = "application/problem+json"
_log: Final = logging.getLogger("chest_xray.errors")


class ApiError(ChestXrayError):
    """A request that is answered with a problem. `headers` go with the answer."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}


def problem_response(request_id: str, error: ApiError) -> Response:
    """The HTTP answer of an error."""
    problem = Problem(
        title=error.status.phrase,
        status=error.status.value,
        code=error.code,
        detail=str(error),
        request_id=request_id,
    )
    return Response(problem.model_dump_json(), error.status, headers=dict(error.headers), media_type=PROBLEM_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app` as a problem; one that nobody foresaw is a 500 without details."""

    async def answer(request: Request, error: Exception) -> Response:
        known = as_api_error(error)
        if known.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("%s failed with %s", request.state.request_id, type(error).__name__)
        return problem_response(request.state.request_id, known)

    for kind in (ApiError, ImageError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer)


def as_api_error(error: Exception) -> ApiError:
    """The problem that an exception becomes."""
    match error:
        case ApiError():
            return error
        case ImageTooLargeError():
            return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "image_too_large", str(error))
        case ImageError():
            return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "image_unreadable", str(error))
        case HTTPException():
            status = HTTPStatus(error.status_code)
            detail = f"{status.description or status.phrase}."
            return ApiError(status, status.name.lower(), detail, dict(error.headers or {}))
        case RequestValidationError():
            return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "parameter_invalid", _first_fault(error))
    return ApiError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The server failed on this request. Its log has the error beside the request id.",
    )


def problem_documents(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the error answers of a route."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


def _first_fault(error: RequestValidationError) -> str:
    # The fault's own `input` is left out: it is what the caller sent.
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
