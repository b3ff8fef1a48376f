"""What holds for every request: an id, a host that is ours, headers against caching, one line in the log.

The line has the id, method, route, status and milliseconds. It has no address, query or path as the caller
wrote it, because people put patients' names into those.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chest_xray.inference.http.problems import ApiError, as_api_error, problem_response
from chest_xray.records.metrics import Metrics

REQUEST_ID: Final = "X-Request-ID"
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

NO_ROUTE: Final = "(no route)"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
# For answers whose route does not say otherwise: data are not kept, and no page elsewhere can show or read them.
_UNLESS_SAID: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PORT: Final = re.compile(r":\d*$")
_log: Final = logging.getLogger("chest_xray.access")
_errors: Final = logging.getLogger("chest_xray.errors")


class Boundary:
    """ASGI middleware. `hosts` are the names by which a caller may address the server; None allows any.

    A page elsewhere on the web can make a browser call a loopback server by a host name of its own (DNS
    rebinding); the check of the name is what stops it. Under the server's own name it can still make the browser send
    a POST, with the cookie of a proxy if there is one; the browser says in Sec-Fetch-Site and Origin where such a
    request comes from, and it is refused. Programs send neither.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, metrics: Metrics | None = None) -> None:
        self._app = app
        self._hosts = hosts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(headers, receive, send)
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        with exchange:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self._app(scope, exchange.receive, exchange.send)
            else:
                await problem_response(exchange.request_id, refusal)(scope, receive, exchange.send)
        if exchange.failure is not None:
            await exchange.answer_failure(scope, exchange.failure)
        self._note(scope, exchange)

    def _note(self, scope: Scope, exchange: _Exchange) -> None:
        seconds, route = time.perf_counter() - exchange.started, _route(scope)
        method, status = scope["method"], exchange.status
        _log.info("%s %s %s %d %.1f ms", exchange.request_id, method, route, status, seconds * 1e3)
        if self._metrics is not None:
            self._metrics.count_request(route, method, status, seconds)

    def _refusal(self, scope: Scope, headers: Headers) -> ApiError | None:
        if not self._knows(headers):
            return _UNKNOWN_HOST
        if scope["method"] not in _SAFE_METHODS and _comes_from_elsewhere(headers, tls=scope.get("scheme") == "https"):
            return _CROSS_SITE
        return None

    def _knows(self, headers: Headers) -> bool:
        host = _PORT.sub("", headers.get("host", "")).strip("[]").lower()
        return self._hosts is None or host in self._hosts


class _Exchange:
    """One request and its answer, which gets the headers that every answer has.

    As a context it ends every failure that nobody foresaw: a server would write its message into the log, and that may
    quote a film's header.
    """

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self.request_id: Final = _request_id(headers)
        self.started: Final = time.perf_counter()
        self.status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.failure: Exception | None = None
        self._answered = False
        self._waits_for_100 = headers.get("expect", "").lower() == "100-continue"
        self._receive = receive
        self._send = send

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self.failure = error
        return self.failure is not None

    async def receive(self) -> Message:
        """The request's next message."""
        self._waits_for_100 = False
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered = True
            _mark(message, self.request_id, close=self._waits_for_100)
        await self._send(message)

    async def answer_failure(self, scope: Scope, failure: Exception) -> None:
        """Log where it happened, and what kind of failure it is; answer with a problem if that is still possible."""
        _errors.error("%s failed with %s at %s", self.request_id, type(failure).__name__, _place(failure))
        if self._answered:
            raise RuntimeError(f"{self.request_id} failed within its answer") from None
        await problem_response(self.request_id, as_api_error(failure))(scope, self.receive, self.send)


_UNKNOWN_HOST: Final = ApiError(
    HTTPStatus.MISDIRECTED_REQUEST,
    "host_unknown",
    "The Host header names a host that this server does not answer for. Use localhost or 127.0.0.1.",
)


_CROSS_SITE: Final = ApiError(
    HTTPStatus.FORBIDDEN,
    "cross_site",
    "A page of another site sent this request: its Sec-Fetch-Site or its Origin is not this server's. Use the server's "
    "own page; a proxy in front must pass the Host header on as it came.",
)


def _comes_from_elsewhere(headers: Headers, *, tls: bool) -> bool:
    """Whether a browser says that the request is not of a page of this server, nor of its user's own doing."""
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    if any(site not in ("same-origin", "none") for site in sites):
        return True
    return any(not _is_own(origin, headers.get("host", ""), tls=tls) for origin in origins)


def _is_own(origin: str, host: str, *, tls: bool) -> bool:
    """Whether an Origin is the server's that Host names. Where TLS does not end here, it may have ended in a proxy."""
    scheme, _, place = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or (tls and scheme != "https"):
        return False
    return place.removesuffix(port) == host.lower().removesuffix(port) != ""


def _request_id(headers: Headers) -> str:
    """The caller's id if it is a UUID, else a new one: a free text could name a patient."""
    given = headers.get(REQUEST_ID, "")
    return given.lower() if _UUID.fullmatch(given) else str(uuid.uuid4())


def _mark(message: Message, request_id: str, *, close: bool) -> None:
    headers = MutableHeaders(scope=message)
    headers[REQUEST_ID] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    for name, value in _UNLESS_SAID.items():
        headers.setdefault(name, value)
    if close:
        # Who waited for "100 Continue" may now leave the body out: where it would end is not known any more.
        headers["Connection"] = "close"


def _route(scope: Scope) -> str:
    """The route that answered or, where a middleware did, would have."""
    chosen: str | None = getattr(scope.get("route"), "path", None)
    if chosen is None and "app" in scope:
        chosen = next((path for path in _paths(scope["app"]) if path == scope["path"]), None)
    return chosen or NO_ROUTE


def _paths(app: Starlette) -> Iterable[str]:
    return (path for route in app.routes if isinstance(path := getattr(route, "path", None), str))


def _place(failure: Exception) -> str:
    """Module and line that raised it."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
