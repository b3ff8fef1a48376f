"""Which requests come in, what becomes of those that do not, and that every place is given back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from tests.support.asgi import Client, open_client
from tests.support.bundles import film, png
from tests.support.stubs import PNG, PREDICTIONS, RawRequest, StubPredictor

from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.http.admission import AdmissionLimits
from chest_xray.inference.predictor import OnnxPredictor

IMAGE = png(film())


class Gate:
    """Holds every prediction until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.entered.release()
        assert self.opened.wait(60)

    async def wait_for_one(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=60)


def problem(request: RawRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.sent[1]["body"])
    return found


def header(request: RawRequest, name: str) -> str | None:
    values = [value for key, value in request.sent[0]["headers"] if key.decode().lower() == name]
    return values[0].decode() if values else None


async def settle(condition: Callable[[], bool]) -> None:
    """Give the event loop its turns until `condition` holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition never held")


def places(app: FastAPI) -> tuple[int, int]:
    return app.state.admission.in_progress, app.state.admission.held_bytes


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


def test_a_request_over_the_limit_is_503_with_retry_after_and_its_body_is_not_read(
    tiny_predictor: OnnxPredictor,
) -> None:
    async def ask() -> None:
        gate = Gate()
        app = create_app(StubPredictor(tiny_predictor, gate), admission=AdmissionLimits(requests=1))
        async with open_client(app) as client:
            first = asyncio.create_task(client.post(PREDICTIONS, content=IMAGE, headers=PNG))
            await gate.wait_for_one()
            second = RawRequest(app, {})
            await second.start()
            assert (second.status, problem(second)["code"], header(second, "retry-after")) == (503, "overloaded", "2")
            assert header(second, "x-request-id") == problem(second)["request_id"]
            assert header(second, "connection") is None
            assert (await client.get("/readyz")).status_code == 200
            gate.opened.set()
            assert (await first).status_code == 200
            assert (await client.post(PREDICTIONS, content=IMAGE, headers=PNG)).status_code == 200
        assert places(app) == (0, 0)

    run(ask)


def test_announced_bytes_of_all_requests_are_bounded_together(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor, admission=AdmissionLimits(body_bytes=1000))
        first = RawRequest(app, {"content-length": "600"})
        working = first.start()
        await settle(lambda: places(app) == (1, 600))
        second = RawRequest(app, {"content-length": "401"})
        await second.start()
        assert (second.status, problem(second)["code"]) == (503, "overloaded")
        first.give(b"x" * 600, more=False)
        await working
        assert (first.status, places(app)) == (422, (0, 0))

    run(ask)


def test_bytes_that_were_not_announced_count_as_they_come(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor, admission=AdmissionLimits(body_bytes=1000))
        request = RawRequest(app, {"content-length": "10"})
        working = request.start()
        request.give(b"x" * 900)
        await settle(lambda: places(app) == (1, 900))
        request.give(b"x" * 101)
        await working
        assert (request.status, problem(request)["code"], places(app)) == (503, "overloaded", (0, 0))

    run(ask)


def test_a_body_larger_than_any_may_be_is_413_and_takes_no_bytes_from_others(tiny_predictor: OnnxPredictor) -> None:
    limits, admission = Limits(max_bytes=1000), AdmissionLimits(body_bytes=2000)

    async def ask() -> None:
        app = create_app(tiny_predictor, limits=limits, admission=admission)
        request = RawRequest(app, {"content-length": "999999999999"})
        await request.start()
        assert (request.status, problem(request)["code"], places(app)) == (413, "body_too_large", (0, 0))

    run(ask)


def test_a_body_that_does_not_come_is_408_and_frees_its_place(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor, admission=AdmissionLimits(body_seconds=0.05))
        request = RawRequest(app, {})
        request.give(IMAGE[:100])
        await request.start()
        assert (request.status, problem(request)["code"]) == (408, "body_timeout")
        assert header(request, "connection") == "close"
        assert places(app) == (0, 0)

    run(ask)


def test_a_body_has_more_time_for_each_mib_that_came(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        limits = AdmissionLimits(body_seconds=0.05, body_seconds_per_mib=60)
        app = create_app(tiny_predictor, admission=limits)
        request = RawRequest(app, {})
        working = request.start()
        request.give(b"x" * 2**20)
        await asyncio.sleep(0.2)
        request.give(b"", more=False)
        await working
        assert problem(request)["code"] == "image_unreadable"

    run(ask)


def test_a_client_that_leaves_within_its_body_frees_its_place(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor)
        request = RawRequest(app, {"content-length": "5000"})
        working = request.start()
        request.give(b"x" * 100)
        await settle(lambda: places(app) == (1, 5000))
        request.leave()
        await working
        assert places(app) == (0, 0)

    run(ask)


def test_a_client_that_leaves_while_it_waits_frees_its_place_and_is_not_scored(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        gate = Gate()
        app = create_app(StubPredictor(tiny_predictor, gate))
        service = app.state.service
        service._places = asyncio.Semaphore(1)
        held, left = RawRequest(app, {}), RawRequest(app, {})
        held.give(IMAGE, more=False)
        holding = held.start()
        await gate.wait_for_one()
        left.give(IMAGE, more=False)
        leaving = left.start()
        await settle(lambda: service.waiting == 1)
        left.leave()
        await leaving
        assert (places(app)[0], service.waiting, service.scoring) == (1, 0, 1)
        gate.opened.set()
        await holding
        assert (held.status, places(app)[0], service.scoring) == (200, 0, 0)
        assert not gate.entered.acquire(blocking=False)

    run(ask)


def test_a_client_that_leaves_while_it_is_scored_frees_its_place_but_not_its_thread(
    tiny_predictor: OnnxPredictor,
) -> None:
    async def ask() -> None:
        gate = Gate()
        app = create_app(StubPredictor(tiny_predictor, gate))
        request = RawRequest(app, {})
        request.give(IMAGE, more=False)
        working = request.start()
        await gate.wait_for_one()
        request.leave()
        await working
        assert (places(app)[0], app.state.service.scoring) == (0, 1)
        gate.opened.set()
        await settle(lambda: app.state.service.scoring == 0)

    run(ask)


def test_draining_refuses_what_is_new_and_finishes_what_is_under_way(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        gate = Gate()
        app = create_app(StubPredictor(tiny_predictor, gate))
        async with open_client(app) as client:
            under_way = asyncio.create_task(client.post(PREDICTIONS, content=IMAGE, headers=PNG))
            await gate.wait_for_one()
            app.state.admission.drain()
            for response in (
                await client.post(PREDICTIONS, content=IMAGE, headers=PNG),
                await client.get("/readyz"),
            ):
                assert (response.status_code, response.json()["code"]) == (503, "draining")
                assert response.headers["retry-after"] == "2"
            assert (await client.get("/healthz")).status_code == 200
            gate.opened.set()
            assert (await under_way).status_code == 200

    run(ask)


def test_at_ten_times_the_places_every_answer_is_200_or_503_and_every_place_is_given_back(
    tiny_predictor: OnnxPredictor,
) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor, admission=AdmissionLimits(requests=8))
        async with open_client(app) as client:
            posts = [client.post(PREDICTIONS, content=IMAGE, headers=PNG) for _ in range(80)]
            statuses = [response.status_code for response in await asyncio.gather(*posts)]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 8
        assert places(app) == (0, 0)

    run(ask)


@pytest.mark.parametrize("path", ["/healthz", "/v1/model", "/metrics"])
def test_only_posts_take_a_place(tiny_predictor: OnnxPredictor, path: str) -> None:
    app = create_app(tiny_predictor, admission=AdmissionLimits(requests=0))
    assert Client(app).get(path).status_code == 200
    assert Client(app).post(PREDICTIONS, content=IMAGE, headers=PNG).status_code == 503


def test_a_client_that_waits_for_100_continue_is_told_that_the_connection_ends(tiny_predictor: OnnxPredictor) -> None:
    async def ask() -> None:
        app = create_app(tiny_predictor)
        app.state.admission.drain()
        request = RawRequest(app, {"expect": "100-continue"})
        await request.start()
        assert (request.status, header(request, "connection")) == (503, "close")

    run(ask)
