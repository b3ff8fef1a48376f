"""Requests to an ASGI application without a server."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp


def open_client(app: ASGIApp) -> httpx.AsyncClient:
    """An asynchronous client that addresses the application as localhost."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


class Client:
    """A client that blocks, one request at a time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with open_client(self._app) as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(ask())

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, **arguments)
