"""Which requests may come in: a bounded number of POSTs at a time, of a bounded number of bytes, in a bounded time.

    Boundary > AccessControl > AdmissionControl > the application

What is over the bounds is refused at once, without reading its body: refusing costs a hundredth of answering, so that
an overload is turned away and the requests that were let in are answered at full speed. The connection stays open, and
the server drops the rest of the body, because a client that is still sending would see a closed connection instead of
the answer.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chest_xray.inference.http.bounds import QUEUE
from chest_xray.inference.http.problems import ApiError, problem_response
from chest_xray.records.metrics import Metrics

RETRY_SECONDS: Final = 2
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Bounds of the POSTs in progress, waiting ones included.

    `body_bytes` bounds their bodies together: each counts as announced, or as received where that is more. A body must
    have come after `body_seconds`, and `body_seconds_per_mib` for each MiB of it.
    """

    requests: int = QUEUE
    body_bytes: int = 256 * _MIB
    body_seconds: float = 10.0
    body_seconds_per_mib: float = 1.0


class Admission:
    """The places, and who decides on them. Belongs to one event loop."""

    def __init__(self, limits: AdmissionLimits, metrics: Metrics) -> None:
        self.limits: Final = limits
        self.draining = False
        self.in_progress = 0
        self.held_bytes = 0
        self._metrics = metrics
        metrics.add_gauge("cxr_requests_in_progress", "Requests that hold a place.", lambda: self.in_progress)
        metrics.add_gauge("cxr_request_bytes", "Bytes of the bodies of requests in progress.", lambda: self.held_bytes)

    def drain(self) -> None:
        """Take nothing new from now on; what is in progress goes on. May be called from a signal's handler."""
        self.draining = True

    def refusal(self, announced: int) -> ApiError | None:
        """Why a request with a body of `announced` bytes is not let in; None if it is."""
        if self.draining:
            return self.count(draining())
        if self.in_progress >= self.limits.requests or self.held_bytes + announced > self.limits.body_bytes:
            return self.count(overloaded())
        return None

    def count(self, refusal: ApiError) -> ApiError:
        """The refusal, counted under its code."""
        self._metrics.count_refusal(refusal.code)
        return refusal


class AdmissionControl:
    """ASGI middleware: gives each POST a place or refuses it. `max_body_bytes` is what one body may have at most.

    Requests that announce more than that are let in at no bytes: the application answers them without reading.
    """

    def __init__(self, app: ASGIApp, admission: Admission, max_body_bytes: int) -> None:
        self._app = app
        self._admission = admission
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        announced = announced_bytes(scope)
        counted = announced if announced <= self._max_body_bytes else 0
        refusal = self._admission.refusal(counted)
        if refusal is not None:
            await problem_response(scope["state"]["request_id"], refusal)(scope, receive, send)
            return
        with Place(self._admission, counted, receive) as place:
            scope["state"]["place"] = place
            await self._app(scope, place.receive, send)


class Place:
    """One request's place, which the application finds in `scope["state"]["place"]`.

    Its `receive` bounds what the body holds and how long it takes.
    """

    def __init__(self, admission: Admission, counted: int, receive: Receive) -> None:
        self._admission = admission
        self._counted = counted
        self._receive = receive
        self._received = 0
        self._complete = False
        self._began = math.nan

    def __enter__(self) -> Self:
        self._began = asyncio.get_running_loop().time()
        self._admission.in_progress += 1
        self._admission.held_bytes += self._counted
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.in_progress -= 1
        self._admission.held_bytes -= self._counted

    async def receive(self) -> Message:
        """The next message of the request.

        Raises:
            ApiError: 408 for a body that takes too long, 503 for one that no bytes are left for.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._began + self._allowed_seconds()):
                message = await self._receive()
        except TimeoutError as error:
            raise self._admission.count(_body_timeout(self._allowed_seconds())) from error
        self._received += len(message.get("body", b""))
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        self._count_unannounced()
        return message

    def hold_answer(self, count: int) -> None:
        """Count `count` bytes of the answer instead of the body's, until the answer is sent.

        Raises:
            ApiError: 503 when no bytes are left for it.
        """
        if self._admission.held_bytes - self._counted + count > self._admission.limits.body_bytes:
            raise self._admission.count(overloaded())
        self._admission.held_bytes += count - self._counted
        self._counted = count

    def _allowed_seconds(self) -> float:
        limits = self._admission.limits
        return limits.body_seconds + limits.body_seconds_per_mib * self._received / _MIB

    def _count_unannounced(self) -> None:
        more = self._received - self._counted
        if more <= 0:
            return
        if self._admission.held_bytes + more > self._admission.limits.body_bytes:
            raise self._admission.count(overloaded())
        self._admission.held_bytes += more
        self._counted = self._received


def announced_bytes(scope: Scope) -> int:
    """The Content-Length; 0 where there is none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def overloaded() -> ApiError:
    """The refusal for want of a place or of bytes."""
    return _unavailable(
        "overloaded",
        f"As many requests as this server takes at once are in progress. Try again in {RETRY_SECONDS} s.",
    )


def draining() -> ApiError:
    """The refusal of a server that is about to end."""
    return _unavailable(
        "draining",
        "This server is shutting down and takes no new requests. Ask another one, or this one after its restart.",
    )


def _unavailable(code: str, detail: str) -> ApiError:
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def _body_timeout(seconds: float) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_TIMEOUT,
        "body_timeout",
        f"The body was not complete after {seconds:.0f} s. Send it again over a faster connection.",
        headers={"Connection": "close"},
    )
