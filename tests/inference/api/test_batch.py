"""Several films in one multipart request."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable

import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import PREDICTIONS, RawRequest, StubPredictor, multipart

from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.http.uploads import MAX_IMAGES
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.prediction import Prediction

SMALL = Limits(max_bytes=100_000)


@pytest.fixture(scope="module")
def client(tiny_predictor: OnnxPredictor) -> Client:
    return Client(create_app(tiny_predictor, limits=SMALL))


def test_each_film_has_its_own_scores_in_the_order_of_the_parts(client: Client, tiny_predictor: OnnxPredictor) -> None:
    images = [png(film(seed)) for seed in range(5)]
    body, headers = multipart(images)
    response = client.post(PREDICTIONS + "?explain=top", content=body, headers=headers)
    assert response.status_code == 200
    answer = response.json()
    assert answer["request_id"] == response.headers["x-request-id"]
    assert answer["model"] == {"name": "tiny", "version": 1, "digest": tiny_predictor.identity.digest}
    assert answer["notice"] == RESEARCH_USE_ONLY
    assert [(r["index"], r["status"], r["problem"]) for r in answer["results"]] == [(i, 200, None) for i in range(5)]
    for image, result in zip(images, answer["results"], strict=True):
        expected = tiny_predictor.predict(image, explain=("top",))
        found = result["prediction"]
        assert [f["probability"] for f in found["findings"]] == [s.probability for s in expected.findings]
        assert found["heat_maps"] == {name: cam.tolist() for name, cam in expected.heat_maps.items()}


def test_one_part_is_a_batch_of_one(client: Client) -> None:
    body, headers = multipart([png(film())])
    (result,) = client.post(PREDICTIONS, content=body, headers=headers).json()["results"]
    assert result["status"] == 200


def test_a_bad_image_has_its_problem_and_the_others_their_scores(client: Client) -> None:
    body, headers = multipart([png(film(1)), b"DOE^JANE 1970", png(film(2))])
    response = client.post(PREDICTIONS, content=body, headers=headers)
    assert response.status_code == 200
    first, second, third = response.json()["results"]
    assert (first["status"], second["status"], third["status"]) == (200, 422, 200)
    assert second["prediction"] is None
    assert (second["problem"]["status"], second["problem"]["code"]) == (422, "image_unreadable")
    assert second["problem"]["request_id"] == response.headers["x-request-id"]


def test_strict_refuses_only_the_film_that_is_not_accepted(client: Client) -> None:
    body, headers = multipart([png(film()), png(film()[:50])])
    results = client.post(PREDICTIONS + "?strict=true", content=body, headers=headers).json()["results"]
    assert [result["problem"] and result["problem"]["code"] for result in results] == [None, "quality_too_small"]


def test_file_names_are_neither_answered_nor_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    body, headers = multipart([b"", png(film())])
    with caplog.at_level(logging.DEBUG):
        responses = [client.post(PREDICTIONS, content=content, headers=headers) for content in (body, body[:150])]
        broken = body.replace(b"Content-Type: image/png", b"Content-Type{DOE}: image/png")
        responses.append(client.post(PREDICTIONS, content=broken, headers=headers))
    assert [response.status_code for response in responses] == [200, 422, 422]
    assert not any("DOE" in response.text for response in responses)
    assert "DOE" not in caplog.text


def test_64_images_are_scored_and_65_are_422(client: Client) -> None:
    image = png(film())
    most, headers = multipart([image] * MAX_IMAGES)
    wide = Client(create_app(client_predictor(client), limits=Limits()))
    assert len(wide.post(PREDICTIONS, content=most, headers=headers).json()["results"]) == 64
    more, headers = multipart([b"x"] * (MAX_IMAGES + 1))
    response = client.post(PREDICTIONS, content=more, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "images_too_many")


def client_predictor(client: Client) -> OnnxPredictor:
    predictor: OnnxPredictor = client._app.state.service.predictor
    return predictor


def test_the_byte_limit_is_that_of_the_parts_together(client: Client) -> None:
    body, headers = multipart([b"x" * 40_000] * 3)
    for streamed in (body, iter([body[:60_000], body[60_000:]])):
        content = streamed if isinstance(streamed, bytes) else _chunks(streamed)
        response = client.post(PREDICTIONS, content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def _chunks(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("body", "headers", "fault"),
    [
        (b"--b--\r\n", BOUNDARY, "has no part"),
        (b"", BOUNDARY, "ends before its last boundary"),
        (b"--b\r\nA: b\r\n\r\nx", BOUNDARY, "ends before its last boundary"),
        (b"film", BOUNDARY, "is damaged"),
        (b"--b\r\n" + b"A: b\r\n" * 17 + b"\r\nx\r\n--b--\r\n", BOUNDARY, "is damaged"),
        (b"--b\r\nA: " + b"b" * 5000 + b"\r\n\r\nx\r\n--b--\r\n", BOUNDARY, "is damaged"),
        (b"--b--\r\n", {"content-type": "multipart/form-data"}, "has no boundary"),
        (b"--b--\r\n", {"content-type": "multipart/form-data; boundary=" + "b" * 300}, "too long a boundary"),
    ],
)
def test_a_body_that_is_no_multipart_is_422(client: Client, body: bytes, headers: dict[str, str], fault: str) -> None:
    response = client.post(PREDICTIONS, content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "multipart_malformed")
    assert fault in response.json()["detail"]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_parts_are_the_same_however_the_body_is_cut(tiny_predictor: OnnxPredictor, size: int) -> None:
    images: list[bytes] = []

    class Keeper(StubPredictor):
        def predict(self, image: bytes, *, explain: Collection[str] = ()) -> Prediction:
            images.append(image)
            return super().predict(png(film()), explain=explain)

    given = [b"\r\n--7MA4YWxkTrZu0g", b"\r\n" * 30, b"--", bytes(range(256)) * 3, b""]
    body, headers = multipart(given)

    async def ask() -> int:
        request = RawRequest(create_app(Keeper(tiny_predictor)), headers)
        for start in range(0, len(body), size):
            request.give(body[start : start + size])
        request.give(b"", more=False)
        await request.start()
        return request.status

    assert asyncio.run(ask()) == 200
    assert sorted(images) == sorted(given)


def test_a_body_full_of_delimiters_is_refused_before_it_is_parsed(client: Client) -> None:
    body = b"--b\r\n\r\n" + b"\r\n--bx" * 10_000
    response = client.post(PREDICTIONS, content=body, headers=BOUNDARY)
    assert (response.status_code, response.json()["code"]) == (422, "images_too_many")
