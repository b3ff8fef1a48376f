"""Ground-truth lines: what is written can be read, by its owner only, and what cannot be read is said."""

import json
import os
import stat
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.processes import run_python, start_python

from chest_xray.errors import GroundTruthError
from chest_xray.findings import FINDINGS
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog, format_line, parse_line

TIME = datetime(2026, 11, 23, 9, 59, 59, tzinfo=UTC)
EVENT = "0b7e3f52-6c1d-4f8a-9a51-2f4f9d0c7a11"
TRUTH = GroundTruth(EVENT, {"Effusion": True, "Mass": False}, 'small, "left"')
LINE = format_line(TRUTH, FINDINGS)
HOUR = Path("ground-truth/chest-xray/AllTraffic/2026/11/23/09/ground-truth.jsonl")

WRITE = """
import sys
from pathlib import Path
from tests.records.test_ground_truth import TIME
from chest_xray.findings import FINDINGS
from chest_xray.records.ground_truth import GroundTruth, GroundTruthLog
from uuid import uuid4

log = GroundTruthLog(Path(sys.argv[1]), "chest-xray", FINDINGS)
for _ in range(50):
    log.write(GroundTruth(str(uuid4()), {}, "x" * 5000), TIME)
"""

FULL = """
import resource, signal, sys
from pathlib import Path
from tests.records.test_ground_truth import TIME, TRUTH
from chest_xray.errors import GroundTruthError
from chest_xray.findings import FINDINGS
from chest_xray.records.ground_truth import GroundTruthLog

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
log = GroundTruthLog(Path(sys.argv[1]), "chest-xray", FINDINGS)
for _ in range(4):
    try:
        log.write(TRUTH, TIME)
        print("kept")
    except GroundTruthError as error:
        print(error)
"""


def test_a_line_is_in_the_format_of_model_monitor_under_its_hour(tmp_path: Path) -> None:
    GroundTruthLog(tmp_path, "chest-xray", FINDINGS).write(TRUTH, TIME)
    (line,) = (tmp_path / HOUR).read_bytes().splitlines()
    assert json.loads(line) == {
        "groundTruthData": {"data": ',,1,,0,,,,,,,,,,"small, ""left"""', "encoding": "CSV"},
        "eventMetadata": {"eventId": EVENT},
        "eventVersion": "0",
    }


@given(
    st.uuids(),
    st.dictionaries(st.sampled_from(FINDINGS), st.booleans()),
    st.text(max_size=200),
)
def test_what_is_written_can_be_read(event: object, findings: dict[str, bool], note: str) -> None:
    truth = GroundTruth(str(event), findings, note)
    line = format_line(truth, FINDINGS)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_line(line, FINDINGS) == truth


def test_a_later_line_of_an_event_replaces_the_earlier(tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    other = GroundTruth(str(uuid4()), {"Hernia": True})
    changed = GroundTruth(EVENT, {"Effusion": False})
    later = TIME.replace(day=24, hour=0)
    for truth, time in ((TRUTH, TIME), (other, TIME), (changed, later)):
        log.write(truth, time)
    assert log.read().truths == {EVENT: changed, other.event_id: other}
    assert log.read(date(2026, 11, 24)).truths == {EVENT: changed}
    assert log.read(date(2026, 11, 25)).truths == {}
    assert log.read(date(2026, 11, 23)).faults == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"groundTruthData": {"da', "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"captureData": {}, "eventMetadata": {}, "eventVersion": "0"}', "groundTruthData: Field required"),
        (LINE.replace(b'"0"', b'"1"'), "eventVersion: Input should be '0'"),
        (LINE.replace(b'"CSV"', b'"JSON"'), "groundTruthData.encoding: Input should be 'CSV'"),
        (
            LINE.replace(EVENT.encode(), b"7"),
            "eventMetadata.eventId: Input should be a valid UUID",
        ),
        (LINE.replace(b",,1", b",,2"), "a finding is neither 1 nor 0 nor empty"),
        (LINE.replace(b",,1", b",1"), "the data are not one row of 15 fields"),
        (LINE.replace(b",,1", b"\\n,,1"), "the data are not one row of 15 fields"),
        (LINE.replace(b',\\"small', b',\\"sm\\"all'), "expected after"),
    ],
)
def test_a_torn_or_foreign_line_is_reported_by_its_number_and_the_others_are_read(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    last = GroundTruth(str(uuid4()), {"Mass": True})
    log.write(TRUTH, TIME)
    with (tmp_path / HOUR).open("ab") as file:
        file.write(line.rstrip(b"\n") + b"\n")
    log.write(last, TIME)
    found = log.read()
    assert found.truths == {EVENT: TRUTH, last.event_id: last}
    (fault,) = found.faults
    assert (fault.path, fault.line) == (tmp_path / HOUR, 2)
    assert reason in fault.reason
    assert "\n" not in fault.reason


def test_what_a_power_cut_left_does_not_spoil_the_next_line(tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    log.write(TRUTH, TIME)
    with (tmp_path / HOUR).open("r+b") as file:
        file.truncate(40)
    log.write(TRUTH, TIME)
    found = log.read()
    assert found.truths == {EVENT: TRUTH}
    assert [fault.line for fault in found.faults] == [1]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        GroundTruthLog(tmp_path, "chest-xray", FINDINGS).write(TRUTH, TIME)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / HOUR).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ground-truth").stat().st_mode) == 0o700


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    processes = [start_python(WRITE, tmp_path) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3
    found = GroundTruthLog(tmp_path, "chest-xray", FINDINGS).read()
    assert (len(found.truths), found.faults) == (150, [])


def test_a_full_disk_keeps_whole_lines_only(tmp_path: Path) -> None:
    said = run_python(FULL, tmp_path).stdout.splitlines()
    assert said[:1] == ["kept"]
    assert all("ground-truth.jsonl cannot be written (" in line for line in said[2:])
    found = GroundTruthLog(tmp_path, "chest-xray", FINDINGS).read()
    assert (found.truths, found.faults) == ({EVENT: TRUTH}, [])
    assert (tmp_path / HOUR).read_bytes().count(b"\n") == said.count("kept")


def test_a_line_is_on_the_disk_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    log.write(TRUTH, TIME)
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino) or fsync(descriptor))
    log.write(TRUTH, TIME)
    assert synced == [(tmp_path / HOUR).stat().st_ino, (tmp_path / HOUR).parent.stat().st_ino]


