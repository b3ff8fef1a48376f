"""What SageMaker's callers may send besides a film itself: JSON, JSON lines, and options in one header.

    {"image": BASE64, "explain": ["top"], "strict": false, "heat_maps": "array"}
    {"images": [{"id": "a", "image": BASE64}, ...], "explain": "all"}

Parsing is bounded before it begins: base64 has none of the characters that give JSON its structure, so a body of films
has few of them, however long it is. Nothing of a body enters an error, but a name in `explain` that is no finding.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chest_xray.errors import ImageError, SettingsError
from chest_xray.inference.answers import HeatMapKind
from chest_xray.inference.explain import parse_explain
from chest_xray.inference.http.problems import ApiError
from chest_xray.inference.http.uploads import MAX_IMAGES

MAX_LINES: Final = 1024
MAX_ATTRIBUTES: Final = 1024
_MAX_STRUCTURE: Final = 20_000
_STRUCTURE: Final = (b"{", b"[", b",", b":")


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller wants to know of each film. `explain` is as `parse_explain` gives it."""

    explain: tuple[str, ...] = ()
    strict: bool = False
    heat_maps: HeatMapKind = "array"


@dataclass(frozen=True, slots=True)
class Invocation:
    """The films of one JSON body, in its order. One that is not base64 has its ImageError in its place.

    `several` is whether the caller sent a list, and so expects one.
    """

    images: tuple[bytes | ImageError, ...]
    ids: tuple[str | None, ...]
    options: Options
    several: bool


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Image(_Strict):
    id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    image: str


class _Body(_Strict):
    image: str | None = None
    images: Annotated[list[_Image], Field(min_length=1, max_length=MAX_IMAGES)] | None = None
    explain: list[str] | str | None = None
    strict: bool | None = None
    heat_maps: HeatMapKind | None = None

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if (self.image is None) == (self.images is None):
            raise ValueError("expected either image or images")
        return self


def parse_json(body: bytes, defaults: Options, findings: Sequence[str]) -> Invocation:
    """Read one JSON object; `defaults` hold where it says nothing. `findings` are the model's.

    Raises:
        ApiError: 422 for what is no such object.
    """
    if sum(body.count(mark) for mark in _STRUCTURE) > _MAX_STRUCTURE:
        raise _invalid("it has more brackets, commas and colons than a request of films needs")
    try:
        parsed = _Body.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(_first_fault(error)) from None
    options = replace(
        defaults,
        explain=defaults.explain if parsed.explain is None else _explained(parsed.explain, findings),
        strict=defaults.strict if parsed.strict is None else parsed.strict,
        heat_maps=parsed.heat_maps or defaults.heat_maps,
    )
    items = parsed.images or [_Image(image=parsed.image or "")]
    images = tuple(_film(item.image) for item in items)
    return Invocation(images, tuple(item.id for item in items), options, several=parsed.images is not None)


def parse_lines(body: bytes, defaults: Options, findings: Sequence[str]) -> list[Invocation | ApiError]:
    """Read JSON lines; a line that is none has its ApiError in its place. `findings` are the model's.

    Raises:
        ApiError: 413 for more than `MAX_LINES`.
    """
    if body.count(b"\n") > MAX_LINES:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "lines_too_many",
            f"The body has more than {MAX_LINES} lines. Lower MaxPayloadInMB, or send fewer lines at once.",
        )
    lines = body.split(b"\n")
    if lines[-1].strip() == b"":
        lines.pop()
    return [_line(line, defaults, findings) for line in lines]


def parse_attributes(text: str, findings: Sequence[str]) -> tuple[str | None, Options]:
    """Read `X-Amzn-SageMaker-Custom-Attributes`, as `request_id=UUID;explain=top;strict=true;heat_maps=png`.

    Returns the request id as it was written, if it was, and the options. `findings` are the model's.

    Raises:
        ApiError: 422 for more than 1,024 characters, or a name or value that is not known.
    """
    if len(text) > MAX_ATTRIBUTES:
        raise _bad_attribute(f"they have {len(text)} characters; at most {MAX_ATTRIBUTES} are read")
    request_id = None
    options = Options()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = part.partition("=")
        match name.strip(), value.strip():
            case "request_id", given:
                request_id = given
            case "explain", names:
                options = replace(options, explain=_explained(names, findings))
            case "strict", "true" | "false" as flag:
                options = replace(options, strict=flag == "true")
            case "heat_maps", "array" | "png" as form:
                options = replace(options, heat_maps=form)
            case _:
                raise _bad_attribute("one is not known, or has a value that it cannot have")
    return request_id, options


def _line(line: bytes, defaults: Options, findings: Sequence[str]) -> Invocation | ApiError:
    try:
        return parse_json(line, defaults, findings)
    except ApiError as error:
        return error


def _film(text: str) -> bytes | ImageError:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ImageError("The image is not base64 (RFC 4648, with padding, no line breaks).")


def _explained(values: Iterable[str] | str, findings: Sequence[str]) -> tuple[str, ...]:
    try:
        return parse_explain([values] if isinstance(values, str) else values, findings)
    except SettingsError as error:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "explain_unknown", str(error)) from error


def _invalid(reason: str) -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "body_invalid",
        f"The JSON cannot be used: {reason}. Send "
        '{"image": BASE64} or {"images": [{"id": ID, "image": BASE64}]}, with explain, strict, heat_maps if need be.',
    )


def _bad_attribute(reason: str) -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "attributes_invalid",
        f"The custom attributes cannot be used: {reason}. Known: request_id=UUID;explain=NAMES;strict=true|false;"
        "heat_maps=array|png.",
    )


def _first_fault(error: ValidationError) -> str:
    """Where and what, without anything that the caller wrote: neither values nor names of unknown fields."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    match first["type"]:
        case "json_invalid":
            return "it is no JSON"
        case "extra_forbidden":
            return "it has a field that is not known"
    known = _Body.model_fields.keys() | _Image.model_fields.keys()
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in known)
    return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
