"""The HTTP API against the predictor that it wraps."""

import asyncio
import base64
import dataclasses
import io
import json
import logging
import re
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from tests.support.asgi import Client, open_client, post_scope
from tests.support.bundles import SIZE, film, png
from tests.support.dicom_files import PLANTED, dicom, ramp
from tests.support.stubs import PNG, PREDICTIONS, StubPredictor

from chest_xray.findings import FINDINGS
from chest_xray.images import class_maps
from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.heatmap import map_png
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.prediction import FilmFacts, GuardVerdict

SMALL = Limits(max_bytes=100_000)


@pytest.fixture(scope="module")
def client(tiny_predictor: OnnxPredictor) -> Client:
    return Client(create_app(tiny_predictor))


def assert_problem(response: httpx.Response, status: int, code: str) -> str:
    """The answer is problem+json, complete and consistent; returns its detail."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "code", "detail", "request_id"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]
    detail: str = problem["detail"]
    return detail


def test_the_answer_is_the_predictors_to_the_bit(client: Client, tiny_predictor: OnnxPredictor) -> None:
    image = png(film(5))
    expected = tiny_predictor.predict(image, explain=FINDINGS)
    response = client.post(PREDICTIONS, params={"explain": "all"}, content=image, headers=PNG)
    assert response.status_code == 200
    answer = response.json()
    found = [(f["finding"], f["probability"], f["operating_point"], f["flag"]) for f in answer["findings"]]
    assert found == [(s.finding, s.probability, s.operating_point, s.flag) for s in expected.findings]
    assert answer["heat_maps"] == {name: cam.tolist() for name, cam in expected.heat_maps.items()}
    assert answer["model"] == {"name": "tiny", "version": 1, "digest": tiny_predictor.identity.digest}
    assert answer["notice"] == RESEARCH_USE_ONLY
    assert answer["request_id"] == response.headers["x-request-id"]
    stages = answer["timings_ms"]
    assert stages.keys() == {"queue", "decode", "preprocess", "network", "total"}
    assert stages["total"] >= stages["queue"] + stages["decode"] + stages["preprocess"] + stages["network"] > 0


def test_the_answer_says_what_the_film_is_and_what_the_guard_thinks_of_it(
    client: Client, tiny_predictor: OnnxPredictor
) -> None:
    image = png(film(5)[:50])
    expected = tiny_predictor.predict(image)
    answer = client.post(PREDICTIONS, content=image, headers=PNG).json()
    assert answer["film"] == {
        "media_type": "image/png",
        "width": 64,
        "height": 50,
        "view": None,
        "age": None,
        "sex": None,
    }
    assert answer["guard"] == dataclasses.asdict(expected.guard)
    assert answer["quality"] == [dataclasses.asdict(warning) for warning in expected.quality]
    assert [warning["check"] for warning in answer["quality"]] == ["too_small"]


def test_view_age_and_sex_of_a_dicom_film_are_in_the_answer(tiny_predictor: OnnxPredictor) -> None:
    facts = FilmFacts("application/dicom", width=64, height=64, view="AP", age=47, sex="F")
    response = Client(create_app(StubPredictor(tiny_predictor, film=facts))).post(
        PREDICTIONS, content=png(film()), headers={"content-type": "application/dicom"}
    )
    assert response.json()["film"] == dataclasses.asdict(facts)


def test_nothing_that_names_a_patient_leaves_a_dicom_film(
    client: Client, tiny_predictor: OnnxPredictor, caplog: pytest.LogCaptureFixture
) -> None:
    whole = dicom(ramp(12, (80, 96)), PatientSex="F", PatientAge="047Y", ViewPosition="AP")
    unsuitable = dicom(ramp(12, (80, 96)), BodyPartExamined="HAND")
    expected = tiny_predictor.predict(whole)
    with caplog.at_level(logging.DEBUG):
        sent = [whole, whole[: len(whole) // 2], unsuitable]
        answers = [
            client.post(PREDICTIONS, content=body, headers={"content-type": "application/dicom"}) for body in sent
        ]
    assert [answer.status_code for answer in answers] == [200, 422, 422]
    assert answers[0].json()["film"] == dataclasses.asdict(expected.film)
    assert answers[0].json()["film"]["age"] == 47
    assert answers[2].json()["code"] == "image_unsuitable"
    told = caplog.text + client.get("/metrics").text + "".join(answer.text + str(answer.headers) for answer in answers)
    assert not [value for value in PLANTED.values() if value in told]


@pytest.mark.parametrize("kind", ["image/jpeg", "application/dicom", "application/octet-stream"])
def test_the_bytes_say_what_a_film_is_and_not_its_declared_type(client: Client, kind: str) -> None:
    response = client.post(PREDICTIONS, content=png(film()), headers={"content-type": kind})
    assert response.json()["film"]["media_type"] == "image/png"


def test_a_strict_caller_gets_422_for_a_film_that_the_guard_does_not_accept(tiny_predictor: OnnxPredictor) -> None:
    verdict = GuardVerdict(in_distribution=False, distance=31.5, threshold=20.0, false_refusal_rate=0.01)
    strict = Client(create_app(StubPredictor(tiny_predictor, guard=verdict)))
    lenient = strict.post(PREDICTIONS + "?strict=false", content=png(film()), headers=PNG)
    assert lenient.json()["guard"] == dataclasses.asdict(verdict)
    refused = strict.post(PREDICTIONS + "?strict=true", content=png(film()), headers=PNG)
    assert "31.5; at most 20 is accepted" in assert_problem(refused, 422, "out_of_distribution")


def test_a_strict_caller_gets_422_for_a_film_that_fails_a_quality_check(client: Client) -> None:
    response = client.post(PREDICTIONS + "?strict=true", content=png(film()[:50]), headers=PNG)
    assert "64x50 pixels" in assert_problem(response, 422, "quality_too_small")


def test_a_strict_caller_gets_the_scores_of_a_film_that_is_accepted(client: Client) -> None:
    assert client.post(PREDICTIONS + "?strict=true", content=png(film()), headers=PNG).status_code == 200


def test_a_heat_map_as_png_is_what_the_array_draws(client: Client, tiny_predictor: OnnxPredictor) -> None:
    image = png(film(2))
    expected = tiny_predictor.predict(image, explain=("Mass", "Hernia"))
    params = {"explain": "Mass,Hernia", "heat_maps": "png"}
    answer = client.post(PREDICTIONS, params=params, content=image, headers=PNG).json()
    for name, cam in expected.heat_maps.items():
        assert base64.b64decode(answer["heat_maps"][name], validate=True) == map_png(cam, SIZE)


def test_a_jpeg_is_scored(client: Client, tiny_predictor: OnnxPredictor) -> None:
    stream = io.BytesIO()
    Image.fromarray(film(1)).save(stream, format="JPEG", quality=95)
    response = client.post(PREDICTIONS, content=stream.getvalue(), headers={"content-type": "image/jpeg"})
    expected = tiny_predictor.predict(stream.getvalue())
    assert [f["probability"] for f in response.json()["findings"]] == [s.probability for s in expected.findings]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        ("?explain=none", []),
        ("?explain=Mass&explain=Effusion,Mass", ["Effusion", "Mass"]),
        ("?explain=all", list(FINDINGS)),
    ],
)
def test_explain_chooses_the_heat_maps(client: Client, query: str, expected: list[str]) -> None:
    response = client.post(PREDICTIONS + query, content=png(film()), headers=PNG)
    assert list(response.json()["heat_maps"]) == expected


def test_a_misspelt_parameter_is_422_instead_of_being_left_out(client: Client) -> None:
    response = client.post(PREDICTIONS + "?explian=DOE", content=png(film()), headers=PNG)
    detail = assert_problem(response, 422, "parameter_unknown")
    assert "Known: explain, heat_maps, strict" in detail
    assert "DOE" not in detail


def test_top_explains_one_finding_the_most_probable_of_the_flagged(client: Client) -> None:
    answer = client.post(PREDICTIONS + "?explain=top", content=png(film()), headers=PNG).json()
    urgent = max(answer["findings"], key=lambda found: (bool(found["flag"]), found["probability"]))
    assert list(answer["heat_maps"]) == [urgent["finding"]]


@pytest.mark.parametrize("query", ["?explain=", "?explain=none&explain=Mass", "?explain=DOE"])
def test_what_explain_does_not_know_is_422(client: Client, query: str) -> None:
    response = client.post(PREDICTIONS + query, content=png(film()), headers=PNG)
    assert "explain" in assert_problem(response, 422, "explain_unknown")


@pytest.mark.parametrize("query", ["?strict=yes", "?strict=1", "?heat_maps=DOE", "?strict="])
def test_a_malformed_query_is_422_and_is_not_repeated(client: Client, query: str) -> None:
    response = client.post(PREDICTIONS + query, content=png(film()), headers=PNG)
    detail = assert_problem(response, 422, "parameter_invalid")
    assert detail.startswith("query.")
    assert "DOE" not in detail


def test_an_unknown_finding_is_422_and_names_the_known(client: Client) -> None:
    response = client.post(PREDICTIONS + "?explain=Tuberculosis", content=png(film()), headers=PNG)
    detail = assert_problem(response, 422, "explain_unknown")
    assert all(name in detail for name in FINDINGS)


@pytest.mark.parametrize("body", [b"", b"hello", png(film())[:300], png(film())[:-20]])
def test_an_unreadable_image_is_422(client: Client, body: bytes) -> None:
    assert_problem(client.post(PREDICTIONS, content=body, headers=PNG), 422, "image_unreadable")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json", "image/pngx", "multipart/mixed"])
def test_another_content_type_is_415_and_is_told_the_right_ones(client: Client, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    response = client.post(PREDICTIONS, content=png(film()), headers=headers)
    detail = assert_problem(response, 415, "content_type_unsupported")
    accepted = "image/png, image/jpeg, application/dicom, application/octet-stream, multipart/form-data"
    assert accepted in detail
    assert response.headers["accept"] == accepted


def test_a_content_type_may_have_parameters(client: Client) -> None:
    headers = {"content-type": "Image/PNG; name=film"}
    assert client.post(PREDICTIONS, content=png(film()), headers=headers).status_code == 200


def call(app: FastAPI, headers: dict[str, str], chunks: Iterator[bytes]) -> tuple[int, dict[str, Any]]:
    """One raw ASGI request whose body is drawn from `chunks` as the application asks for it."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(chunks), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def work() -> None:
        await app(post_scope(PREDICTIONS, PNG | headers), receive, send)

    asyncio.run(work())
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_an_announced_body_that_is_too_large_is_413_before_a_byte_is_read(tiny_predictor: OnnxPredictor) -> None:
    status, problem = call(create_app(tiny_predictor, limits=SMALL), {"content-length": "100001"}, iter(()))
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_chunked_body_that_is_too_large_is_413_at_the_chunk_that_passes_the_limit(
    tiny_predictor: OnnxPredictor,
) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 10_000

    status, problem = call(create_app(tiny_predictor, limits=SMALL), {"transfer-encoding": "chunked"}, endless())
    assert (status, problem["code"]) == (413, "body_too_large")
    assert taken == 11


