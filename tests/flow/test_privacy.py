"""Nothing of a DICOM file's identifiers, dates and free text comes out of the service, whole or cut short."""

import io
import logging
from pathlib import Path

import pytest
from tests.support.asgi import Client
from tests.support.dicom_files import PLANTED, dicom

from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.records.audit import FileAudit, StreamAudit

DICOM = {"content-type": "application/dicom"}
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def files() -> list[bytes]:
    """Whole, cut at every 97th byte, with a planted value where one is read, and compressed."""
    whole = dicom(**PLANTED)
    cut = [whole[:end] for end in range(0, len(whole), 97)]
    broken = [
        dicom(**PLANTED | {keyword: "PLANTED^JANE"})
        for keyword in ("Modality", "BodyPartExamined", "ViewPosition", "PatientAge", "PatientSex", "WindowCenter")
    ]
    return [whole, *cut, *broken, dicom(syntax=JPEG_2000, **PLANTED), whole + b"PLANTED^JANE"]


def planted_in(said: str) -> list[str]:
    return [value for value in (*map(str, PLANTED.values()), "PLANTED", "JANE") if value in said]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_the_planted_values_are_in_the_files() -> None:
    assert len(planted_in(files()[0].decode("latin-1"))) > 5


def test_nothing_planted_comes_out_of_the_api(
    tiny_predictor: OnnxPredictor, log: pytest.LogCaptureFixture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    audit = FileAudit.open(tmp_path)
    client = Client(create_app(tiny_predictor, audit=audit))
    statuses = set()
    said = ""
    for data in files():
        one = client.post("/v1/predictions?explain=all", content=data, headers=DICOM)
        parts = {"PLANTED": ("PLANTED^JANE.dcm", data, "application/dicom")}
        several = client.post("/v1/predictions?strict=true", files=parts)
        viewed = client.post("/v1/films", content=data, headers=DICOM)
        statuses |= {one.status_code, several.json()["results"][0]["status"], viewed.status_code}
        said += one.text + str(one.headers) + several.text + str(several.headers)
        said += viewed.content.decode("latin-1") + str(viewed.headers)
    lines = "".join(path.read_text() for path in (tmp_path / "audit").iterdir())
    said += client.get("/metrics").text + log.text + lines + "".join(capfd.readouterr())
    assert statuses == {200, 422}
    assert lines.count("\n") == 3 * len(files())
    assert planted_in(said) == []


def test_nothing_planted_comes_out_of_the_container(
    tiny_predictor: OnnxPredictor, log: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = io.BytesIO()
    app, _ = compose(tiny_predictor, StreamAudit(lines))
    client = Client(app)
    answers = [client.post("/invocations", content=data, headers=DICOM) for data in files()]
    said = "".join(answer.text + str(answer.headers) for answer in answers)
    assert {answer.status_code for answer in answers} == {200, 422}
    assert planted_in(said + log.text + lines.getvalue().decode() + "".join(capfd.readouterr())) == []
