"""Uvicorn with what it leaves open: bounds on heads and on slow clients, and a drain that callers can see coming.

Uvicorn reads a request's head without a limit on its size or time (its limit is for h11 only), and keeps a connection
that sends nothing, or does not read its answer, for ever. `BoundedConnection` ends those. Bodies are the
application's to bound.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chest_xray.errors import EndpointError

DRAIN_SECONDS: Final = 25  # SageMaker kills a container 30 s after SIGTERM
NOTICE_SECONDS: Final = 1.0
MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 5
LINGER_SECONDS: Final = 2.0

# What `BoundedConnection` and `_DrainingServer` override, call or set. Uvicorn promises none of it.
_NEEDED: Final[dict[type, tuple[str, ...]]] = {
    HttpToolsProtocol: (
        "connection_made",
        "connection_lost",
        "data_received",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "send_400_response",
        "on_response_complete",
        "pause_writing",
        "resume_writing",
        "timeout_keep_alive_handler",
        "timeout_keep_alive_task",
        "_unset_keepalive_if_required",
        "cycle",
        "headers",
        "loop",
        "transport",
        "url",
    ),
    RequestResponseCycle: ("response_complete",),
    uvicorn.Server: ("handle_exit", "on_tick", "should_exit", "_captured_signals"),
}


def check_uvicorn(needed: dict[type, tuple[str, ...]]) -> None:
    """Hold uvicorn's classes to the methods and attributes that are leant on: without one, a bound would not hold.

    Raises:
        EndpointError: one is not there.
    """
    for kind, names in needed.items():
        # Attributes of an object are found by the names that the methods of its class use.
        used = {
            name for method in vars(kind).values() if hasattr(method, "__code__") for name in method.__code__.co_names
        }
        for name in names:
            if name not in used and not hasattr(kind, name):
                raise EndpointError(
                    f"uvicorn {uvicorn.__version__} has no {kind.__name__}.{name}, on which the bounds of a connection "
                    "rest. Install the uvicorn that `pip check` asks for."
                )


check_uvicorn(_NEEDED)


def run_server(
    app: ASGIApp, listener: socket.socket, *, drain: Callable[[], None], tls: tuple[Path, Path] | None = None
) -> None:
    """Answer on `listener` until SIGTERM or Ctrl-C; returns once requests under way are done, at most 25 s later.

    `drain` is called at the signal. After SIGTERM new connections are still taken for `NOTICE_SECONDS`, so that a load
    balancer can read from /readyz that it should look elsewhere. `tls` are the files of the certificate and its key.
    """
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,  # it writes the query as the caller wrote it; Boundary writes its own line
        server_header=False,
        proxy_headers=False,  # X-Forwarded-For would replace the TCP peer, by which a proxy is trusted
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=int(DRAIN_SECONDS - NOTICE_SECONDS - 1),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    with _signals_end_quietly():
        _DrainingServer(config, drain).run(sockets=[listener])


class _DrainingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; a second one, or Ctrl-C, does not wait for load balancers."""
        self._drain()
        if sig == signal.SIGTERM and self._leave_at is None:
            self._captured_signals.append(sig)
            self._leave_at = time.monotonic() + NOTICE_SECONDS
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop taking connections."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)


class BoundedConnection(HttpToolsProtocol):
    """One client's connection. What it may hold is bounded in bytes and in time while no request is being answered."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._silent_bytes = 0
        self._awaits_head = True
        self._head_is_too_large = False
        self._unread_bytes: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client `HEAD_SECONDS` for its first head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._give(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`. At most `MAX_HEAD_BYTES` may pass without a whole head or a piece of a body.

        Trailers and chunk extensions are counted by this too.
        """
        self._silent_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._silent_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        elif self._timer is None and not self._is_answering():
            # Either a head that goes on, or the rest of a body whose answer is out already.
            self._give(HEAD_SECONDS if self._awaits_head else LINGER_SECONDS)

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large."""
        self._silent_bytes = 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self._head_is_too_large = True
            raise ValueError("the head is too large")  # ends the parsing; then comes send_400_response
        self._awaits_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read; another head may follow."""
        self._silent_bytes = 0
        self._awaits_head = True
        self._stop_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused."""
        if self._head_is_too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for a client that is slow to read this answer."""
        super().on_response_complete()
        self._unread_bytes = None
        if self.transport.is_closing() and self.transport.get_write_buffer_size() > 0:
            self._watch_reader()

    def pause_writing(self) -> None:
        """The client reads more slowly than is written: watch it, as an answer in pieces could wait for ever."""
        super().pause_writing()
        self._unread_bytes = None
        self._watch_reader()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._is_answering():
            self._unset_keepalive_if_required()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one whose client still reads its answer stays while it does read."""
        unread = self.transport.get_write_buffer_size()
        if unread == 0:
            self.transport.close()
        elif self._unread_bytes is None or unread < self._unread_bytes:
            self._unread_bytes = unread
            self._watch_reader()
        else:
            self.transport.abort()

    def _is_answering(self) -> bool:
        # Uvicorn's annotation leaves out that there is none before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _watch_reader(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_SECONDS, self.timeout_keep_alive_handler)

    def _give(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        self.transport.write(f"{line}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        self.transport.close()


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Uvicorn drains, then raises the signal again for the handler from before: here, one that lets it be."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
