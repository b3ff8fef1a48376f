"""What every request to the emulator passes: who may ask, what is throttled, and the emulator's own two orders.

A job's request names commands, and the port is open to every page in a browser of this machine: so only who knows the
access key, which is drawn anew at each start and stands in a file for its owner, gets further.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from moto.sts.models import sts_backends

CONTROL: Final = "/_emulator/"
KEY_HEADER: Final = "HTTP_X_EMULATOR_KEY"
_SIGNED = re.compile(r"Credential=([A-Z0-9]{16,32})/")
_PRESIGNED = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([A-Z0-9]{16,32})(?:%2F|/|&|$)")
_THROTTLED_TARGETS: Final = ("SageMaker.", "Logs_")

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
Order = Callable[[str, str], str | None]


class Throttle:
    """Refuses a share of the control plane's requests, in bursts, as an account at its limits sees them."""

    def __init__(self, share: float, *, burst: int = 10, seed: int = 0) -> None:
        self._start = share / (burst - (burst - 1) * share)
        self._burst, self._left = burst, 0
        self._random, self._lock = random.Random(seed), threading.Lock()  # noqa: S311 (no secret)

    def refuses(self) -> bool:
        """Whether the next request is refused."""
        with self._lock:
            if self._left == 0 and self._random.random() < self._start:
                self._left = self._burst
            if self._left == 0:
                return False
            self._left -= 1
            return True


class Gate:
    """A WSGI application in front of moto's.

    Attributes:
        keys: access keys that are known, beside those that the emulator's STS gave out.
        throttle: what it refuses of the control plane's requests.
    """

    def __init__(self, inner: Wsgi, key: str, own_key: str, order: Order, throttle: Throttle) -> None:
        self.keys, self.throttle = {key, own_key}, throttle
        self._inner, self._own_key, self._order = inner, own_key, order

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(CONTROL):
            return self._control(path, environ, start_response)
        key = _access_key(environ)
        if not self._known(key):
            return _refusal(
                environ, start_response, "UnrecognizedClientException", "This access key is not the emulator's."
            )
        if key != self._own_key and self._is_throttled(environ):
            return _refusal(environ, start_response, "ThrottlingException", "Rate exceeded")
        try:
            return self._inner(environ, start_response)
        except NotImplementedError as error:
            return _refusal(environ, start_response, "UnknownOperationException", str(error))

    def _is_throttled(self, environ: dict[str, Any]) -> bool:
        return environ.get("HTTP_X_AMZ_TARGET", "").startswith(_THROTTLED_TARGETS) and self.throttle.refuses()

    def _known(self, key: str) -> bool:
        # Drawn at random, a key is not found faster by the time that a look in a set takes.
        return key in self.keys or _is_assumed_role(key)

    def _control(self, path: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" or environ.get(KEY_HEADER, "") not in self.keys:
            return _answer(start_response, "403 Forbidden", {"error": "The access key is not the emulator's."})
        name, _, argument = path.removeprefix(CONTROL).partition("/")
        wrong = self._order(name, argument)
        return _answer(start_response, "200 OK" if wrong is None else "409 Conflict", {"error": wrong})


def _access_key(environ: dict[str, Any]) -> str:
    found = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", "")) or _PRESIGNED.search(environ.get("QUERY_STRING", ""))
    return found.group(1) if found else ""


def _is_assumed_role(key: str) -> bool:
    """Whether the emulator's own STS gave it out."""
    return key.startswith("ASIA") and any(
        backend.get_assumed_role_from_access_key(key) is not None
        for account in list(sts_backends.values())
        for backend in list(account.values())
    )


def _refusal(environ: dict[str, Any], start_response: Any, code: str, message: str) -> Iterable[bytes]:
    if "HTTP_X_AMZ_TARGET" in environ:
        return _answer(start_response, "400 Bad Request", {"__type": code, "message": message})
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _answer(start_response: Any, status: str, value: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))])
    return [body]