def test_a_false_content_length_does_not_pass_the_limit(tiny_predictor: OnnxPredictor) -> None:
    chunks = iter([b"x" * 60_000, b"x" * 60_000])
    status, _ = call(create_app(tiny_predictor, limits=SMALL), {"content-length": "10"}, chunks)
    assert status == 413


def test_an_image_of_too_many_pixels_is_413(client: Client) -> None:
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    body = header + zlib.crc32(header[12:]).to_bytes(4, "big") + png(film())[33:]
    assert "30000x30000" in assert_problem(client.post(PREDICTIONS, content=body, headers=PNG), 413, "image_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", PREDICTIONS, 405, "method_not_allowed"),
        ("GET", "/docs", 404, "not_found"),
    ],
)
def test_what_is_not_there_is_a_problem_too(client: Client, method: str, path: str, status: int, code: str) -> None:
    response = client.request(method, path)
    assert_problem(response, status, code)
    assert response.headers.get("allow") == ("POST" if status == 405 else None)


def test_the_model_card_is_the_manifest(client: Client, tiny_predictor: OnnxPredictor) -> None:
    card = client.get("/v1/model").json()
    manifest = json.loads(tiny_predictor.manifest.model_dump_json())
    assert list(card["findings"]) == list(FINDINGS)
    fields = ("findings", "normalisation", "mean_auroc", "image_size", "guard", "quality", "provenance", "architecture")
    for name in fields:
        assert card[name] == manifest[name]
    assert card["model"]["digest"] == tiny_predictor.identity.digest
    assert card["findings"]["Mass"]["operating_point"]["threshold"] == 0.1 + 0.05 * FINDINGS.index("Mass")
    assert card["notice"] == RESEARCH_USE_ONLY


