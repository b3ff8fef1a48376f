"""The audit log: what a line holds, who can read it, and that nothing is answered which it does not hold."""

import hashlib
import hmac
import io
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.processes import run_python, start_python

from chest_xray.errors import AuditError
from chest_xray.prediction import ModelIdentity
from chest_xray.records.audit import AuditEntry, FeedbackEntry, FileAudit, StreamAudit

ENTRY = AuditEntry(
    time=datetime(2026, 11, 23, 23, 59, 59, 987654, tzinfo=UTC),
    request_id="8f7d1c9e-3a4b-4c5d-8e6f-0a1b2c3d4e5f",
    caller="key:ward-3",
    image="0" * 64,
    media_type="image/png",
    outcome="scored",
    code=None,
    model=ModelIdentity(name="chest-xray", version=3, digest="d" * 64),
    in_distribution=True,
    flagged=("Effusion", "Mass"),
    no_operating_point=("Hernia",),
    event_id="0b7e3f52-6c1d-4f8a-9a51-2f4f9d0c7a11",
)

APPEND = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.records.test_audit import ENTRY
from chest_xray.records.audit import FileAudit

audit = FileAudit.open(Path(sys.argv[1]))
for number in range(200):
    audit.record(replace(ENTRY, caller=f"key:{sys.argv[2]}-{number}-" + "x" * 5000))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_line_says_who_asked_for_what_when_and_which_model_answered(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    audit.record(ENTRY)
    audit.record(replace(ENTRY, outcome="refused", code="image_unreadable", in_distribution=None, flagged=()))
    scored, refused = (tmp_path / "audit" / "audit-2026-11-23.jsonl").read_text().splitlines()
    assert json.loads(scored) == {
        "event": "prediction",
        "time": "2026-11-23T23:59:59.987+00:00",
        "request_id": "8f7d1c9e-3a4b-4c5d-8e6f-0a1b2c3d4e5f",
        "event_id": "0b7e3f52-6c1d-4f8a-9a51-2f4f9d0c7a11",
        "caller": "key:ward-3",
        "image": "0" * 64,
        "image_key": audit.key_id,
        "media_type": "image/png",
        "outcome": "scored",
        "code": None,
        "model": {"name": "chest-xray", "version": 3, "digest": "d" * 64},
        "in_distribution": True,
        "flagged": ["Effusion", "Mass"],
        "no_operating_point": ["Hernia"],
        "withheld": None,
    }
    assert json.loads(refused)["code"] == "image_unreadable"


def test_each_utc_day_has_its_file_and_no_file_is_readable_by_others(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    audit.record(ENTRY)
    audit.record(replace(ENTRY, time=datetime(2026, 11, 24, tzinfo=UTC)))
    names = sorted(path.name for path in (tmp_path / "audit").iterdir())
    assert names == ["audit-2026-11-23.jsonl", "audit-2026-11-24.jsonl"]
    assert {mode(tmp_path / "audit" / name) for name in names} == {0o600}
    assert (mode(tmp_path / "audit"), mode(tmp_path / "audit.key")) == (0o700, 0o600)


def test_an_image_is_named_by_its_hmac_under_the_installations_key(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    key = bytes.fromhex((tmp_path / "audit.key").read_text())
    assert audit.fingerprint(b"film") == hmac.new(key, b"film", hashlib.sha256).hexdigest()
    assert FileAudit.open(tmp_path).fingerprint(b"film") == audit.fingerprint(b"film")
    assert FileAudit.open(tmp_path / "other").fingerprint(b"film") != audit.fingerprint(b"film")


def test_many_who_start_at_once_share_one_key(tmp_path: Path) -> None:
    start = threading.Barrier(16)

    def opened(_: int) -> str:
        start.wait()
        return FileAudit.open(tmp_path).key_id

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(opened, range(16)))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit", "audit.key"]


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31])
def test_a_damaged_key_is_an_error_and_is_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "audit.key").write_text(content)
    with pytest.raises(AuditError, match=r"audit\.key holds \d+ bytes; expected 64 hexadecimal digits"):
        FileAudit.open(tmp_path)
    assert (tmp_path / "audit.key").read_text() == content


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    processes = [start_python(APPEND, tmp_path, name) for name in "abc"]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3
    lines = (tmp_path / "audit" / "audit-2026-11-23.jsonl").read_text().splitlines()
    found = {json.loads(line)["caller"].rpartition("-")[0] for line in lines}
    assert found == {f"key:{name}-{number}" for name in "abc" for number in range(200)}


def test_a_log_that_was_rotated_away_is_begun_anew(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    path = tmp_path / "audit" / "audit-2026-11-23.jsonl"
    audit.record(ENTRY)
    path.rename(tmp_path / "rotated")
    audit.record(ENTRY)
    assert len(path.read_text().splitlines()) == len((tmp_path / "rotated").read_text().splitlines()) == 1


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = FileAudit.open(tmp_path)
    path = tmp_path / "audit" / "audit-2026-11-23.jsonl"
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:40]))
        with pytest.raises(AuditError, match=r"cannot be written \(No space left on device\)\. Free some space"):
            audit.record(ENTRY)
    assert path.read_bytes() == b""
    audit.record(ENTRY)
    (whole,) = path.read_text().splitlines()
    assert json.loads(whole)["caller"] == "key:ward-3"


def test_what_a_power_cut_left_of_a_line_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    path = tmp_path / "audit" / "audit-2026-11-23.jsonl"
    path.write_text('{"event":"predic')
    audit.record(ENTRY)
    torn, whole = path.read_text().splitlines()
    assert torn == '{"event":"predic'
    assert json.loads(whole)["caller"] == "key:ward-3"


def test_a_judgement_has_a_line_that_does_not_say_what_it_was(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    audit.record(FeedbackEntry(ENTRY.time, "a request", "user:jane", "an event", ENTRY.model))
    assert json.loads((tmp_path / "audit" / "audit-2026-11-23.jsonl").read_text()) == {
        "event": "feedback",
        "time": "2026-11-23T23:59:59.987+00:00",
        "request_id": "a request",
        "event_id": "an event",
        "caller": "user:jane",
        "model": {"name": "chest-xray", "version": 3, "digest": "d" * 64},
    }


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.records.test_audit import ENTRY
from chest_xray.errors import AuditError
from chest_xray.records.audit import FileAudit

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
audit = FileAudit.open(Path(sys.argv[1]))
audit.record(ENTRY)
for attempt in range(3):
    try:
        audit.record(ENTRY)
        audit.record(ENTRY)
        print("kept")
    except AuditError as error:
        print(error)
"""


def test_a_limit_on_the_files_size_refuses_every_line_that_does_not_fit(tmp_path: Path) -> None:
    done = run_python(FULL, tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert "cannot be written (No space left on device)" in lines[0]
    assert all("cannot be written (" in line for line in lines)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("")
    with pytest.raises(AuditError, match=r"audit cannot be written \(File exists\)"):
        FileAudit.open(tmp_path)


def test_a_folder_that_went_away_refuses(tmp_path: Path) -> None:
    audit = FileAudit.open(tmp_path)
    (tmp_path / "audit").rmdir()
    with pytest.raises(AuditError, match=r"audit-2026-11-23\.jsonl cannot be written \(No such file"):
        audit.record(ENTRY)


def test_a_stream_gets_lines_and_a_key_of_its_own(tmp_path: Path) -> None:
    stream = io.BytesIO()
    audit, other = StreamAudit(stream), StreamAudit(stream)
    audit.record(ENTRY)
    audit.record(ENTRY)
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["image_key"] for line in lines] == [audit.key_id] * 2
    assert audit.key_id != other.key_id
    assert audit.fingerprint(b"film") != other.fingerprint(b"film")


def test_a_closed_stream_refuses() -> None:
    stream = io.BytesIO()
    audit = StreamAudit(stream)
    stream.close()
    with pytest.raises(AuditError, match="The audit stream cannot be written"):
        audit.record(ENTRY)
