"""Scores that the model itself would not stand for: no door flags them, and it is recorded who has them shown."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import PNG, PREDICTIONS, ListAudit, StubPredictor

from chest_xray.errors import AuditError
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.prediction import GuardVerdict, QualityCheck, QualityWarning
from chest_xray.records.audit import FileAudit

WHITE = png(np.full((64, 64), 255, np.uint8))
FAR = GuardVerdict(in_distribution=False, distance=31.5, threshold=20.0, false_refusal_rate=0.01)


def test_a_film_that_is_accepted_has_its_flags(tiny_predictor: OnnxPredictor) -> None:
    answer = Client(create_app(tiny_predictor)).post(PREDICTIONS, content=png(film()), headers=PNG).json()
    assert answer["withheld"] is None
    for score in answer["findings"]:
        point = score["operating_point"]
        assert score["flag"] == (None if point is None else score["probability"] >= point)
    assert any(score["flag"] for score in answer["findings"])


@pytest.mark.parametrize(
    ("guard", "checks", "code"),
    [
        (FAR, (), "out_of_distribution"),
        (None, ("saturated",), "quality_saturated"),
        (FAR, ("window", "blank"), "quality_window"),
    ],
)
def test_scores_are_kept_without_flags_where_they_are_withheld(
    tiny_predictor: OnnxPredictor, guard: GuardVerdict | None, checks: tuple[QualityCheck, ...], code: str
) -> None:
    usual = tiny_predictor.predict(png(film()))
    changes = {"quality": tuple(QualityWarning(check, "So it is.") for check in checks)}
    stub = StubPredictor(tiny_predictor, **changes | ({} if guard is None else {"guard": guard}))
    audit = ListAudit()
    client = Client(create_app(stub, audit=audit))
    answer = client.post(PREDICTIONS, content=png(film()), headers=PNG).json()
    assert answer["withheld"] == code
    assert [score["probability"] for score in answer["findings"]] == [score.probability for score in usual.findings]
    assert {score["flag"] for score in answer["findings"]} == {None}
    assert client.post(PREDICTIONS + "?strict=true", content=png(film()), headers=PNG).json()["code"] == code
    scored, refused = audit.entries
    assert (scored.withheld, scored.flagged, scored.no_operating_point) == (code, (), ("Hernia",))
    assert (refused.outcome, refused.code) == ("refused", code)
    assert 'cxr_flags_total{finding="' not in client.get("/metrics").text


def test_the_top_finding_of_a_withheld_film_is_the_most_probable(tiny_predictor: OnnxPredictor) -> None:
    found = tiny_predictor.predict(WHITE, explain=("top",))
    assert found.withheld is not None
    assert list(found.heat_maps) == [max(found.findings, key=lambda score: score.probability).finding]


def test_it_is_recorded_who_has_withheld_scores_shown(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    client = Client(create_app(tiny_predictor, audit=FileAudit.open(tmp_path)))
    event = client.post(PREDICTIONS, content=WHITE, headers=PNG).json()["event_id"]
    answer = client.post(f"/v1/events/{event}/shown", content=b"")
    assert answer.status_code == 201
    assert answer.json() == {"request_id": answer.headers["x-request-id"], "event_id": event}
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    line = path.read_text().splitlines()[-1]
    assert '"event":"withheld_shown","time":"20' in line
    assert f'"event_id":"{event}","caller":"local"' in line


def test_what_cannot_be_recorded_is_not_answered(tiny_predictor: OnnxPredictor) -> None:
    client = Client(create_app(tiny_predictor, audit=ListAudit(failure=AuditError("full"))))
    answer = client.post(f"/v1/events/{uuid4()}/shown", content=b"")
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unwritable")
    assert answer.headers["retry-after"]


def test_no_event_is_422_and_another_site_403(tiny_predictor: OnnxPredictor) -> None:
    audit = ListAudit()
    client = Client(create_app(tiny_predictor, audit=audit))
    answer = client.post("/v1/events/all/shown", content=b"")
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
    foreign = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    answer = client.post(f"/v1/events/{uuid4()}/shown", content=b"", headers=foreign)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert audit.shown == []