def test_the_model_card_says_what_a_page_needs_to_draw_and_send(tiny_predictor: OnnxPredictor) -> None:
    card = Client(create_app(tiny_predictor, limits=SMALL)).get("/v1/model").json()
    levels = np.linspace(0, 1, len(card["colours"]))
    assert card["colours"] == class_maps.colours(levels).tolist()
    assert (card["faint"], card["opacity"]) == (class_maps.FAINT, class_maps.OPACITY)
    assert card["limits"] == {"max_bytes": 100_000, "max_pixels": SMALL.max_pixels}


def test_health_and_readiness(client: Client, tiny_predictor: OnnxPredictor) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready == {
        "status": "ready",
        "model": {"name": "tiny", "version": 1, "digest": tiny_predictor.identity.digest},
    }


def test_a_callers_uuid_is_kept_as_request_id_and_other_text_is_not(client: Client) -> None:
    given = str(uuid.uuid4())
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    named = client.get("/healthz", headers={"X-Request-ID": "DOE-JOHN-1970"}).headers["x-request-id"]
    assert str(uuid.UUID(named)) == named


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_loopback_names_are_answered(client: Client, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_name_is_refused(client: Client, host: str) -> None:
    assert_problem(client.get("/v1/model", headers={"host": host}), 421, "host_unknown")


def test_answers_are_not_cached(client: Client) -> None:
    response = client.post(PREDICTIONS, content=png(film()), headers=PNG)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_log_has_one_line_a_request_and_nothing_that_the_caller_wrote(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="chest_xray"):
        response = client.post(PREDICTIONS + "?patient=DOE", content=b"DOE", headers=PNG)
        client.get("/patients/DOE")
    lines = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(rf"{response.headers['x-request-id']} POST /v1/predictions 422 \d+\.\d ms", lines[0])
    assert re.fullmatch(r"\S+ GET \(no route\) 404 \d+\.\d ms", lines[1])
    assert len(lines) == 2
    assert "DOE" not in caplog.text


def test_an_unforeseen_failure_is_a_500_that_tells_nothing(
    tiny_predictor: OnnxPredictor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("DOE JOHN")

    response = Client(create_app(StubPredictor(tiny_predictor, fail))).post(
        PREDICTIONS, content=png(film()), headers=PNG
    )
    assert "DOE" not in response.text + caplog.text
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    request_id = response.json()["request_id"]
    assert response.headers["x-request-id"] == request_id
    (line,) = caplog.messages
    assert re.fullmatch(rf"{request_id} failed with RuntimeError at \S*test_api:\d+", line)


def test_requests_at_once_give_the_numbers_of_one_request(tiny_predictor: OnnxPredictor) -> None:
    images = [png(film(seed)) for seed in range(4)]
    expected = [[s.probability for s in tiny_predictor.predict(image).findings] for image in images]

    async def ask() -> list[httpx.Response]:
        async with open_client(create_app(tiny_predictor)) as client:
            posts = [client.post(PREDICTIONS, content=image, headers=PNG) for image in images * 8]
            return await asyncio.gather(*posts)

    responses = asyncio.run(ask())
    for index, response in enumerate(responses):
        assert [f["probability"] for f in response.json()["findings"]] == expected[index % len(images)]
    assert len({response.json()["request_id"] for response in responses}) == len(responses)


def test_health_answers_while_a_film_is_scored(tiny_predictor: OnnxPredictor) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(60)

    async def ask() -> tuple[int, bool, int]:
        async with open_client(create_app(StubPredictor(tiny_predictor, wait))) as client:
            scoring = asyncio.create_task(client.post(PREDICTIONS, content=png(film()), headers=PNG))
            await asyncio.to_thread(entered.wait, 60)
            health = await client.get("/healthz")
            still_scoring = not scoring.done()
            go_on.set()
            return health.status_code, still_scoring, (await scoring).status_code

    assert asyncio.run(ask()) == (200, True, 200)
