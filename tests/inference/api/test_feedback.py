"""POST /v1/feedback: who judged which film, kept before it is answered; nothing that names a patient."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import FEEDBACK, PNG, PREDICTIONS, ListAudit

from chest_xray.errors import AuditError
from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.api.feedback import looks_identifying
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.records.audit import FileAudit
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog


@pytest.fixture
def log(tmp_path: Path) -> GroundTruthLog:
    return GroundTruthLog(tmp_path, "chest-xray", FINDINGS)


@pytest.fixture
def client(tiny_predictor: OnnxPredictor, log: GroundTruthLog) -> Client:
    return Client(create_app(tiny_predictor, ground_truth=log))


@pytest.fixture
def sound(tiny_predictor: OnnxPredictor) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "model_digest": tiny_predictor.identity.digest,
        "findings": {"Effusion": True, "Mass": False},
        "note": "small, left",
    }


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    detail: str = answer.json()["detail"]
    assert "\n" not in detail
    return detail


def test_a_judgement_of_a_scored_film_is_on_disk_once_it_is_answered(
    tiny_predictor: OnnxPredictor, log: GroundTruthLog, tmp_path: Path
) -> None:
    client = Client(create_app(tiny_predictor, audit=FileAudit.open(tmp_path), ground_truth=log))
    scored = client.post(PREDICTIONS, content=png(film()), headers=PNG).json()
    body = {"event_id": scored["event_id"], "model_digest": scored["model"]["digest"]}
    answer = client.post(FEEDBACK, json=body | {"findings": {"Effusion": True, "Mass": False}, "note": "small"})
    assert answer.status_code == 201
    assert answer.json() == {"request_id": answer.headers["x-request-id"], "event_id": scored["event_id"]}
    expected = GroundTruth(scored["event_id"], {"Effusion": True, "Mass": False}, "small")
    assert log.read().truths == {scored["event_id"]: expected}
    (path,) = log.folder.rglob("*.jsonl")
    now = datetime.now(UTC)
    assert path.parts[-5:-2] == (f"{now:%Y}", f"{now:%m}", f"{now:%d}")
    lines = [json.loads(line) for line in next((tmp_path / "audit").glob("*.jsonl")).read_text().splitlines()]
    assert [(line["event"], line["event_id"]) for line in lines] == [
        ("prediction", scored["event_id"]),
        ("feedback", scored["event_id"]),
    ]
    assert lines[1]["caller"] == "local"
    assert lines[1]["request_id"] == answer.headers["x-request-id"]


def test_every_image_of_several_has_an_event_of_its_own(client: Client) -> None:
    files = [("a", png(film(1))), ("b", png(film(2)))]
    answer = client.post(PREDICTIONS, files=files).json()
    events = [result["prediction"]["event_id"] for result in answer["results"]]
    assert len(set(events)) == 2


def test_a_model_card_says_whether_feedback_is_kept(client: Client, tiny_predictor: OnnxPredictor) -> None:
    assert client.get("/v1/model").json()["feedback"] is True
    assert Client(create_app(tiny_predictor)).get("/v1/model").json()["feedback"] is False


def test_every_finding_can_be_judged_and_a_later_judgement_replaces_the_earlier(
    client: Client, log: GroundTruthLog, sound: dict[str, Any]
) -> None:
    everything = {finding: index % 2 == 0 for index, finding in enumerate(FINDINGS)}
    assert client.post(FEEDBACK, json=sound).status_code == 201
    assert client.post(FEEDBACK, json=sound | {"findings": everything, "note": ""}).status_code == 201
    assert log.read().truths == {sound["event_id"]: GroundTruth(sound["event_id"], everything)}


@pytest.mark.parametrize("changes", [{"note": ""}, {"findings": {}}, {"note": "x" * 500}, {"note": "é\n🫁" * 100}])
def test_a_finding_or_a_note_is_enough(
    client: Client, log: GroundTruthLog, sound: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert client.post(FEEDBACK, json=sound | changes).status_code == 201
    (kept,) = log.read().truths.values()
    assert (kept.findings, kept.note) == ((sound | changes)["findings"], (sound | changes)["note"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patient": "DOE"}, "It has an unknown field. Known: event_id, model_digest, findings, note."),
        ({"event_id": "DOE"}, "event_id is something else; expected the event_id of an answer, a UUID."),
        ({"event_id": None}, "event_id is something else"),
        ({"model_digest": "DOE"}, "model_digest is something else; expected the digest of the model"),
        ({"findings": {"DOE": True}}, "findings is something else; expected an object with true"),
        ({"findings": {"Mass": "DOE"}}, "findings is something else"),
        ({"findings": {"Mass": 1}}, "findings is something else"),
        ({"findings": ["DOE"]}, "findings is something else"),
        ({"findings": {"Mass": None}}, "findings is something else"),
        ({"note": "x" * 501}, "note is something else; expected text of at most 500 characters."),
        ({"note": 7}, "note is something else"),
        ({"note": "", "findings": {}}, "It has neither a finding nor a note. Send at least one."),
    ],
)
def test_a_body_that_cannot_be_used_is_422_and_is_not_repeated(
    client: Client, log: GroundTruthLog, sound: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    detail = refused(client.post(FEEDBACK, json=sound | changes), 422, "feedback_invalid")
    assert words in detail
    assert "DOE" not in detail
    assert not log.folder.exists()


@pytest.mark.parametrize("field", ["event_id", "model_digest", "findings"])
def test_a_field_that_is_missing_is_named(client: Client, sound: dict[str, Any], field: str) -> None:
    del sound[field]
    assert f"{field} is missing" in refused(client.post(FEEDBACK, json=sound), 422, "feedback_invalid")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "It is no JSON."),
        (b"DOE", "It is no JSON."),
        (b"[]", "It is no JSON object."),
        (b"\xff", "It is no JSON."),
    ],
)
def test_a_body_that_is_no_object_is_422(client: Client, body: bytes, words: str) -> None:
    answer = client.post(FEEDBACK, content=body, headers={"content-type": "application/json"})
    assert words in refused(answer, 422, "feedback_invalid")


def test_another_type_and_more_than_64_kib_are_refused(client: Client, sound: dict[str, Any]) -> None:
    text = json.dumps(sound).encode()
    refused(
        client.post(FEEDBACK, content=text, headers={"content-type": "text/plain"}), 415, "content_type_unsupported"
    )
    padded = text + b" " * (64 * 1024 - len(text))
    kind = {"content-type": "application/json"}
    assert client.post(FEEDBACK, content=padded, headers=kind).status_code == 201
    refused(client.post(FEEDBACK, content=padded + b" ", headers=kind), 413, "body_too_large")


def test_a_judgement_of_another_models_scores_is_a_conflict(
    client: Client, log: GroundTruthLog, sound: dict[str, Any]
) -> None:
    detail = refused(client.post(FEEDBACK, json=sound | {"model_digest": "0" * 64}), 409, "model_changed")
    assert "Score it again, then judge." in detail
    assert not log.folder.exists()


@pytest.mark.parametrize(
    "note",
    [
        "patient 12345",
        "MRN0012345X",
        "٤٤٤٤٤",
        "born 24.12.1933",
        "2021-03-17",
        "3/17/21",
        "17 - 3 - 2021",
        "24 Dec 1933",
        "24. December 1933",
        "dec 24, 1933",
        "write to jane@example.org",
    ],
)
def test_a_note_that_looks_identifying_is_refused(
    client: Client, log: GroundTruthLog, sound: dict[str, Any], note: str
) -> None:
    detail = refused(client.post(FEEDBACK, json=sound | {"note": note}), 422, "note_identifying")
    assert note not in detail
    assert not log.folder.exists()


@pytest.mark.parametrize(
    "note",
    ["", "2 cm nodule, 3 o'clock", "ratio 0.55, 1234 px", "L5/S1", "T1-T2", "1.5 x 2.5 cm", "may be old", "grade 2/3"],
)
def test_a_note_of_what_is_seen_passes(note: str) -> None:
    assert not looks_identifying(note)


def test_without_a_home_no_feedback_is_kept(tiny_predictor: OnnxPredictor, sound: dict[str, Any]) -> None:
    answer = Client(create_app(tiny_predictor)).post(FEEDBACK, json=sound)
    refused(answer, 503, "feedback_off")
    assert int(answer.headers["retry-after"]) > 0


def test_a_judgement_that_cannot_be_written_is_503(
    client: Client, log: GroundTruthLog, sound: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    log.folder.parent.mkdir(parents=True)
    log.folder.write_text("")
    answer = client.post(FEEDBACK, json=sound)
    detail = refused(answer, 503, "feedback_unwritable")
    assert str(log.folder) not in detail
    assert int(answer.headers["retry-after"]) > 0
    assert f"{answer.headers['x-request-id']}: {log.folder}" in caplog.text


def test_a_judgement_that_the_audit_log_cannot_have_is_not_kept(
    tiny_predictor: OnnxPredictor, log: GroundTruthLog, sound: dict[str, Any]
) -> None:
    audit = ListAudit(failure=AuditError("full"))
    answer = Client(create_app(tiny_predictor, audit=audit, ground_truth=log)).post(FEEDBACK, json=sound)
    refused(answer, 503, "audit_unwritable")
    assert not log.folder.exists()


def test_the_note_is_in_the_ground_truth_and_nowhere_else(
    tiny_predictor: OnnxPredictor, log: GroundTruthLog, sound: dict[str, Any], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("DEBUG")
    client = Client(create_app(tiny_predictor, audit=FileAudit.open(tmp_path), ground_truth=log))
    answer = client.post(FEEDBACK, json=sound | {"note": "PLANTED"})
    audit = next((tmp_path / "audit").glob("*.jsonl")).read_text()
    said = answer.text + str(answer.headers) + client.get("/metrics").text + caplog.text + audit
    assert "PLANTED" not in said
    (truth,) = log.read().truths.values()
    assert truth.note == "PLANTED"