def test_nothing_is_kept_of_a_line_that_did_not_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    log.write(TRUTH, TIME)
    before = (tmp_path / HOUR).read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(GroundTruthError, match=r"cannot be written \(Input/output error\)"):
            log.write(TRUTH, TIME)
    assert (tmp_path / HOUR).read_bytes() == before


def test_no_folder_and_an_unusable_one_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match="does not exist: no feedback was given yet"):
        GroundTruthLog(tmp_path, "chest-xray", FINDINGS).read()
    (tmp_path / "ground-truth").write_text("")
    with pytest.raises(GroundTruthError, match="cannot be written"):
        GroundTruthLog(tmp_path, "chest-xray", FINDINGS).write(TRUTH, TIME)


THREE = ("Lung Opacity", "Device", "Fracture")
LIST = Path("ground-truth/chest-xray/findings.json")


def test_the_list_of_findings_stands_beside_the_lines(tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", THREE)
    log.check()
    assert not (tmp_path / "ground-truth").exists()
    truth = GroundTruth(EVENT, {"Fracture": True, "Lung Opacity": False}, "seen")
    log.write(truth, TIME)
    assert json.loads((tmp_path / LIST).read_text()) == list(THREE)
    assert stat.S_IMODE((tmp_path / LIST).stat().st_mode) == 0o600
    assert json.loads((tmp_path / HOUR).read_text())["groundTruthData"]["data"] == "0,,1,seen"
    kept = GroundTruthLog.kept(tmp_path, "chest-xray")
    assert (kept.findings, kept.read().truths) == (THREE, {EVENT: truth})


def test_an_endpoint_keeps_judgements_on_the_same_findings_only(tmp_path: Path) -> None:
    GroundTruthLog(tmp_path, "chest-xray", THREE).write(GroundTruth(EVENT, {"Device": True}), TIME)
    other = GroundTruthLog(tmp_path, "chest-xray", ("Device", "Lung Opacity", "Fracture"))
    before = (tmp_path / HOUR).read_bytes()
    for refused in (other.check, lambda: other.write(GroundTruth(EVENT, {}, "note"), TIME)):
        with pytest.raises(GroundTruthError, match=r"judgements on Lung Opacity, Device, .*; this model tells Dev"):
            refused()
    assert (tmp_path / HOUR).read_bytes() == before
    with pytest.raises(ValueError, match="a judgement on Mass; expected Device, Lung Opacity"):
        other.write(GroundTruth(EVENT, {"Mass": True}), TIME)


def test_lines_from_before_there_was_a_list_are_read_by_the_deployed_models(tmp_path: Path) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    log.write(TRUTH, TIME)
    (tmp_path / LIST).unlink()
    with (tmp_path / HOUR).open("r+b") as file:  # the first line was torn
        whole = file.read()
        file.seek(0)
        file.write(whole[:30] + b"\n" + whole)
    with pytest.raises(GroundTruthError, match=r"findings\.json is not there"):
        GroundTruthLog.kept(tmp_path, "chest-xray")
    assert GroundTruthLog.kept(tmp_path, "chest-xray", otherwise=lambda: FINDINGS).read().truths == {EVENT: TRUTH}
    with pytest.raises(GroundTruthError, match=r"has judgements on 14 findings; this model tells Lung Opacity, Device"):
        GroundTruthLog(tmp_path, "chest-xray", THREE).check()
    log.write(TRUTH, TIME)
    assert GroundTruthLog.kept(tmp_path, "chest-xray").findings == FINDINGS


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'["Mass", "Mass"]', b"[1]", b'["../x"]'])
def test_a_damaged_list_is_one_line(tmp_path: Path, content: bytes) -> None:
    log = GroundTruthLog(tmp_path, "chest-xray", FINDINGS)
    log.write(TRUTH, TIME)
    (tmp_path / LIST).write_bytes(content)
    with pytest.raises(GroundTruthError, match=r"findings\.json cannot be read: expected a JSON list of findings"):
        log.write(TRUTH, TIME)
