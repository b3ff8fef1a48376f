"""The body of a request -> the bytes of its images, in memory: films are patients' data and touch no disk.

A raw body is one image. A `multipart/form-data` body is one image a part, whatever the part's field name, file name and
type are: none of these is looked at, kept or logged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect, Request

from chest_xray.images.limits import Limits
from chest_xray.inference.http.admission import announced_bytes
from chest_xray.inference.http.problems import ApiError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

MULTIPART: Final = "multipart/form-data"
# `application/octet-stream` is for callers that do not know what they have.
IMAGE_TYPES: Final = ("image/png", "image/jpeg", "application/dicom", "application/octet-stream")
MAX_IMAGES: Final = 64
_MAX_PART_HEADERS: Final = 16
_MAX_PART_HEADER_BYTES: Final = 4096


def content_type(request: Request, accepted: Sequence[str]) -> str:
    """The body's type without its parameters.

    Raises:
        ApiError: 415 for one that is not `accepted`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in accepted:
        known = ", ".join(accepted)
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "content_type_unsupported",
            f"The Content-Type is none of {known}. Send the bytes as the body, under their type.",
            headers={"Accept": known},
        )
    return kind


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, refused by its announced length or else at the first chunk that passes the limit.

    Raises:
        ApiError: 413 for too many bytes, 400 when the client leaves before the end.
    """
    chunks: list[bytes] = []
    count = 0
    refuse_announced(request, limits)
    try:
        async for chunk in request.stream():
            count += len(chunk)
            if count > limits.max_bytes:
                raise _too_large(limits)
            if chunk:
                chunks.append(chunk)
    except ClientDisconnect as error:
        raise _incomplete() from error
    return b"".join(chunks)


async def read_parts(request: Request, limits: Limits) -> list[bytes]:
    """The parts of a multipart body, taken apart as it comes.

    Raises:
        ApiError: 413 for too many bytes, 422 for a body that is no multipart or has no part or too many, 400 when
            the client leaves before the end.
    """
    refuse_announced(request, limits)
    parts = _Parts(request.headers.get("content-type", ""))
    count = 0
    try:
        async for chunk in request.stream():
            count += len(chunk)
            if count > limits.max_bytes:
                raise _too_large(limits)
            parts.write(chunk)
    except ClientDisconnect as error:
        raise _incomplete() from error
    return parts.finish()


def refuse_announced(request: Request, limits: Limits) -> None:
    """Refuse a body that announces more bytes than are read, before any of them.

    Raises:
        ApiError: 413.
    """
    if announced_bytes(request.scope) > limits.max_bytes:
        raise _too_large(limits)


class _Parts:
    """Takes a multipart body apart."""

    def __init__(self, content_type: str) -> None:
        self._images: list[bytes] = []
        self._pieces: list[bytes] = []
        self._ended = False
        self._delimiter = b""
        self._delimiters = 0
        self._parser = self._open_parser(content_type)

    def write(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        from python_multipart.exceptions import MultipartParseError

        # The parser goes back to its slow path at each delimiter; a body full of them would keep it busy for long.
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > MAX_IMAGES + 1:
            raise _too_many()
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise _malformed("is damaged") from error

    def finish(self) -> list[bytes]:
        """The images, once the body has ended."""
        if not self._ended:
            raise _malformed("ends before its last boundary")
        if not self._images:
            raise _malformed("has no part")
        return self._images

    def _open_parser(self, content_type: str) -> MultipartParser:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _malformed("has no boundary in its Content-Type")
        self._delimiter = b"--" + boundary
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_part_data": self._add,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=_MAX_PART_HEADERS,
                max_header_size=_MAX_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _malformed("has too long a boundary") from error
        parser.logger = _NO_LOG
        return parser

    def _begin_part(self) -> None:
        if len(self._images) == MAX_IMAGES:
            raise _too_many()

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end_part(self) -> None:
        self._images.append(b"".join(self._pieces))
        self._pieces.clear()

    def _end(self) -> None:
        self._ended = True


# The parser's own warnings quote the body.
_NO_LOG: Final = logging.Logger("multipart", level=logging.CRITICAL + 1)


def _too_large(limits: Limits) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body has more than the {limits.max_bytes} bytes that are read.",
    )


def _too_many() -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "images_too_many",
        f"The body has more than {MAX_IMAGES} parts. Send at most {MAX_IMAGES} images in one request.",
    )


def _incomplete() -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "body_incomplete", "The connection ended in the body.")


def _malformed(fault: str) -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "multipart_malformed",
        f"The {MULTIPART} body {fault}. Send each image as one part, by RFC 7578.",
    )
