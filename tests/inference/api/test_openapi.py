"""The OpenAPI document, and the API held to it by schemathesis."""

from __future__ import annotations

import io
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.datastructures import Headers
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import FEEDBACK, FILMS, PREDICTIONS, SHOWN, multipart

from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.http.problems import ApiError
from chest_xray.inference.http.uploads import IMAGE_TYPES, MULTIPART
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.records.ground_truth import GroundTruthLog

KEY = {"Authorization": "Bearer good"}


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(film()).save(stream, format="JPEG")
    return stream.getvalue()


IMAGES = st.sampled_from([png(film()), png(film(3)), jpeg()])
schemathesis.openapi.media_type(IMAGE_TYPES[0], IMAGES, aliases=IMAGE_TYPES[1:])


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
def test_the_api_does_what_its_document_says(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "tiny", FINDINGS)
    app = create_app(tiny_predictor, hosts=None, access=OneKey(), ground_truth=log)
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
    # Of /v1/films there are no more than twelve: three images under four types.
    for path, least in ((PREDICTIONS, 50), (FILMS, 12), (FEEDBACK, 50), (SHOWN, 4)):
        assert sum(event.label == f"POST {path}" and len(event.recorder.cases) >= least for event in finished) == 2
    assert {check.name for check in checks} >= {"not_a_server_error", "response_schema_conformance", "ignored_auth"}


def test_the_document_has_every_route_body_and_status(document: dict[str, Any]) -> None:
    posts, gets = {PREDICTIONS, FILMS, FEEDBACK, SHOWN}, {"/v1/model", "/healthz", "/readyz", "/metrics"}
    assert document["paths"].keys() == posts | gets
    post = document["paths"][PREDICTIONS]["post"]
    assert post["requestBody"]["content"].keys() == {*IMAGE_TYPES, MULTIPART}
    statuses = {"200", "400", "401", "403", "408", "413", "415", "421", "422", "429", "500", "503"}
    assert post["responses"].keys() == statuses
    for status in statuses - {"200"}:
        assert post["responses"][status]["content"].keys() == {"application/problem+json"}
    assert [parameter["name"] for parameter in post["parameters"]] == ["explain", "heat_maps", "strict"]
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert [option["$ref"].rpartition("/")[2] for option in answer["anyOf"]] == ["PredictionAnswer", "BatchAnswer"]


def test_the_document_has_the_routes_of_the_page(document: dict[str, Any]) -> None:
    view, feedback = (document["paths"][path]["post"] for path in (FILMS, FEEDBACK))
    assert view["requestBody"]["content"].keys() == set(IMAGE_TYPES)
    assert view["responses"]["200"]["content"].keys() == {"application/octet-stream"}
    body = feedback["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"].keys() == {"event_id", "model_digest", "findings", "note"}
    assert body["properties"]["findings"]["propertyNames"]["enum"] == list(FINDINGS)
    assert body["additionalProperties"] is False
    assert feedback["responses"].keys() >= {"201", "409", "413", "415", "422", "503"}
    assert "200" not in feedback["responses"]


def test_every_reference_of_the_document_is_there(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert "Problem" in names
    assert names <= document["components"]["schemas"].keys()


def test_the_document_names_the_headers_of_answers(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                expected = {"X-Request-ID"}
                expected |= {"Retry-After"} if status in ("429", "503") else set()
                expected |= {"WWW-Authenticate"} if status == "401" else set()
                expected |= {"X-Film"} if (path, status) == (FILMS, "200") else set()
                assert response["headers"].keys() == expected


def test_a_key_is_asked_for_where_there_is_access_control_and_only_there(
    tiny_predictor: OnnxPredictor, document: dict[str, Any]
) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert [route["get"]["security"] for route in document["paths"].values() if "get" in route] == [[]] * 4
    client = Client(create_app(tiny_predictor, access=OneKey()))
    paths = client.get("/openapi.json", headers=KEY).json()["paths"]
    asked = {path for path, route in paths.items() for operation in route.values() if operation["security"]}
    assert asked == {PREDICTIONS, FILMS, FEEDBACK, SHOWN, "/v1/model", "/metrics"}
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
