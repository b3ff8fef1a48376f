"""A server before its model: the page and the probes, until something is deployed; then the application itself.

GET /, /page/...   the page, which says what is missing
GET /healthz       the process answers
anything else      503 `no_model`
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chest_xray.errors import ChestXrayError, NotDeployedError
from chest_xray.inference.answers import Health
from chest_xray.inference.api.pages import add_pages, read_assets
from chest_xray.inference.http.access import Access, AccessControl
from chest_xray.inference.http.admission import draining
from chest_xray.inference.http.boundary import Boundary
from chest_xray.inference.http.problems import ApiError, add_problem_handlers, problem_response

LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 2
_log: Final = logging.getLogger("chest_xray.errors")


class Waiting:
    """ASGI application. `look` gives the one to go over to, or raises NotDeployedError; it may take its time.

    It runs in a thread, once in `LOOK_SECONDS` as long as the server's lifespan lasts.
    """

    def __init__(
        self, look: Callable[[], FastAPI], *, endpoint: str, hosts: Collection[str] | None, access: Access
    ) -> None:
        self._look = look
        self._draining = False
        self._found: FastAPI | None = None
        self._before = _before(_no_model(endpoint), lambda: self._draining, hosts, access)

    def drain(self) -> None:
        """Take nothing new from now on; may be called from a signal's handler."""
        self._draining = True
        if self._found is not None:
            self._found.state.admission.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await (self._found or self._before)(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        looking = asyncio.create_task(self._look_often())
        looking.add_done_callback(_report)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        await send({"type": "lifespan.shutdown.complete"})

    async def _look_often(self) -> None:
        said = ""
        while self._found is None:
            try:
                found = await asyncio.to_thread(self._look)
            except NotDeployedError:
                pass
            except (ChestXrayError, OSError) as error:
                # A deployment that cannot be used; the next one may. Said once, not every second.
                if str(error) != said:
                    said = str(error)
                    _log.error("%s", said)
            else:
                self._go_over(found)
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _go_over(self, found: FastAPI) -> None:
        if self._draining:
            found.state.admission.drain()
        self._found = found


def _report(looking: asyncio.Task[None]) -> None:
    """Say that nobody looks any more, where a failure that nobody foresaw has ended that."""
    failure = None if looking.cancelled() else looking.exception()
    if failure is not None:
        _log.error("looking for a deployment failed with %s; start the server again", type(failure).__name__)


def _before(
    no_model: ApiError, is_draining: Callable[[], bool], hosts: Collection[str] | None, access: Access
) -> ASGIApp:
    async def healthz(request: Request) -> Response:
        del request
        return JSONResponse(Health().model_dump())

    async def anything(scope: Scope, receive: Receive, send: Send) -> None:
        problem = draining() if is_draining() else no_model
        await problem_response(scope["state"]["request_id"], problem)(scope, receive, send)

    app = Starlette(routes=[Route("/healthz", healthz)])
    add_pages(app, read_assets())
    add_problem_handlers(app)
    app.router.default = anything
    app.router.redirect_slashes = False
    return Boundary(AccessControl(app, access), hosts)


def _no_model(endpoint: str) -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no_model",
        f"Nothing is deployed to {endpoint} yet. Deploy an approved model: `cxr deploy --model-name NAME --endpoint "
        f"{endpoint}`. This server goes over to it within seconds.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )
