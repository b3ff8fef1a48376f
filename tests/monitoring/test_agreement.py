"""`cxr monitor feedback`: readers' judgements beside the flags that the audit log has."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.processes import run_cxr
from tests.support.stubs import PNG, PREDICTIONS

from chest_xray.errors import GroundTruthError
from chest_xray.findings import FINDINGS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.monitoring.agreement import FindingAgreement, Share, measure_agreement, wilson
from chest_xray.prediction import ModelIdentity
from chest_xray.records.audit import AuditEntry, FileAudit
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog

TIME = datetime(2026, 11, 23, 9, tzinfo=UTC)
MODEL = ModelIdentity("chest-xray", 3, "d" * 64)


def score(audit: FileAudit, *flagged: str, model: ModelIdentity = MODEL, time: datetime = TIME) -> str:
    """An audit line of a film that was scored; returns its event."""
    event = str(uuid4())
    audit.record(
        AuditEntry(
            time, str(uuid4()), "local", "0" * 64, "image/png", "scored", None, model, True, flagged, ("Hernia",), event
        )
    )
    return event


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Six judged films: of Effusion two hits, one missed, one false alarm, one agreed absence; one of no known film."""
    audit, log = FileAudit.open(tmp_path), GroundTruthLog(tmp_path, "clinic", FINDINGS)
    hit, other = score(audit, "Effusion", "Mass"), score(audit, "Effusion")
    missed, false_alarm = score(audit), score(audit, "Effusion", model=ModelIdentity("chest-xray", 4, "e" * 64))
    absent = score(audit, "Mass")
    score(audit, "Effusion")  # nobody judged this one
    for event, truth, note in (
        (hit, {"Effusion": True, "Mass": True}, "clear"),
        (other, {"Effusion": True}, ""),
        (missed, {"Effusion": True, "Hernia": True}, ""),
        (false_alarm, {"Effusion": False}, ""),
        (absent, {"Effusion": False}, "rotated"),
        (str(uuid4()), {"Effusion": True}, ""),
    ):
        log.write(GroundTruth(event, truth, note), TIME)
    return tmp_path


def test_judgements_are_counted_against_the_flags(home: Path) -> None:
    found = measure_agreement(home, home / "audit", "clinic")
    effusion = found.findings["Effusion"]
    assert (effusion.judged, effusion.agreed, effusion.disagreed) == (5, 3, 2)
    assert (effusion.missed, effusion.false_alarms, effusion.not_compared) == (1, 1, 0)
    assert effusion.sensitivity == Share(2, 3, 2 / 3, wilson(2, 3))
    assert effusion.ppv == Share(2, 3, 2 / 3, wilson(2, 3))
    assert found.findings["Mass"].agreed == 1
    assert found.findings["Nodule"] == FindingAgreement.counted(Counter())
    assert (found.events, len(found.unmatched), found.notes) == (6, 1, 2)
    assert found.models == {"chest-xray version 3": 4, "chest-xray version 4": 1}


def test_a_finding_that_the_model_cannot_flag_counts_as_neither(home: Path) -> None:
    hernia = measure_agreement(home, home / "audit", "clinic").findings["Hernia"]
    assert (hernia.judged, hernia.missed, hernia.not_compared) == (0, 0, 1)
    assert hernia.sensitivity == Share(0, 0, None, None)


def test_a_film_whose_scores_were_withheld_counts_as_neither(tmp_path: Path) -> None:
    audit, log = FileAudit.open(tmp_path), GroundTruthLog(tmp_path, "clinic", FINDINGS)
    event = str(uuid4())
    line = AuditEntry(TIME, str(uuid4()), "local", "0" * 64, "image/png", "scored", None, MODEL, False)
    audit.record(replace(line, event_id=event, withheld="out_of_distribution"))
    log.write(GroundTruth(event, {"Effusion": True}), TIME)
    effusion = measure_agreement(tmp_path, tmp_path / "audit", "clinic").findings["Effusion"]
    assert (effusion.judged, effusion.missed, effusion.not_compared) == (0, 0, 1)


