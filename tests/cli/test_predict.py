"""`cxr predict`: the API's own answer, what speaks against it in plain sight, and a line in the audit log."""

import getpass
import json
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from tests.support.asgi import Client
from tests.support.bundles import film, png, write_bundle
from tests.support.dicom_files import dicom
from tests.support.endpoints import deploy_folder
from typer.testing import CliRunner

from chest_xray.cli import app
from chest_xray.errors import AuditError, ImageError
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.records.audit import FileAudit

PNG = {"content-type": "image/png"}
UNLIKE = "This film is unlike the training films (distance 1.4, at most 1.0 expected). Its scores mean nothing."
BLANK = "The film is almost blank: its grey values span 0 of 255 levels."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle").root


@pytest.fixture(scope="module")
def home(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    deploy_folder(folder, bundle, endpoint="chest-xray", name="chest-xray")
    return folder


@pytest.fixture
def films(tmp_path: Path) -> dict[str, Path]:
    """A film like the training films, and one that is white all over."""
    pixels = {"usual.png": film(), "white.png": np.full((64, 64), 255, np.uint8)}
    for name, grey in pixels.items():
        (tmp_path / name).write_bytes(png(grey))
    return {name: tmp_path / name for name in pixels}


def predict(home: Path, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], env={"CXR_HOME": str(home)})


def lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in (home / "audit").glob("*.jsonl") for line in path.read_text().splitlines()]


