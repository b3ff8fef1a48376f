"""SageMaker's hosting contract over the prediction service.

GET  /ping                  200 once the model has proved itself and until SIGTERM, else 503
POST /invocations           a film (image/png, image/jpeg, application/dicom), application/json or application/jsonlines
GET  /execution-parameters  what Batch Transform may send at once

The contract has no keys: IAM stands in front of the endpoint, and only SageMaker reaches the port. Request id and
options travel in `X-Amzn-SageMaker-Custom-Attributes`; the answer repeats the request id there.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from anyio.to_thread import run_sync
from pydantic import Field
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chest_xray.cpus import available_cpus
from chest_xray.errors import ImageError
from chest_xray.inference.answers import BatchAnswer, BatchResult, PredictionAnswer
from chest_xray.inference.container.bodies import Invocation, Options, parse_attributes, parse_json, parse_lines
from chest_xray.inference.http.boundary import REQUEST_ID
from chest_xray.inference.http.problems import ApiError, add_problem_handlers, problem_of
from chest_xray.inference.http.uploads import IMAGE_TYPES, read_body
from chest_xray.inference.service import PredictionService
from chest_xray.prediction import Prediction

ATTRIBUTES: Final = "X-Amzn-SageMaker-Custom-Attributes"
CALLER: Final = "sagemaker"
JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
# AWS takes at most 100 MB for all transforms of an instance at once.
_TRANSFORM_MIB: Final = 100

Result = Prediction | ImageError


class InvocationResult(BatchResult):
    """One image of several, with the id that the caller gave it."""

    id: str | None = Field(description="As the caller wrote it.")


class InvocationAnswer(BatchAnswer):
    """The answer for several images, in their order, with ids."""

    results: tuple[InvocationResult, ...]


def create_container(
    service: PredictionService, *, ready: Callable[[], bool] = lambda: True, max_answer_bytes: int
) -> Starlette:
    """The application of the contract. `ready` is what /ping says; a longer answer than the limit is refused."""
    invocations = _Invocations(service, max_answer_bytes)

    async def ping(request: Request) -> Response:
        del request
        return Response(status_code=HTTPStatus.OK if ready() else HTTPStatus.SERVICE_UNAVAILABLE)

    app = Starlette(
        routes=[
            Route("/ping", ping),
            Route("/invocations", invocations.answer, methods=["POST"]),
            Route("/execution-parameters", _execution_parameters),
        ]
    )
    add_problem_handlers(app)
    return app


class CustomAttributes:
    """ASGI middleware, outside of Boundary: the request id comes from SageMaker's header and goes back in it.

    `findings` are the model's, which the header may name.
    """

    def __init__(self, app: ASGIApp, findings: Sequence[str]) -> None:
        self._app = app
        self._findings = findings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Boundary takes a UUID for the request's id and makes one where this is none.
        MutableHeaders(scope=scope)[REQUEST_ID] = self._given_id(Headers(scope=scope).get(ATTRIBUTES, ""))

        async def send_repeated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[ATTRIBUTES] = f"request_id={headers[REQUEST_ID]}"
            await send(message)

        await self._app(scope, receive, send_repeated)

    def _given_id(self, attributes: str) -> str:
        try:
            return parse_attributes(attributes, self._findings)[0] or ""
        except ApiError:
            return ""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request: its id, the options of its header, and when its last byte came."""

    request_id: str
    options: Options
    received: float


