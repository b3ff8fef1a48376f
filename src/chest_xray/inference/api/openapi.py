"""What the OpenAPI document says beyond what FastAPI reads from the routes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from chest_xray.inference.http.problems import PROBLEM_TYPE, Problem
from chest_xray.inference.http.uploads import IMAGE_TYPES, MAX_IMAGES, MULTIPART

_BEARER: Final = "bearer"
_HEADERS: Final[dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's id: the caller's own, where it sent a UUID.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to say who asks.", "schema": {"type": "string"}},
}
_EXTRA_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After",
}


def problem_documents(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the error answers of a route."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status.value: {
            "description": status.phrase,
            "content": content,
            "headers": {name: _HEADERS[name] for name in [_EXTRA_HEADERS[status]]} if status in _EXTRA_HEADERS else {},
        }
        for status in statuses
    }


# What any route may answer: a foreign host name, and a failure that nobody foresaw.
ANY_PROBLEMS: Final = problem_documents(HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
# What a route that needs a key may answer; keys that the server cannot read are a 503.
KEY_PROBLEMS: Final = ANY_PROBLEMS | problem_documents(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
)
# 403 is for the page of another site that makes a browser send this.
PREDICTION_PROBLEMS: Final = KEY_PROBLEMS | problem_documents(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
SHOWN_PROBLEMS: Final = KEY_PROBLEMS | problem_documents(HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
FEEDBACK_PROBLEMS: Final = PREDICTION_PROBLEMS | problem_documents(HTTPStatus.CONFLICT)
_BINARY: Final = {"type": "string", "format": "binary"}
_ONE_FILM: Final = {kind: {"schema": _BINARY} for kind in IMAGE_TYPES}
FILM_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "description": "One film under its type.", "content": _ONE_FILM}
}
FILM_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.OK.value: {
        "description": "The pixels, rows from the top, little endian, one or two bytes each as X-Film says.",
        "content": {"application/octet-stream": {"schema": _BINARY}},
        "headers": {
            "X-Film": {
                "description": "What the pixels are and how they are shown first: JSON in one line.",
                "schema": {"type": "string", "contentMediaType": "application/json"},
            }
        },
    }
}
PREDICTION_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"One film under its type, or up to {MAX_IMAGES} as the parts of a {MULTIPART} body, under "
        "any names. What an image is, its first bytes say.",
        "content": _ONE_FILM
        | {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": MAX_IMAGES,
                    "additionalProperties": _BINARY,
                }
            }
        },
    }
}


class DocumentedApi(FastAPI):
    """FastAPI whose document is complete. `keys` says whether callers need a key; `open_paths` never do."""

    keys: bool = False
    open_paths: frozenset[str] = frozenset()

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document, with problems, the headers of every answer, and the keys."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document["components"]
            components["schemas"]["Problem"] = Problem.model_json_schema()
            components["securitySchemes"] = {
                _BEARER: {"type": "http", "scheme": "bearer", "description": "A key that `cxr keys add` has made."}
            }
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    self._complete(path, operation)
        return self.openapi_schema or {}

    def _complete(self, path: str, operation: dict[str, Any]) -> None:
        operation["security"] = [{_BEARER: []}] if self.keys and path not in self.open_paths else []
        for response in operation["responses"].values():
            response.setdefault("headers", {})["X-Request-ID"] = _HEADERS["X-Request-ID"]
