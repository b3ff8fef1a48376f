"""The OpenAPI document, and the API held to it by schemathesis."""

from __future__ import annotations

import io
import json
import re
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.datastructures import Headers
from tests.asgi import Client
from tests.bundles import film, png
from tests.stubs import PREDICTIONS, multipart

from chest_xray.inference.api import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.problems import ApiError
from chest_xray.inference.uploads import IMAGE_TYPES, MULTIPART

KEY = {"Authorization": "Bearer good"}


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(film()).save(stream, format="JPEG")
    return stream.getvalue()


FILMS = st.sampled_from([png(film()), png(film(3)), jpeg()])
schemathesis.openapi.media_type(IMAGE_TYPES[0], FILMS, aliases=IMAGE_TYPES[1:])


class OneKey:
    """Only the key `good` is known."""

    def identify(self, headers: Headers, client: str | None) -> str:
        if headers.get("authorization") != KEY["Authorization"]:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "key_unknown", "No.", headers={"WWW-Authenticate": "Bearer"})
        return "key:good"


@pytest.fixture(scope="module")
def document(tiny_predictor: OnnxPredictor) -> dict[str, Any]:
    found: dict[str, Any] = Client(create_app(tiny_predictor)).get("/openapi.json").json()
    return found


@pytest.mark.slow
def test_the_api_does_what_its_document_says(tiny_predictor: OnnxPredictor) -> None:
    app = create_app(tiny_predictor, hosts=None, access=OneKey())
    config = schemathesis.Config.from_dict(
        {
            "seed": 3,
            "headers": KEY,
            "generation": {"max-examples": 50, "deterministic": True, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers=KEY)
    events = list(from_schema(schema).execute())
    errors = [event for event in events if isinstance(event, FatalError | NonFatalError)]
    finished = [event for event in events if isinstance(event, ScenarioFinished)]
    checks = [check for event in finished for found in event.recorder.checks.values() for check in found]
    failures = [check.failure_info.failure for check in checks if check.failure_info is not None]
    assert (errors, failures) == ([], [])
    assert sum(event.label == f"POST {PREDICTIONS}" and len(event.recorder.cases) >= 50 for event in finished) == 2
    assert {check.name for check in checks} >= {"not_a_server_error", "response_schema_conformance", "ignored_auth"}


def test_the_document_has_every_route_body_and_status(document: dict[str, Any]) -> None:
    assert document["paths"].keys() == {PREDICTIONS, "/v1/model", "/healthz", "/readyz", "/metrics"}
    post = document["paths"][PREDICTIONS]["post"]
    assert post["requestBody"]["content"].keys() == {*IMAGE_TYPES, MULTIPART}
    statuses = {"200", "400", "401", "408", "413", "415", "421", "422", "429", "500", "503"}
    assert post["responses"].keys() == statuses
    for status in statuses - {"200"}:
        assert post["responses"][status]["content"].keys() == {"application/problem+json"}
    assert [parameter["name"] for parameter in post["parameters"]] == ["explain", "heat_maps", "strict"]
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert [option["$ref"].rpartition("/")[2] for option in answer["anyOf"]] == ["PredictionAnswer", "BatchAnswer"]


def test_every_reference_of_the_document_is_there(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert "Problem" in names
    assert names <= document["components"]["schemas"].keys()


def test_the_document_names_the_headers_of_answers(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                expected = {"X-Request-ID"}
                expected |= {"Retry-After"} if status in ("429", "503") else set()
                expected |= {"WWW-Authenticate"} if status == "401" else set()
                assert response["headers"].keys() == expected


def test_a_key_is_asked_for_where_there_is_access_control_and_only_there(
    tiny_predictor: OnnxPredictor, document: dict[str, Any]
) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert [route["get"]["security"] for route in document["paths"].values() if "get" in route] == [[]] * 4
    client = Client(create_app(tiny_predictor, access=OneKey()))
    paths = client.get("/openapi.json", headers=KEY).json()["paths"]
    asked = {path for path, route in paths.items() for operation in route.values() if operation["security"]}
    assert asked == {PREDICTIONS, "/v1/model", "/metrics"}
    for path in ("/v1/model", "/metrics", "/openapi.json", "/nothing"):
        assert client.get(path).status_code == 401
    assert client.get("/healthz").status_code == 200


def test_the_schema_of_an_answer_fits_the_answers(document: dict[str, Any], tiny_predictor: OnnxPredictor) -> None:
    from jsonschema_rs import validator_for

    client = Client(create_app(tiny_predictor))
    body, headers = multipart([png(film()), b"nothing"])
    for answer, name in (
        (client.post(PREDICTIONS + "?explain=all", content=body, headers=headers).json(), "BatchAnswer"),
        (
            client.post(
                PREDICTIONS + "?explain=all&heat_maps=png", content=png(film()), headers={"content-type": "image/png"}
            ).json(),
            "PredictionAnswer",
        ),
        (client.get("/v1/model").json(), "ModelCard"),
    ):
        validator_for({**document, "$ref": f"#/components/schemas/{name}"}).validate(answer)