class _Invocations:
    def __init__(self, service: PredictionService, max_answer_bytes: int) -> None:
        self._service = service
        self._max_answer_bytes = max_answer_bytes
        self._findings = tuple(service.predictor.manifest.findings)

    async def answer(self, request: Request) -> Response:
        """POST /invocations."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        answer = {JSON: self._answer_json, JSON_LINES: self._answer_lines}.get(kind)
        if answer is None and kind not in IMAGE_TYPES:
            raise _unknown_type()
        _, options = parse_attributes(request.headers.get(ATTRIBUTES, ""), self._findings)
        body = await read_body(request, self._service.limits)
        call = _Call(request.state.request_id, options, time.monotonic())
        text = await (answer or self._answer_film)(call, body)
        if len(text) > self._max_answer_bytes:
            raise _too_long(len(text), self._max_answer_bytes)
        return Response(text, media_type=JSON_LINES if kind == JSON_LINES else JSON)

    async def _answer_film(self, call: _Call, body: bytes) -> bytes:
        ((result,),) = await self._score(call, [Invocation((body,), (None,), call.options, several=False)])
        return await run_sync(self._write_one, call, call.options, result)

    async def _answer_json(self, call: _Call, body: bytes) -> bytes:
        invocation = await run_sync(parse_json, body, call.options, self._findings)
        (results,) = await self._score(call, [invocation])
        return await run_sync(self._write, call, invocation, results)

    async def _answer_lines(self, call: _Call, body: bytes) -> bytes:
        lines = await run_sync(parse_lines, body, call.options, self._findings)
        scored = iter(await self._score(call, [line for line in lines if isinstance(line, Invocation)]))
        results = [next(scored) if isinstance(line, Invocation) else () for line in lines]
        return await run_sync(self._write_lines, call, lines, results)

    async def _score(self, call: _Call, invocations: Sequence[Invocation]) -> list[list[Result]]:
        """The results of each invocation's images. Those with the same options are scored together."""
        places: dict[Options, list[tuple[list[Result | None], int, bytes]]] = defaultdict(list)
        results: list[list[Result | None]] = [[None] * len(invocation.images) for invocation in invocations]
        for invocation, row in zip(invocations, results, strict=True):
            for index, image in enumerate(invocation.images):
                if isinstance(image, ImageError):
                    row[index] = image
                else:
                    places[invocation.options].append((row, index, image))
        for options, group in places.items():
            scored = await self._service.score(
                [image for _, _, image in group],
                explain=options.explain,
                strict=options.strict,
                caller=CALLER,
                request_id=call.request_id,
                received=call.received,
            )
            for (row, index, _), result in zip(group, scored, strict=True):
                row[index] = result
        return [[result for result in row if result is not None] for row in results]

    def _write_lines(
        self, call: _Call, lines: Sequence[Invocation | ApiError], results: Sequence[Sequence[Result]]
    ) -> bytes:
        return b"".join(
            (self._write_line(call, line, row) if isinstance(line, Invocation) else _problem(call, line)) + b"\n"
            for line, row in zip(lines, results, strict=True)
        )

    def _write_line(self, call: _Call, line: Invocation, results: Sequence[Result]) -> bytes:
        try:
            return self._write(call, line, results)
        except ImageError as error:
            return _problem(call, error)

    def _write(self, call: _Call, invocation: Invocation, results: Sequence[Result]) -> bytes:
        if not invocation.several:
            return self._write_one(call, invocation.options, results[0])
        size = self._picture_size(invocation.options)
        rows = [
            InvocationResult.of(call.request_id, index, result, size, id=invocation.ids[index])
            for index, result in enumerate(results)
        ]
        return InvocationAnswer.of(call.request_id, self._service.identity, rows).model_dump_json().encode()

    def _write_one(self, call: _Call, options: Options, result: Result) -> bytes:
        if isinstance(result, ImageError):
            raise result
        answer = PredictionAnswer.answering(call.request_id, result, self._picture_size(options))
        return answer.model_dump_json().encode()

    def _picture_size(self, options: Options) -> int | None:
        return self._service.predictor.manifest.image_size if options.heat_maps == "png" else None


async def _execution_parameters(request: Request) -> Response:
    """As many transforms at once as there are processors, and what 100 MB leave each of them."""
    del request
    transforms = min(available_cpus(), 16)
    mib = _TRANSFORM_MIB // transforms
    return JSONResponse(
        {"MaxConcurrentTransforms": transforms, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": min(mib, 50)}
    )


def _problem(call: _Call, error: Exception) -> bytes:
    return problem_of(call.request_id, error).model_dump_json().encode()


def _unknown_type() -> ApiError:
    accepted = ", ".join((*IMAGE_TYPES, JSON, JSON_LINES))
    return ApiError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "content_type_unsupported",
        f"The ContentType is none of {accepted}. Send a film's bytes under their type, or JSON with base64.",
        headers={"Accept": accepted},
    )


def _too_long(found: int, limit: int) -> ApiError:
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "answer_too_large",
        f"The answer has {found} bytes; SageMaker passes {limit} on. Ask for fewer heat maps or images at once.",
    )
