"""The page: `GET /` and the modules and style sheets below `GET /page/`, read once when the application starts.

No part of a request becomes a path of the file system: a name is in the table or it is not there. The page holds no
data, so it needs no key; every route that it calls does.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chest_xray.inference.http.access import OPEN_PREFIX

INDEX: Final = "index.html"
FOLDER: Final = Path(__file__).parents[1] / "page"
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
# A browser asks once only for a module that did not arrive: the page asks again for it below `/page/~1/`, `~2/` ...
_AGAIN: Final = re.compile(r"\A~\d{1,6}/")
# Features of the browser that the page has no use for: nothing that is put into it may use them either.
_REFUSED_FEATURES: Final = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media", "fullscreen",
    "gamepad", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi",
    "payment", "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "usb",
    "xr-spatial-tracking",
)  # fmt: skip
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _REFUSED_FEATURES),
    # Kept by the browser, but asked about each time: a server of another version has another page.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page: its bytes as they are, and compressed where that is less."""

    media_type: str
    plain: bytes
    compressed: bytes | None
    digest: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file of a type that the page has."""
        plain = path.read_bytes()
        compressed = gzip.compress(plain, 9, mtime=0)
        return cls(
            media_type=_MEDIA_TYPES[path.suffix],
            plain=plain,
            compressed=compressed if len(compressed) < len(plain) else None,
            digest=hashlib.sha256(plain).hexdigest()[:32],
        )

    def answer(self, headers: Headers) -> Response:
        """The file, compressed for who takes that; 304 for who has it."""
        compressed = self.compressed if _takes_gzip(headers.get("accept-encoding", "")) else None
        # Two tags: what one tag names must be the same to the byte.
        tag = f'"{self.digest}{"" if compressed is None else "-gzip"}"'
        sent = HEADERS | {"ETag": tag}
        if _has(headers.get("if-none-match", ""), tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=sent)
        if compressed is None:
            return Response(self.plain, headers=sent, media_type=self.media_type)
        return Response(compressed, headers=sent | {"Content-Encoding": "gzip"}, media_type=self.media_type)


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The page's files by their path below `folder`, with `/` between its parts."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES and path.is_file()]
    return {path.relative_to(folder).as_posix(): Asset.of(path) for path in files}


def add_pages(app: Starlette, assets: Mapping[str, Asset]) -> None:
    """Add the page's two routes, which the OpenAPI document leaves out: they are no part of the API."""

    async def answer(request: Request) -> Response:
        asset = assets.get(_AGAIN.sub("", request.path_params.get("name", INDEX), count=1))
        if asset is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return asset.answer(request.headers)

    app.add_route("/", answer, include_in_schema=False)
    app.add_route(OPEN_PREFIX + "{name:path}", answer, include_in_schema=False)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip, with a weight above 0."""
    for choice in accepted.split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _has(tags: str, tag: str) -> bool:
    """Whether an If-None-Match names `tag`; the comparison is the weak one (RFC 9110, 13.1.2)."""
    return tags.strip() == "*" or tag in [name.strip().removeprefix("W/") for name in tags.split(",")]
