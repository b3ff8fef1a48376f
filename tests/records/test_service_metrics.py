"""What Prometheus reads."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.processes import run_python
from tests.support.stubs import PNG, PREDICTIONS, StubPredictor, multipart

from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.prediction import GuardVerdict
from chest_xray.records.metrics import BUCKETS, Metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, /, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture
def client(tiny_predictor: OnnxPredictor) -> Client:
    return Client(create_app(tiny_predictor))


def test_requests_images_flags_and_stages_are_counted(client: Client, tiny_predictor: OnnxPredictor) -> None:
    image = png(film())
    body, headers = multipart([image, b"nothing", png(film()[:50])])
    client.post(PREDICTIONS, content=image, headers=PNG)
    client.post(PREDICTIONS + "?strict=true", content=body, headers=headers)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = read(response.text)
    assert of(found, "cxr_requests_total", route=PREDICTIONS, method="POST", status="200") == 2
    assert of(found, "cxr_images_total", outcome="scored", code="") == 2
    assert of(found, "cxr_images_total", outcome="refused", code="image_unreadable") == 1
    assert of(found, "cxr_images_total", outcome="refused", code="quality_too_small") == 1
    assert of(found, "cxr_guard_total", verdict="in_distribution") == 2
    flagged = [score.finding for score in tiny_predictor.predict(image).findings if score.flag]
    assert {name: of(found, "cxr_flags_total", finding=name) for name in flagged} == dict.fromkeys(flagged, 2.0)
    for stage in ("queue", "decode", "preprocess", "network", "total"):
        assert of(found, "cxr_stage_seconds_count", stage=stage) == 2
        assert of(found, "cxr_stage_seconds_bucket", stage=stage, le="+Inf") == 2
    assert of(found, "cxr_request_seconds_count", route=PREDICTIONS) == 2
    digest = tiny_predictor.identity.digest
    assert of(found, "cxr_model_info", name="tiny", version="1", digest=digest) == 1
    assert of(found, "cxr_requests_in_progress") == 0
    assert of(found, "cxr_images_waiting") == 0
    assert of(found, "process_resident_memory_bytes") > 1e7


def test_guard_and_quality_are_counted_for_films_that_were_scored(tiny_predictor: OnnxPredictor) -> None:
    verdict = GuardVerdict(in_distribution=False, distance=3, threshold=2, false_refusal_rate=0.01)
    client = Client(create_app(StubPredictor(tiny_predictor, guard=verdict)))
    client.post(PREDICTIONS, content=png(film()[:50]), headers=PNG)
    found = read(client.get("/metrics").text)
    assert of(found, "cxr_guard_total", verdict="out_of_distribution") == 1
    assert of(found, "cxr_quality_warnings_total", check="too_small") == 1


def test_refusals_are_counted_by_reason_under_the_route_that_was_asked_for(tiny_predictor: OnnxPredictor) -> None:
    app = create_app(tiny_predictor)
    app.state.admission.drain()
    client = Client(app)
    client.post(PREDICTIONS, content=png(film()), headers=PNG)
    found = read(client.get("/metrics").text)
    assert of(found, "cxr_refusals_total", reason="draining") == 1
    assert of(found, "cxr_requests_total", route=PREDICTIONS, method="POST", status="503") == 1


def test_no_label_has_what_a_caller_wrote(client: Client) -> None:
    client.get("/patients/DOE")
    client.request("DOE", PREDICTIONS + "?name=DOE")
    client.post(PREDICTIONS + "?explain=DOE", content=b"DOE", headers={"content-type": "DOE", "x-request-id": "DOE"})
    text = client.get("/metrics").text
    assert "DOE" not in text
    found = read(text)
    assert of(found, "cxr_requests_total", route="(no route)", method="GET", status="404") == 1
    assert of(found, "cxr_requests_total", route=PREDICTIONS, method="other", status="405") == 1


def test_a_histogram_counts_an_observation_in_every_bucket_that_holds_it() -> None:
    metrics = Metrics(model="tiny", version=None, digest="d")
    for milliseconds in (0.5, 1.0, 3.0, 1e6):
        metrics.observe_stage("decode", milliseconds)
    found = read(metrics.exposition().decode())
    counts = [of(found, "cxr_stage_seconds_bucket", stage="decode", le=str(end)) for end in BUCKETS]
    assert counts == [2, 2, *[3] * (len(BUCKETS) - 2)]
    assert of(found, "cxr_stage_seconds_bucket", stage="decode", le="+Inf") == 4
    assert of(found, "cxr_stage_seconds_sum", stage="decode") == pytest.approx(1000.0045)
    assert of(found, "cxr_model_info", name="tiny", version="", digest="d") == 1


def test_the_first_answer_does_not_wait_for_prometheus() -> None:
    done = run_python(
        "import sys, chest_xray.inference.api.app, chest_xray.inference.serve\n"
        "print(sorted({'prometheus_client', 'pydicom', 'gdcm'} & sys.modules.keys()))"
    )
    assert done.stdout == "[]\n", done.stderr


def test_every_family_is_described(client: Client) -> None:
    text = client.get("/metrics").text
    described = set(re.findall(r"^# HELP (cxr_\w+) \S", text, re.MULTILINE))
    assert set(re.findall(r"^# TYPE (cxr_\w+)", text, re.MULTILINE)) == described
    assert {"cxr_requests_total", "cxr_images_total", "cxr_stage_seconds", "cxr_model_info"} <= described
