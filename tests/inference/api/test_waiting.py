"""`cxr serve --wait`: the page and the probes before there is a model, and the application once there is one."""

import asyncio
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.inference.api.test_openapi import KEY, OneKey
from tests.support.asgi import Client
from tests.support.bundles import film, png, write_bundle
from tests.support.endpoints import deploy_folder
from tests.support.processes import environment, run_cxr
from tests.support.stubs import PNG, PREDICTIONS

from chest_xray.errors import BundleError, NotDeployedError
from chest_xray.inference.api.app import create_app
from chest_xray.inference.api.waiting import Waiting
from chest_xray.inference.http.access import Access, OpenAccess
from chest_xray.inference.http.boundary import LOOPBACK_HOSTS
from chest_xray.inference.http.keys import KeyFile
from chest_xray.inference.predictor import OnnxPredictor


def absent() -> FastAPI:
    raise NotDeployedError("nothing")


def waiting(access: Access | None = None) -> Waiting:
    return Waiting(absent, endpoint="clinic", hosts=LOOPBACK_HOSTS, access=access or OpenAccess())


def test_before_a_deployment_everything_but_page_and_health_says_what_to_do() -> None:
    client = Client(waiting())
    assert client.get("/healthz").json() == {"status": "ok"}
    for answer in (
        client.get("/readyz"),
        client.get("/v1/model"),
        client.get("/metrics"),
        client.get("/nothing"),
        client.post(PREDICTIONS, content=png(film()), headers=PNG),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "no_model")
        assert "`cxr deploy --model-name NAME --endpoint clinic`" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_the_page_is_there_before_a_deployment(tiny_predictor: OnnxPredictor) -> None:
    before, after = Client(waiting()).get("/"), Client(create_app(tiny_predictor)).get("/")
    assert (before.status_code, before.content) == (after.status_code, after.content) == (200, before.content)
    assert before.headers["content-security-policy"] == after.headers["content-security-policy"]


def test_access_host_and_origin_hold_from_the_start() -> None:
    client = Client(waiting(OneKey()))
    assert client.get("/v1/model").status_code == 401
    assert client.get("/v1/model", headers=KEY).json()["code"] == "no_model"
    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 421
    assert client.post(PREDICTIONS, headers=KEY | {"origin": "http://evil.example"}).status_code == 403


def test_a_server_that_drains_before_its_model_says_so() -> None:
    app = waiting()
    app.drain()
    assert Client(app).get("/readyz").json()["code"] == "draining"


class Lifespan:
    """A server's lifespan over an application, as uvicorn has it."""

    def __init__(self, app: Waiting) -> None:
        self._app = app
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._sent: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._app({"type": "lifespan"}, self._messages.get, self._sent.put))
        self._messages.put_nowait({"type": "lifespan.startup"})
        assert (await self._sent.get())["type"] == "lifespan.startup.complete"

    async def __aexit__(self, *_: object) -> None:
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        assert (await self._sent.get())["type"] == "lifespan.shutdown.complete"
        await self._task


async def ready(app: Waiting) -> httpx.Response:
    """/readyz as soon as it is no longer `no_model`."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for _ in range(2000):
            answer = await client.get("/readyz")
            if answer.status_code == 200 or answer.json()["code"] != "no_model":
                break
            await asyncio.sleep(0.005)
        return answer


def test_it_goes_over_to_what_was_deployed_and_no_failure_on_the_way_ends_it(
    tiny_predictor: OnnxPredictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("chest_xray.inference.api.waiting.LOOK_SECONDS", 0.001)
    damaged = BundleError("the bundle is damaged")
    failures = iter([NotDeployedError("nothing"), damaged, damaged, OSError(5, "no disk"), NotDeployedError("nothing")])

    def look() -> FastAPI:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return create_app(tiny_predictor)

    app = Waiting(look, endpoint="clinic", hosts=None, access=OpenAccess())

    async def live() -> httpx.Response:
        async with Lifespan(app):
            return await ready(app)

    assert asyncio.run(live()).json()["model"]["name"] == "tiny"
    assert caplog.messages == ["the bundle is damaged", "[Errno 5] no disk"]


@pytest.mark.parametrize("first", ["drain", "model"])
def test_a_drain_reaches_the_model_whichever_comes_first(tiny_predictor: OnnxPredictor, first: str) -> None:
    app = Waiting(lambda: create_app(tiny_predictor), endpoint="clinic", hosts=None, access=OpenAccess())

    async def live() -> httpx.Response:
        if first == "drain":
            app.drain()
        async with Lifespan(app):
            answer = await ready(app)
            if first == "model":
                assert answer.status_code == 200
                app.drain()
            return await ready(app)

    answer = asyncio.run(live())
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")


# ---- as a process


@contextmanager
def served(home: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`cxr serve --wait` and its address."""
    import sys

    command = [sys.executable, "-m", "chest_xray.cli", "serve", "--endpoint", "clinic", "--port", "0", "--wait"]
    process = subprocess.Popen(
        [*command, *options], env=environment() | {"CXR_HOME": str(home)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        place = re.search(r"Waiting at (http://\S+) for a deployment to clinic", first)
        assert place, first + process.stderr.read()
        yield process, place.group(1)
    finally:
        process.kill()
        process.communicate()


def test_a_server_answers_within_seconds_of_the_first_deployment(tmp_path: Path) -> None:
    _, key = KeyFile(tmp_path).add("ward-3", 600)
    bundle = write_bundle(tmp_path / "bundle").root
    with served(tmp_path) as (process, address):
        authorised = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{address}/readyz").json()["code"] == "no_model"
        assert httpx.post(f"{address}{PREDICTIONS}", content=png(film()), headers=PNG).status_code == 401
        deploy_folder(tmp_path, bundle, endpoint="clinic")
        for _ in range(300):
            if httpx.get(f"{address}/readyz").status_code == 200:
                break
            time.sleep(0.1)
        answer = httpx.post(f"{address}{PREDICTIONS}", content=png(film()), headers=PNG | authorised)
        assert (answer.status_code, answer.json()["model"]["name"]) == (200, "tiny")
        assert httpx.post(f"{address}{PREDICTIONS}", content=png(film()), headers=PNG).status_code == 401
        judged = {"event_id": answer.json()["event_id"], "model_digest": answer.json()["model"]["digest"]}
        feedback = httpx.post(f"{address}/v1/feedback", json=judged | {"findings": {"Mass": True}}, headers=authorised)
        assert feedback.status_code == 201
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Serving tiny version 1" in log
    assert "Traceback" not in log
    assert list((tmp_path / "ground-truth" / "clinic" / "AllTraffic").rglob("*.jsonl"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_waiting_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path) as (process, address):
        assert httpx.get(f"{address}/healthz").status_code == 200
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in log
    assert "error" not in log.lower()


def test_without_wait_nothing_deployed_is_one_line_that_names_it(tmp_path: Path) -> None:
    done = run_cxr("serve", "--endpoint", "clinic", "--port", "0", home=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "Endpoint clinic does not exist" in line
    assert "--wait" in line
