"""What holds for every request: an id, a host that is ours, headers against caching, one line in the log.

The line has the id, method, route, status and milliseconds. It has no address, query or path as the caller
wrote it, because people put patients' names into those.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chest_xray.inference.problems import ApiError, problem_response

REQUEST_ID: Final = "X-Request-ID"
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PORT: Final = re.compile(r":\d*$")
_log: Final = logging.getLogger("chest_xray.access")


class Boundary:
    """ASGI middleware. `hosts` are the names by which a caller may address the server; None allows any.

    A page elsewhere on the web can make a browser call a loopback server by a host name of its own (DNS
    rebinding); the check of the name is what stops it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(message, request_id)
            await send(message)

        try:
            if self._knows(headers):
                await self._app(scope, receive, send_marked)
            else:
                await problem_response(request_id, _UNKNOWN_HOST)(scope, receive, send_marked)
        finally:
            milliseconds = (time.perf_counter() - started) * 1e3
            _log.info("%s %s %s %d %.1f ms", request_id, scope["method"], _route(scope), status, milliseconds)

    def _knows(self, headers: Headers) -> bool:
        host = _PORT.sub("", headers.get("host", "")).strip("[]").lower()
        return self._hosts is None or host in self._hosts


_UNKNOWN_HOST: Final = ApiError(
    HTTPStatus.MISDIRECTED_REQUEST,
    "host_unknown",
    "The Host header names a host that this server does not answer for. Use localhost or 127.0.0.1.",
)


def _request_id(headers: Headers) -> str:
    """The caller's id if it is a UUID, else a new one: a free text could name a patient."""
    given = headers.get(REQUEST_ID, "")
    return given.lower() if _UUID.fullmatch(given) else str(uuid.uuid4())


def _mark(message: Message, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers[REQUEST_ID] = request_id
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "(no route)")
