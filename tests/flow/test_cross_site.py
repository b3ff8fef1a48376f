"""Pages of other sites cannot make a browser send anything here but a GET, whose answer they cannot read."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import PNG, PREDICTIONS, ListAudit

from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.predictor import OnnxPredictor


def post(predictor: OnnxPredictor, headers: dict[str, str], base: str = "http://localhost:8000") -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_app(predictor, hosts=None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
            return await client.post(PREDICTIONS, content=png(film()), headers=PNG | headers)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"},
        {"sec-fetch-site": "none"},
        {"origin": "http://LOCALHOST:8000"},
        {"origin": "https://localhost:8000"},
    ],
)
def test_programs_and_the_servers_own_page_pass(tiny_predictor: OnnxPredictor, headers: dict[str, str]) -> None:
    assert post(tiny_predictor, headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://localhost:8000.evil.example"},
        {"origin": "http://evil.example#localhost:8000"},
        {"origin": "chrome-extension://localhost:8000"},
        {"origin": "localhost:8000"},
    ],
)
def test_a_page_of_another_site_is_refused(tiny_predictor: OnnxPredictor, headers: dict[str, str]) -> None:
    answer = post(tiny_predictor, headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    ("base", "origin", "status"),
    [
        ("https://cxr.clinic.example", "https://cxr.clinic.example", 200),
        ("https://cxr.clinic.example", "https://cxr.clinic.example:443", 200),
        ("https://cxr.clinic.example:8443", "https://cxr.clinic.example:8443", 200),
        ("https://cxr.clinic.example:8443", "https://cxr.clinic.example", 403),
        ("https://cxr.clinic.example", "http://cxr.clinic.example", 403),
        ("https://cxr.clinic.example", "http://cxr.clinic.example:443", 403),
        ("http://cxr.clinic.example", "https://cxr.clinic.example", 200),  # TLS ends in a proxy
        ("http://cxr.clinic.example", "http://cxr.clinic.example:80", 200),
        ("http://[::1]:8000", "http://[::1]:8000", 200),
    ],
)
def test_an_origin_is_the_hosts_own_by_name_port_and_tls(
    tiny_predictor: OnnxPredictor, base: str, origin: str, status: int
) -> None:
    assert post(tiny_predictor, {"origin": origin}, base).status_code == status


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH"])
def test_every_method_that_could_change_something_is_refused(tiny_predictor: OnnxPredictor, method: str) -> None:
    client = Client(create_app(tiny_predictor))
    for path in (PREDICTIONS, "/", "/nothing"):
        assert client.request(method, path, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_link_from_elsewhere_may_be_followed(tiny_predictor: OnnxPredictor) -> None:
    client = Client(create_app(tiny_predictor))
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/healthz", headers=headers).status_code == 200
    assert client.request("HEAD", "/page/none.js", headers=headers).status_code == 404


def test_nothing_of_a_refused_request_is_read_or_recorded(tiny_predictor: OnnxPredictor) -> None:
    audit = ListAudit()
    client = Client(create_app(tiny_predictor, audit=audit))
    refused: dict[str, Any] = {"content": png(film()), "headers": PNG | {"sec-fetch-site": "cross-site"}}
    assert client.post(PREDICTIONS, **refused).status_code == 403
    assert audit.entries == []


def test_sagemaker_sends_neither_header_and_passes(tiny_predictor: OnnxPredictor) -> None:
    app, _ = compose(tiny_predictor, ListAudit())
    assert Client(app).post("/invocations", content=png(film()), headers=PNG).status_code == 200