def test_pictures_overwrite_nothing_and_keep_their_whole_names(home: Path, tmp_path: Path) -> None:
    names = ["a/IM1.png", "b/IM1.png", "1.2.840.10008.1", "1.2.840.10008.2", "c/IM1.DCM"]
    for seed, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(film(seed)))
    pictures = tmp_path / "pictures"
    told = [predict(home, *(tmp_path / name for name in names), "--heatmap", pictures).stderr for _ in range(2)]
    first, second = ([Path(name).name for name in re.findall("Heat map: (.*)", text)] for text in told)
    end = first[0].removeprefix("IM1")
    more = [end.replace(".", f"-{number}.") for number in range(1, 7)]
    assert first == [f"IM1{end}", f"IM1{more[1]}", f"1.2.840.10008.1{end}", f"1.2.840.10008.2{end}", f"IM1{more[2]}"]
    assert second == [
        f"IM1{more[3]}", f"IM1{more[4]}", f"1.2.840.10008.1{more[1]}", f"1.2.840.10008.2{more[1]}", f"IM1{more[5]}"
    ]  # fmt: skip
    drawn = [[(pictures / name).read_bytes() for name in names] for names in (first, second)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == len(names)


def test_a_film_without_a_flag_gets_its_heat_map_only_when_asked_for(
    home: Path, films: dict[str, Path], tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    told = predict(home, films["white.png"], "--heatmap", pictures).stderr
    found = re.search(r"white.png: no heat map, its scores are withheld. --heatmap-anyway draws that of (\w+)\.", told)
    assert found is not None, told
    assert not pictures.exists()
    told = predict(home, films["white.png"], "--heatmap", pictures, "--heatmap-anyway").stderr
    assert f"Heat map: {pictures / f'white-{found[1]}.png'}" in told


def test_json_is_what_the_api_answers_and_the_file(bundle: Path, home: Path, films: dict[str, Path]) -> None:
    done = predict(home, *films.values(), "--json", "--heatmap", films["usual.png"].parent / "pictures")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == [str(path) for path in films.values()]
    api = Client(create_app(OnnxPredictor.load(bundle, name="chest-xray", version=1)))
    for row in rows:
        answer = api.post("/v1/predictions?explain=top", content=Path(row["file"]).read_bytes(), headers=PNG).json()
        assert list(row) == ["file", *answer]
        of_this_call = {"file", "event_id", "request_id", "timings_ms"}
        assert {k: v for k, v in row.items() if k not in of_this_call} == {
            k: v for k, v in answer.items() if k not in of_this_call
        }
        assert list(row["timings_ms"]) == ["decode", "preprocess", "network"]
        assert row["notice"] == RESEARCH_USE_ONLY
    assert rows[0]["request_id"] == rows[1]["request_id"]
    assert rows[0]["film"] == {
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "view": None,
        "age": None,
        "sex": None,
    }
    assert [warning["check"] for warning in rows[1]["quality"]] == ["blank"]
    assert [row["guard"]["in_distribution"] for row in rows] == [True, False]


def test_the_table_says_what_speaks_against_the_scores(home: Path, films: dict[str, Path]) -> None:
    done = predict(home, films["white.png"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == str(films["white.png"])
    facts, event = done.stdout.splitlines()[1].split("; event ")
    assert facts == "image/png, 64 x 64"
    assert uuid.UUID(event)
    assert done.stdout.splitlines()[2:5] == [UNLIKE, BLANK, "Its scores are withheld: read this film yourself."]
    assert "flagged" not in done.stdout
    assert done.stdout.count("withheld") == 1 + 5
    assert RESEARCH_USE_ONLY in done.stdout
    usual = predict(home, films["usual.png"]).stdout
    assert "unlike" not in usual
    assert "blank" not in usual
    assert "withheld" not in usual


def test_a_dicom_film_shows_its_view_age_and_sex(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(film(), bits=8, ViewPosition="PA", PatientAge="058Y", PatientSex="F"))
    done = predict(home, path)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1].startswith("application/dicom, 64 x 64, PA, 58 years, F; event ")


def test_the_help_names_dicom(home: Path) -> None:
    assert "DICOM" in predict(home, "--help").stdout


def test_as_many_findings_as_asked_for(home: Path, films: dict[str, Path]) -> None:
    for top, shown in ((1, 1), (3, 3), (14, 14), (99, 14)):
        text = predict(home, films["usual.png"], "--top", top).stdout
        assert sum(line.split()[1:2] != [] and line.split()[1].startswith("0.") for line in text.splitlines()) == shown


def test_every_film_has_a_line_that_its_answer_names(home: Path, films: dict[str, Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(films["usual.png"].read_bytes()[:100])
    before = lines(home)
    done = predict(home, films["usual.png"], torn, tmp_path / "absent.png", films["white.png"], "--json")
    assert isinstance(done.exception, ImageError)
    rows = json.loads(done.stdout)
    usual, refused, white = lines(home)[len(before) :]
    assert [usual["event_id"], white["event_id"]] == [row["event_id"] for row in rows]
    assert {line["request_id"] for line in (usual, refused, white)} == {rows[0]["request_id"]}
    assert {line["caller"] for line in (usual, refused, white)} == {f"cli:{getpass.getuser()}"}
    assert (refused["outcome"], refused["code"], refused["event_id"]) == ("refused", "image_unreadable", None)
    audit = FileAudit.open(home)
    assert usual == {
        "event": "prediction",
        "time": usual["time"],
        "request_id": rows[0]["request_id"],
        "event_id": rows[0]["event_id"],
        "caller": usual["caller"],
        "model": rows[0]["model"],
        "image": audit.fingerprint(films["usual.png"].read_bytes()),
        "image_key": audit.key_id,
        "media_type": "image/png",
        "outcome": "scored",
        "code": None,
        "in_distribution": True,
        "flagged": [row["finding"] for row in rows[0]["findings"] if row["flag"]],
        "no_operating_point": ["Hernia"],
        "withheld": None,
    }
    assert (white["withheld"], white["flagged"], white["no_operating_point"]) == ("quality_blank", [], ["Hernia"])
    assert rows[1]["withheld"] == "quality_blank"
    assert {row["flag"] for row in rows[1]["findings"]} == {None}


def test_nothing_is_shown_that_the_audit_log_does_not_have(
    home: Path, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: FileAudit, entry: object) -> None:
        raise AuditError("The audit log cannot be written (No space left on device).")

    monkeypatch.setattr(FileAudit, "record", full)
    done = predict(home, films["usual.png"], "--json")
    assert isinstance(done.exception, AuditError)
    assert json.loads(done.stdout) == []
    assert "probability" not in predict(home, films["usual.png"]).stdout