def test_a_later_judgement_replaces_the_earlier(home: Path) -> None:
    log = GroundTruthLog(home, "clinic", FINDINGS)
    event = next(event for event, truth in log.read().truths.items() if truth.findings == {"Effusion": False})
    log.write(GroundTruth(event, {"Effusion": True}), TIME.replace(day=24))
    found = measure_agreement(home, home / "audit", "clinic")
    assert (found.events, found.findings["Effusion"].judged) == (6, 5)
    later = measure_agreement(home, home / "audit", "clinic", date(2026, 11, 24))
    assert (later.events, later.findings["Effusion"].judged) == (1, 1)


def test_lines_that_cannot_be_read_are_reported_and_others_count(home: Path) -> None:
    (path,) = (home / "ground-truth").rglob("*.jsonl")
    with path.open("a") as file:
        file.write('{"torn\n')
    with (home / "audit" / "audit-2026-11-23.jsonl").open("a") as file:
        file.write(f'{{"event_id":"{uuid4()}","torn\n')
    found = measure_agreement(home, home / "audit", "clinic")
    assert [(fault.path, fault.line) for fault in found.faults] == [(path, 7)]
    assert found.findings["Effusion"].judged == 5


def test_without_an_audit_log_every_event_is_unmatched(home: Path) -> None:
    found = measure_agreement(home, home / "none", "clinic")
    assert len(found.unmatched) == found.events == 6
    assert {row.judged for row in found.findings.values()} == {0}


def test_an_endpoint_without_feedback_is_one_line(home: Path) -> None:
    with pytest.raises(GroundTruthError, match="no feedback was given yet"):
        measure_agreement(home, home / "audit", "other")


@pytest.mark.parametrize(
    ("part", "of", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(part: int, of: int, low: float, high: float) -> None:
    assert wilson(part, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(of - part, of) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_what_the_service_writes_is_what_the_monitor_reads(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "clinic", FINDINGS)
    client = Client(create_app(tiny_predictor, audit=FileAudit.open(tmp_path), ground_truth=log))
    agreed: Counter[str] = Counter()
    for seed in range(3):
        answer = client.post(PREDICTIONS, content=png(film(seed)), headers=PNG).json()
        said = {row["finding"]: seed == 0 for row in answer["findings"]}
        agreed.update(row["finding"] for row in answer["findings"] if row["flag"] == (seed == 0))
        body = {"event_id": answer["event_id"], "model_digest": answer["model"]["digest"], "findings": said}
        assert client.post("/v1/feedback", json=body).status_code == 201
    found = measure_agreement(tmp_path, tmp_path / "audit", "clinic")
    assert {name: row.agreed for name, row in found.findings.items()} == {name: agreed[name] for name in FINDINGS}
    assert found.findings["Hernia"].not_compared == 3
    assert found.unmatched == ()


def test_the_command_prints_a_table_or_json(home: Path) -> None:
    table = run_cxr("monitor", "feedback", "--endpoint", "clinic", home=home)
    assert table.returncode == 0, table.stderr
    assert "feedback on 6 films, 2 of them with a note" in table.stdout
    assert "0.67 (0.21 to 0.94)" in table.stdout
    assert "Nodule" not in table.stdout
    done = run_cxr("monitor", "feedback", "--endpoint", "clinic", "--since", "2026-11-23", "--json", home=home)
    found = json.loads(done.stdout)
    assert list(found["findings"]) == list(FINDINGS)
    assert found["findings"]["Effusion"]["sensitivity"] == {
        "part": 2,
        "of": 3,
        "value": 2 / 3,
        "ci95": list(wilson(2, 3)),
    }
    assert (found["since"], found["endpoint"], found["events"]) == ("2026-11-23", "clinic", 6)
    none = run_cxr("monitor", "feedback", "--endpoint", "other", home=home)
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
