"""`cxr score`: a folder's scores are the predictor's own, whatever lies in it and however often it was stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.support.bundles import film, png, write_bundle
from tests.support.dicom_files import dicom
from tests.support.endpoints import deploy_folder
from tests.support.processes import ROOT, environment
from typer.testing import CliRunner

from chest_xray.batch import run as batch_run
from chest_xray.batch.films import find_films
from chest_xray.batch.run import Summary, score_folder
from chest_xray.cli import app
from chest_xray.errors import AuditError, DataError
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.scoring import Order
from chest_xray.records.audit import Entry

ORDER = Order("cli:test", "00000000-0000-4000-8000-000000000001")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle").root


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> OnnxPredictor:
    return OnnxPredictor.load(bundle)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Nine films, two that are none, one that cannot be read, and a text file."""
    folder = tmp_path / "night"
    (folder / "ward" / ".hidden").mkdir(parents=True)
    for seed in range(8):
        (folder / ("ward" if seed % 2 else "") / f"film{seed}.png").write_bytes(png(film(seed)))
    (folder / "1.2.840.9").write_bytes(dicom(film(8)))
    (folder / "torn.png").write_bytes(png(film(9))[:200])
    (folder / "empty.dcm").touch()
    (folder / "list.csv").write_text("a,b\n")
    (folder / "ward" / ".hidden" / "film.png").write_bytes(png(film()))
    return folder


def score(predictor: OnnxPredictor, source: Path, output: Path) -> Summary:
    return score_folder(predictor, source, output, ORDER, audit=None, threads=2)


def test_each_row_is_the_predictors_own_answer(predictor: OnnxPredictor, night: Path, tmp_path: Path) -> None:
    found = score(predictor, night, tmp_path / "out")
    assert (found.films, found.scored, found.refused) == (11, 9, {"image_unreadable": 2})
    rows = pq.read_table(found.scores).to_pylist()
    assert [row["key"] for row in rows] == sorted(film.key for film in find_films(night)[0])
    for row in rows:
        path = night / row["key"]
        assert row["bytes"] == path.stat().st_size
        if row["outcome"] == "refused":
            assert (row["code"], row["event_id"]) == ("image_unreadable", None)
            assert row["detail"]
            continue
        wanted = predictor.predict(path.read_bytes())
        for finding in wanted.findings:
            assert row[f"{finding.finding}.probability"] == finding.probability
            assert row[f"{finding.finding}.flag"] == finding.flag
        assert row["guard_distance"] == wanted.guard.distance
        assert (row["media_type"], row["width"]) == (wanted.film.media_type, wanted.film.width)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "scores.parquet"]


def test_again_nothing_is_scored_and_what_changed_is(predictor: OnnxPredictor, night: Path, tmp_path: Path) -> None:
    first = pq.read_table(score(predictor, night, tmp_path / "out").scores).to_pylist()
    assert score(predictor, night, tmp_path / "out").now == 0
    assert pq.read_table(tmp_path / "out" / "scores.parquet").to_pylist() == first
    (night / "film0.png").write_bytes(png(film(20)))
    (night / "film2.png").unlink()
    (night / "late.png").write_bytes(png(film(21)))
    again = score(predictor, night, tmp_path / "out")
    assert (again.films, again.now) == (11, 2)
    rows = {row["key"]: row for row in pq.read_table(again.scores).to_pylist()}
    assert "film2.png" not in rows
    wanted = predictor.predict(png(film(20))).findings[0]
    assert rows["film0.png"][f"{wanted.finding}.probability"] == wanted.probability
    assert rows["1.2.840.9"] == next(row for row in first if row["key"] == "1.2.840.9")


class Failing:
    """An audit log whose disk is full after some lines."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def fingerprint(self, image: bytes) -> str:
        return "0" * 64

    def record(self, entry: Entry) -> None:
        self.left -= 1
        if self.left < 0:
            raise AuditError("The disk is full.")


@pytest.mark.parametrize("lines", [0, 3, 9])
def test_no_row_without_its_audit_line(lines: int, predictor: OnnxPredictor, night: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(AuditError):
        score_folder(predictor, night, output, ORDER, audit=Failing(lines), threads=1)
    kept = sum(pq.read_table(path).num_rows for path in output.glob("parts/*.parquet"))
    assert kept == lines
    assert score(predictor, night, output).now == 11 - lines
    assert not (output / "parts").exists()


def test_parts_are_kept_while_it_runs(
    predictor: OnnxPredictor, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_run, "PART_ROWS", 4)
    with pytest.raises(AuditError):
        score_folder(predictor, night, tmp_path / "out", ORDER, audit=Failing(9), threads=1)
    parts = sorted((tmp_path / "out" / "parts").glob("*.parquet"))
    assert [pq.read_table(path).num_rows for path in parts] == [4, 4, 1]
    assert score(predictor, night, tmp_path / "out").films == 11


def test_another_model_or_process_or_no_film_is_refused(
    predictor: OnnxPredictor, night: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    score(predictor, night, tmp_path / "out")
    other = write_bundle(tmp_path_factory.mktemp("other") / "bundle", mean_auroc=0.5).root
    with pytest.raises(DataError, match="holds scores of"):
        score(OnnxPredictor.load(other), night, tmp_path / "out")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(DataError, match="holds no film: 1 files"):
        score(predictor, tmp_path / "texts", tmp_path / "none")
    with pytest.raises(DataError, match="is not there; expected a folder"):
        score(predictor, tmp_path / "nowhere", tmp_path / "none")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="holds no scores of `cxr score`"):
        score(predictor, night, tmp_path / "foreign")


@pytest.fixture
def home(bundle: Path, tmp_path: Path) -> Path:
    deploy_folder(tmp_path / "home", bundle, endpoint="chest-xray", name="chest-xray")
    return tmp_path / "home"


def test_the_command_tells_counts_and_that_some_were_refused(
    night: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXR_HOME", str(home))
    command = ["score", "--source", str(night), "--output", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 4, done.output
    found = json.loads(done.stdout)
    assert (found["films"], found["scored"], found["refused"]) == (11, 9, {"image_unreadable": 2})
    assert "9 of 11 films scored" in done.stderr
    lines = [line for path in (home / "audit").glob("audit-*.jsonl") for line in path.read_text().splitlines()]
    events = {json.loads(line).get("event_id") for line in lines} - {None}
    scored = pq.read_table(tmp_path / "out" / "scores.parquet")["event_id"].to_pylist()
    assert events == set(scored) - {None}


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_in_the_same_scores(
    night: Path, home: Path, bundle: Path, tmp_path: Path
) -> None:
    for seed in range(400):
        (night / f"more{seed:03}.png").write_bytes(png(film(100 + seed)))
    command = [sys.executable, "-m", "chest_xray.cli", "score", "--source", str(night), "--output"]
    env = environment() | {"CXR_HOME": str(home)}
    output = tmp_path / "out"
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        whole = [*command, str(output)]
        with subprocess.Popen(whole, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            next(line for line in process.stderr if "films (" in line)
            process.send_signal(number)
            said = process.stderr.read()
        assert process.returncode in (-signal.SIGKILL, 130, 4), said
        if number == signal.SIGINT and process.returncode == 130:
            assert "To go on: cxr score --source" in said
    assert subprocess.run([*command, str(output)], env=env, cwd=ROOT, check=False, timeout=300).returncode == 4
    whole = score(OnnxPredictor.load(bundle), night, tmp_path / "whole")
    mine, wanted = (
        pq.read_table(path).drop(["event_id"]).to_pylist() for path in (output / "scores.parquet", whole.scores)
    )
    assert mine == wanted
