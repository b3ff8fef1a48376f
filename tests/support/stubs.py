"""Predictors, audits and requests of which a test decides what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.types import ASGIApp, Send
from tests.support.asgi import post_scope

from chest_xray.bundle import Manifest
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.prediction import ModelIdentity, Prediction
from chest_xray.records.audit import AuditEntry, Entry, FeedbackEntry, ShownEntry

PREDICTIONS = "/v1/predictions"
FILMS = "/v1/films"
FEEDBACK = "/v1/feedback"
SHOWN = "/v1/events/{event_id}/shown"
PNG = {"content-type": "image/png"}


class StubPredictor:
    """A predictor that calls `before` first and then changes fields of the prediction."""

    def __init__(self, inner: OnnxPredictor, before: Callable[[], object] = lambda: None, **changes: Any) -> None:
        self._inner = inner
        self._before = before
        self._changes = changes

    @property
    def identity(self) -> ModelIdentity:
        return self._inner.identity

    @property
    def manifest(self) -> Manifest:
        return self._inner.manifest

    def predict(self, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
        self._before()
        return replace(self._inner.predict(image, explain=explain), **self._changes)


@dataclass
class ListAudit:
    """Keeps its entries; raises `failure` instead, if there is one."""

    entries: list[AuditEntry] = field(default_factory=list)
    feedback: list[FeedbackEntry] = field(default_factory=list)
    shown: list[ShownEntry] = field(default_factory=list)
    failure: Exception | None = None

    def fingerprint(self, image: bytes) -> str:
        return f"{len(image)} bytes"

    def record(self, entry: Entry) -> None:
        if self.failure is not None:
            raise self.failure
        match entry:
            case AuditEntry():
                self.entries.append(entry)
            case ShownEntry():
                self.shown.append(entry)
            case FeedbackEntry():
                self.feedback.append(entry)


class RawRequest:
    """One ASGI request whose body a test hands over piece by piece, and whose client may leave."""

    def __init__(self, app: ASGIApp, headers: dict[str, str], path: str = PREDICTIONS, method: str = "POST") -> None:
        self.sent: list[dict[str, Any]] = []
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._app = app
        self._scope = post_scope(path, PNG | headers, method=method)

    def give(self, body: bytes, *, more: bool = True) -> None:
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    def start(self, send: Send | None = None) -> asyncio.Task[None]:
        """Begin; `send` takes the answer's messages, by default into `sent`."""

        async def keep(message: Any) -> None:
            self.sent.append(message)

        async def work() -> None:
            await self._app(self._scope, self._messages.get, send or keep)

        return asyncio.create_task(work())

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status


def multipart(images: Iterable[bytes], boundary: bytes = b"7MA4YWxkTrZu0gW") -> tuple[bytes, dict[str, str]]:
    """A multipart body with a patient's name in every file name, and its Content-Type."""
    parts = [
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="image"; filename="DOE^JANE.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + image + b"\r\n"
        for image in images
    ]
    body = b"".join(parts) + b"--" + boundary + b"--\r\n"
    return body, {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
