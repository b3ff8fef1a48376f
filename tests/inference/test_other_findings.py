"""A model of findings that are not NIH's: every door tells and takes its names alone, in their order."""

import base64
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, known_outputs, png, profile, write_bundle

from chest_xray.errors import BundleError, GroundTruthError, SettingsError
from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.container.invocations import ATTRIBUTES
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.serve import ServeOptions, serve
from chest_xray.records.audit import StreamAudit, read_scored
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog
from chest_xray.settings import Settings

NAMES = ("Lung Opacity", "Support-Devices", "Fracture")
PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> OnnxPredictor:
    """The tiny bundle of `tests.support.bundles` with its first three findings under other names."""
    return OnnxPredictor.load(write_bundle(tmp_path_factory.mktemp("other") / "bundle", names=NAMES).root)


def expected() -> list[float]:
    logits = known_outputs(film()).logits[:3]
    points = [profile(k).calibration for k in range(3)]
    return [1 / (1 + np.exp(-(one.slope * z + one.intercept))) for one, z in zip(points, logits, strict=True)]


def test_the_predictor_scores_them(predictor: OnnxPredictor) -> None:
    found = predictor.predict(png(film()), explain=["Fracture,Lung Opacity"])
    assert [score.finding for score in found.findings] == list(NAMES)
    assert [score.probability for score in found.findings] == pytest.approx(expected(), abs=1e-6)
    assert [score.operating_point for score in found.findings] == [0.1 + 0.05 * k for k in range(3)]
    assert list(found.heat_maps) == ["Lung Opacity", "Fracture"]
    np.testing.assert_allclose(found.heat_maps["Fracture"], known_outputs(film()).cam[2], atol=1e-5)
    with pytest.raises(SettingsError, match=r"'Mass', which is no finding\. Known: Lung Opacity, Support-Devices, "):
        predictor.predict(png(film()), explain=["Mass"])


def test_the_api_tells_and_takes_them(predictor: OnnxPredictor) -> None:
    client = Client(create_app(predictor))
    answer = client.post("/v1/predictions?explain=Lung%20Opacity", content=png(film()), headers=PNG).json()
    assert [row["finding"] for row in answer["findings"]] == list(NAMES)
    assert [row["probability"] for row in answer["findings"]] == pytest.approx(expected(), abs=1e-6)
    assert list(answer["heat_maps"]) == ["Lung Opacity"]
    assert list(client.get("/v1/model").json()["findings"]) == list(NAMES)
    refused = client.post("/v1/predictions?explain=Mass", content=png(film()), headers=PNG).json()
    assert refused["detail"].endswith("Known: Lung Opacity, Support-Devices, Fracture, top, all, none.")
    paths = client.get("/openapi.json").json()["paths"]
    (explain,) = (row for row in paths["/v1/predictions"]["post"]["parameters"] if row["name"] == "explain")
    assert explain["schema"]["anyOf"][0]["items"]["enum"] == [*NAMES, "top", "all"]
    body = paths["/v1/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["findings"]["propertyNames"] == {"enum": list(NAMES)}


def test_two_applications_in_one_process_do_not_mix(predictor: OnnxPredictor, tiny_predictor: OnnxPredictor) -> None:
    clients = [Client(create_app(one)) for one in (predictor, tiny_predictor)]
    statuses = [
        client.post(f"/v1/predictions?explain={name}", content=png(film()), headers=PNG).status_code
        for client in clients
        for name in ("Fracture", "Mass")
    ]
    assert statuses == [200, 422, 422, 200]


def test_feedback_is_on_them(predictor: OnnxPredictor, tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "other", NAMES)
    client = Client(create_app(predictor, ground_truth=log))
    event = client.post("/v1/predictions", content=png(film()), headers=PNG).json()["event_id"]
    body = {"event_id": event, "model_digest": predictor.identity.digest, "findings": {"Fracture": True}}
    assert client.post("/v1/feedback", json=body).status_code == 201
    assert log.read().truths == {event: GroundTruth(event, {"Fracture": True})}
    refused = client.post("/v1/feedback", json=body | {"findings": {"Mass": True}})
    assert refused.status_code == 422
    assert refused.json()["detail"].endswith("for findings among Lung Opacity, Support-Devices, Fracture.")


def test_the_container_tells_and_takes_them(predictor: OnnxPredictor, tmp_path: Path) -> None:
    stream = io.BytesIO()
    app, _ = compose(predictor, StreamAudit(stream))
    client = Client(app)
    image = base64.b64encode(png(film())).decode()
    body = {"image": image, "explain": "Support-Devices"}
    answer = client.post("/invocations", content=json.dumps(body).encode(), headers=JSON).json()
    assert [row["finding"] for row in answer["findings"]] == list(NAMES)
    assert list(answer["heat_maps"]) == ["Support-Devices"]
    header = {ATTRIBUTES: "explain=Fracture"}
    assert list(client.post("/invocations", content=png(film()), headers=PNG | header).json()["heat_maps"]) == [
        "Fracture"
    ]
    for headers, content in (
        (PNG | {ATTRIBUTES: "explain=Mass"}, png(film())),
        (JSON, json.dumps(body | {"explain": "Mass"}).encode()),
    ):
        assert client.post("/invocations", content=content, headers=headers).json()["code"] == "explain_unknown"
    (tmp_path / "audit-2026-11-23.jsonl").write_bytes(stream.getvalue())
    scored = read_scored(tmp_path, [answer["event_id"]])[answer["event_id"]]
    assert [scored.flag(name) for name in NAMES] == [row["flag"] for row in answer["findings"]]


def test_a_graph_of_another_number_of_findings_is_refused(tmp_path: Path) -> None:
    graph = write_bundle(tmp_path / "fourteen").onnx_path.read_bytes()
    root = write_bundle(tmp_path / "three", names=NAMES, onnx_bytes=graph).root
    with pytest.raises(BundleError, match=r"output logits is tensor\(float\) \['B', 14\]; expected .* \(B, 3\)"):
        OnnxPredictor.load(root)


def test_an_endpoint_with_feedback_on_other_findings_is_not_served(predictor: OnnxPredictor, tmp_path: Path) -> None:
    event = "0b7e3f52-6c1d-4f8a-9a51-2f4f9d0c7a11"
    GroundTruthLog(tmp_path, "clinic", FINDINGS).write(GroundTruth(event, {"Mass": True}), datetime.now(UTC))
    with pytest.raises(GroundTruthError, match=r"judgements on Atelectasis, .*; this model tells Lung Opacity, "):
        serve(predictor, Settings(home=tmp_path), ServeOptions(port=0), endpoint="clinic")
