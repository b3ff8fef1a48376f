"""What one connection may hold: bytes of a head, time for a head, an answer that nobody reads."""

import asyncio
import inspect
import re
import socket
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from tests.support.processes import start_python
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chest_xray.errors import EndpointError
from chest_xray.inference.http import server as http_server
from chest_xray.inference.http.server import MAX_HEAD_BYTES, BoundedConnection

ANSWER = b"x" * 10_000_000


async def application(scope: Any, receive: Any, send: Any) -> None:
    """GET /large answers 10 MB, GET /pieces too in pieces, POST /read reads the body first; others answer at once."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    body = ANSWER if scope["path"] in ("/large", "/pieces") else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    piece = 1_000_000 if scope["path"] == "/pieces" else len(body)
    for start in range(0, len(body), piece):
        more = start + piece < len(body)
        await send({"type": "http.response.body", "body": body[start : start + piece], "more_body": more})


@contextmanager
def serving() -> Iterator[int]:
    """The port of a server in a thread of this process."""
    config = uvicorn.Config(application, http=BoundedConnection, ws="none", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(http_server, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.3)
    with serving() as number:
        yield number


def test_a_uvicorn_that_changed_is_one_line_that_names_what_is_missing() -> None:
    """Every name is known to be checked by a class without any."""
    for kind, names in http_server._NEEDED.items():
        for name in names:
            changed = type(kind.__name__, (), {})
            with pytest.raises(EndpointError) as refused:
                http_server.check_uvicorn({changed: (name,)})
            assert str(refused.value) == (
                f"uvicorn {uvicorn.__version__} has no {kind.__name__}.{name}, on which the bounds of a connection "
                "rest. Install the uvicorn that `pip check` asks for."
            )


def test_every_name_of_uvicorns_that_is_used_is_checked() -> None:
    """Held to the code: what `super()` and `self` are asked for and the subclasses do not define themselves."""
    for kind, base in ((BoundedConnection, HttpToolsProtocol), (http_server._DrainingServer, uvicorn.Server)):
        source = textwrap.dedent(inspect.getsource(kind))
        used = set(re.findall(r"(?:self|super\(\))\.(\w+)", source)) - {"__init__"}
        own = set(vars(kind)) | set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? = ", source))
        inherited = {name for name in used if name not in own or hasattr(base, name)}
        assert inherited <= set(http_server._NEEDED[base]), kind


def connect(port: int, receive_buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes; a reset counts as a close."""
    received = b""
    try:
        while piece := connection.recv(1 << 20):
            received += piece
    except ConnectionResetError:
        pass
    return received


def drip(connection: socket.socket, piece: bytes, seconds: float) -> float:
    """Send `piece` again and again; returns after how many seconds the server had closed."""
    started = time.monotonic()
    try:
        while time.monotonic() - started < seconds:
            connection.sendall(piece)
            time.sleep(0.05)
    except OSError:
        return time.monotonic() - started
    return float("inf")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 8_000 + b"\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000,
        b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"X: a\r\n" * 100_000,
        b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 600_000,
    ],
)
def test_a_head_that_is_too_large_is_431(port: int, head: bytes) -> None:
    with connect(port) as connection:
        with suppress(OSError):
            connection.sendall(head)
        answer = read_all(connection)
    # Where the client was still sending, the close can overtake the answer.
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n") or answer == b""


def test_a_head_within_the_limit_is_answered(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\nX: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n")
        assert read_all(connection).endswith(b"ok")


def test_a_large_body_is_no_head(port: int) -> None:
    body = b"x" * 3_000_000
    with connect(port) as connection:
        connection.sendall(b"POST /read HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert read_all(connection).endswith(b"ok")
    chunks = b"".join(b"3e8\r\n" + b"x" * 1000 + b"\r\n" for _ in range(1000))
    with connect(port) as connection:
        connection.sendall(b"POST /read HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        connection.sendall(b"0\r\n\r\n")
        assert read_all(connection).endswith(b"ok")


def test_one_connection_serves_many_requests(port: int) -> None:
    with connect(port) as connection:
        for _ in range(5):
            connection.sendall(b"POST /read HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
            answer = b""
            while not answer.endswith(b"ok"):
                answer += connection.recv(65536)
            time.sleep(0.15)


def test_what_is_no_http_is_400(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_sends_nothing_is_let_go(port: int) -> None:
    with connect(port) as connection:
        started = time.monotonic()
        assert read_all(connection) == b""
        assert 0.3 < time.monotonic() - started < 3


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_head_that_drips_is_cut_also_on_a_used_connection(port: int, first: bytes) -> None:
    with connect(port) as connection:
        if first:
            connection.sendall(first)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert drip(connection, b"X: a\r\n", 5) < 3


def test_the_body_of_a_request_that_was_answered_is_not_read_for_ever(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"POST /refused HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert drip(connection, b"x" * 1000, 5) < 3


@pytest.mark.parametrize("path", [b"/large", b"/pieces"])
def test_a_client_that_reads_slowly_gets_its_answer_and_one_that_does_not_read_is_let_go(
    port: int, path: bytes
) -> None:
    request = b"GET " + path + b" HTTP/1.1\r\nConnection: close\r\n\r\n"
    with connect(port, 65536) as slow:
        slow.sendall(request)
        received = 0
        while piece := slow.recv(400_000):
            received += len(piece)
            time.sleep(0.005)
    assert received > len(ANSWER)
    with connect(port, 65536) as idle:
        idle.sendall(request)
        time.sleep(2.5)
        assert len(read_all(idle)) < len(ANSWER)


SIGNALLED = """
import socket, sys, threading, time
from chest_xray.inference.http.server import run_server
from tests.inference.http.test_http_server import application

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
run_server(application, listener, drain=lambda: print("draining", flush=True))
print("done", flush=True)
"""


def test_a_client_that_never_ends_its_head_does_not_hold_up_the_end() -> None:
    process = start_python(SIGNALLED)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with connect(port) as answered, connect(port) as unfinished:
            unfinished.sendall(b"GET / HTTP/1.1\r\nX: ")
            answered.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert answered.recv(65536).startswith(b"HTTP/1.1 200 ")
            started = time.monotonic()
            process.terminate()
            out, _ = process.communicate(timeout=20)
            assert time.monotonic() - started < 3
        assert (out, process.returncode) == ("draining\ndone\n", 0)
    finally:
        process.kill()
        process.wait()
