"""Quality warnings in every answer: those of the picture, and those that its file gives rise to."""

import io
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.asgi import Client
from tests.support.bundles import png, upright_film
from tests.support.dicom_files import chest, dicom

from chest_xray.errors import UnlikeTrainingError
from chest_xray.findings import FINDINGS
from chest_xray.images.limits import DEFAULT_LIMITS
from chest_xray.inference.api.app import create_app
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.predict_files import predict_files
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.scoring import Order, check_accepted
from chest_xray.prediction import QualityCheck
from chest_xray.records.audit import StreamAudit

DICOM = {"content-type": "application/dicom"}
DOUBTFUL: dict[str, dict[str, Any]] = {
    "window": {"WindowCenter": "128", "WindowWidth": "256"},
    "bits_stored": {"BitsStored": 11, "HighBit": 10},
    "for_processing": {"PresentationIntentType": "FOR PROCESSING"},
    "orientation": {"PatientOrientation": ["R", "F"]},
}


def mostly(grey: int, share: float) -> NDArray[np.uint8]:
    """The upright film with rows from the top in one grey."""
    pixels = upright_film().copy()
    pixels[: round(share * len(pixels))] = grey
    return pixels


def checks(predictor: OnnxPredictor, data: bytes) -> list[str]:
    return [warning.check for warning in predictor.predict(data).quality]


def test_a_film_that_is_98_percent_white_is_warned_of(tiny_predictor: OnnxPredictor) -> None:
    pixels = upright_film().copy()
    pixels[np.random.default_rng(0).random(pixels.shape) < 0.98] = 255
    answer = tiny_predictor.predict(png(pixels))
    saturated = [warning.detail for warning in answer.quality if warning.check == "saturated"]
    assert saturated == ["Much of the film shows nothing: 0% of its field is black and 98% is white."]


@pytest.mark.parametrize(("grey", "share", "warned"), [(255, 0.15, False), (255, 0.25, True), (0, 0.3, False)])
def test_a_part_of_black_or_white_is_usual(
    tiny_predictor: OnnxPredictor, grey: int, share: float, warned: bool
) -> None:
    """Rows of one grey alone would be what a collimator covers; noise makes them a part of the field."""
    pixels = mostly(grey, share)
    flat = pixels == grey
    flat &= np.random.default_rng(0).random(pixels.shape) < 0.02
    pixels[flat] = 128
    assert ("saturated" in checks(tiny_predictor, png(pixels))) is warned


def test_half_a_field_of_black_is_too_much(tiny_predictor: OnnxPredictor) -> None:
    pixels = upright_film().copy()
    pixels[np.random.default_rng(0).random(pixels.shape) < 0.5] = 0
    assert "saturated" in checks(tiny_predictor, png(pixels))


def test_a_film_of_few_greys_has_little_contrast(tiny_predictor: OnnxPredictor) -> None:
    span = np.ptp(upright_film().astype(np.int64))
    squeezed = (100 + (upright_film().astype(np.float64) - upright_film().min()) * 40 / span).astype(np.uint8)
    (warning,) = tiny_predictor.predict(png(squeezed)).quality
    assert warning.check == "low_contrast"
    assert warning.detail == "The film has little contrast: its grey values span 39 of 255 levels."


@pytest.mark.parametrize("check", DOUBTFUL)
def test_a_files_doubts_are_quality_warnings_and_strict_refuses_them(tiny_predictor: OnnxPredictor, check: str) -> None:
    prediction = tiny_predictor.predict(dicom(chest(), **DOUBTFUL[check]))
    assert prediction.quality[0].check == check
    with pytest.raises(UnlikeTrainingError) as refusal:
        check_accepted(prediction)
    assert (refusal.value.code, str(refusal.value)) == (f"quality_{check}", prediction.quality[0].detail)


@pytest.mark.parametrize("check", DOUBTFUL)
def test_the_api_and_the_container_answer_with_them(tiny_predictor: OnnxPredictor, check: str) -> None:
    data = dicom(chest(), **DOUBTFUL[check])
    container, _ = compose(tiny_predictor, StreamAudit(io.BytesIO()), limits=DEFAULT_LIMITS)
    api = Client(create_app(tiny_predictor))
    (detail,) = [one.detail for one in tiny_predictor.predict(data).quality if one.check == check]
    for answer in (
        api.post("/v1/predictions", content=data, headers=DICOM),
        Client(container).post("/invocations", content=data, headers=DICOM),
    ):
        assert answer.status_code == 200
        assert {"check": check, "detail": detail} in answer.json()["quality"]
    refused = api.post("/v1/predictions?strict=true", content=data, headers=DICOM)
    assert (refused.status_code, refused.json()["code"], refused.json()["detail"]) == (422, f"quality_{check}", detail)


def test_predict_has_them_too(tiny_predictor: OnnxPredictor, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(chest(), **DOUBTFUL["window"]))
    ((_, prediction),) = predict_files(tiny_predictor, [path], Order("cli:reader", "1"), audit=None)
    assert prediction.quality[0].check == "window"


def test_nothing_is_said_of_the_side_of_a_map_where_the_side_is_in_doubt(tiny_predictor: OnnxPredictor) -> None:
    """The picture is turned upright, but the tag may be wrong."""
    api = Client(create_app(tiny_predictor))
    for tags, silent in (({}, False), (DOUBTFUL["orientation"], True)):
        data = dicom(chest(), **tags)
        answer = api.post("/v1/predictions?explain=all", content=data, headers=DICOM).json()
        assert all(place is None for place in answer["locations"].values()) is silent
        assert len(answer["locations"]) == len(FINDINGS)


def test_the_names_of_the_checks() -> None:
    files = {"window", "bits_stored", "for_processing", "orientation"}
    pictures = {"blank", "low_contrast", "saturated", "inverted", "rotated", "cropped", "too_small"}
    assert set(get_args(QualityCheck)) == files | pictures
