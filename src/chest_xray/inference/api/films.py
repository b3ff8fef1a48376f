"""POST /v1/films: the pixels of one film at the depth of its file, for a viewer that lets its user choose the window.

What they are and how they are shown first stands in the header X-Film, as JSON in one line: numbers of the pixels and
the window, and of the tags what every answer has, never text of the file.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Final

import numpy as np
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chest_xray.images.film import FullFilm
from chest_xray.inference.api.openapi import FILM_ANSWER, FILM_BODY, PREDICTION_PROBLEMS
from chest_xray.inference.api.predictions import caller_of, while_there
from chest_xray.inference.http.problems import ApiError
from chest_xray.inference.http.uploads import IMAGE_TYPES, content_type, read_body
from chest_xray.inference.service import PredictionService

FILMS: Final = "/v1/films"
FACTS: Final = "X-Film"
_CHUNK: Final = 1024 * 1024


def add_films(app: FastAPI, service: PredictionService) -> None:
    """Add the route to `app`."""

    @app.post(
        FILMS,
        summary="The pixels of one film, for a viewer",
        response_class=Response,
        responses=PREDICTION_PROBLEMS | FILM_ANSWER,
        openapi_extra=FILM_BODY,
    )
    async def view(request: Request) -> Response:
        if request.query_params:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "parameter_unknown", f"{FILMS} takes no query. Leave it out."
            )
        content_type(request, IMAGE_TYPES)
        viewed = service.view(
            await read_body(request, service.limits),
            caller=caller_of(request),
            request_id=request.state.request_id,
            received=time.monotonic(),
        )
        film = await while_there(request, viewed)
        # A small file can hold a large film: what slow readers keep waiting here is bounded as bodies are.
        request.state.place.hold_answer(film.film.grey.nbytes)
        return _PixelResponse(film)


def film_facts(full: FullFilm) -> str:
    """The value of X-Film."""
    film = full.film
    height, width = film.grey.shape
    facts = {
        "width": width,
        "height": height,
        "bits": 8 * film.grey.itemsize,
        "low": full.low,
        "slope": full.slope,
        "window": {"low": full.window[0], "high": full.window[1]},
        "inverted": full.inverted,
        "voi": "baked" if full.baked else "linear",
        "media_type": film.media_type,
        "view": film.view,
        "age": film.age,
        "sex": film.sex,
    }
    return json.dumps(facts, separators=(",", ":"), allow_nan=False)


class _PixelResponse(Response):
    """The pixels, sent in pieces: the place of a request with a slow reader is not free before most of it has gone."""

    media_type = "application/octet-stream"

    def __init__(self, full: FullFilm) -> None:
        grey = full.film.grey
        pixels = np.ascontiguousarray(grey, grey.dtype.newbyteorder("<"))
        super().__init__(pixels.data.cast("B"), headers={FACTS: film_facts(full)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pixels = memoryview(self.body)
        for start in range(0, len(pixels), _CHUNK):
            piece = pixels[start : start + _CHUNK]
            await send({"type": "http.response.body", "body": piece, "more_body": start + _CHUNK < len(pixels)})
