"""Run the API in this process until SIGTERM or Ctrl-C, and let requests under way finish."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chest_xray.backends.base import Predictor
from chest_xray.console import say
from chest_xray.errors import EndpointError, SettingsError

DRAIN_SECONDS: Final = 25  # SageMaker kills a container 30 s after SIGTERM


def serve(predictor: Predictor, *, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answer on `host` and `port` (0: any free one) until a signal; returns once requests under way are done.

    Raises:
        SettingsError: `host` is not a loopback address, or `port` is none.
        EndpointError: the port cannot be had.
    """
    import uvicorn

    from chest_xray.inference.api import create_app
    from chest_xray.inference.boundary import LOOPBACK_HOSTS

    with _listen(host, port) as listener:
        bound_port = listener.getsockname()[1]
        app = create_app(predictor, hosts=LOOPBACK_HOSTS | {host})
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # it writes the query as the caller wrote it; Boundary writes its own line
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        say(f"Serving {_title(predictor)} at http://{_in_url(host)}:{bound_port} until Ctrl-C.")
        with _signals_end_quietly():
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    address = _loopback_address(host)
    if not 0 <= port <= 65535:
        raise SettingsError(f"port is {port}; expected 0 to 65535.")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=2048)
    except OSError as error:
        raise EndpointError(_refusal(host, port, error)) from error


def _loopback_address(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"host is {host}: only loopback addresses are served, because access control isn't there yet. "
            "Use 127.0.0.1, ::1 or localhost."
        )
    return host


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what runs there or choose another with --port."
    return f"Port {port} on {host} cannot be had: {error.strerror}. Choose another with --port."


def _title(predictor: Predictor) -> str:
    identity = predictor.identity
    version = "" if identity.version is None else f" version {identity.version}"
    return f"{identity.name}{version} ({identity.digest[:12]})"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
