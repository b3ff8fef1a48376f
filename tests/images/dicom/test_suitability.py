"""Which films are taken, and the facts that are kept beside the pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from tests.support.dicom_files import (
    CTImageStorage,
    SecondaryCaptureImageStorage,
    code,
    dicom,
)
from tests.support.dicom_reading import refusal

from chest_xray.errors import ImageUnsuitableError
from chest_xray.images.decode import decode_film, decode_image


@pytest.mark.parametrize(
    ("written", "years"),
    [("045Y", 45), ("062", 62), ("62", 62), ("006M", 0), ("030M", 2), ("090W", 1), ("400D", 1), ("120Y", 120)]
    + [(other, None) for other in ("121Y", "999Y", "", "-05Y", "4.5Y", "abcY", "0045Y")],
)
def test_age_in_years(written: str, years: int | None) -> None:
    assert decode_film(dicom(PatientAge=written)).age == years


@pytest.mark.parametrize(("written", "sex"), [("F", "F"), ("M", "M"), ("m ", "M"), ("O", None), ("", None)])
def test_sex(written: str, sex: str | None) -> None:
    assert decode_film(dicom(PatientSex=written)).sex == sex


@pytest.mark.parametrize(("written", "view"), [("PA", "PA"), ("AP", "AP"), ("ap", "AP"), ("", None), ("XYZ", None)])
def test_view(written: str, view: str | None) -> None:
    assert decode_film(dicom(ViewPosition=written)).view == view


def test_view_from_its_code() -> None:
    assert decode_film(dicom(ViewPosition="", ViewCodeSequence=code("272479007"))).view == "PA"
    assert decode_film(dicom(ViewPosition="", ViewCodeSequence=code("399348003"))).view == "AP"


@pytest.mark.real_data
def test_real_films(real_data: Path) -> None:
    films = [decode_film(path.read_bytes()) for path in sorted((real_data / "dicom").glob("*.dcm"))]
    assert [(film.media_type, film.view, film.age, film.sex) for film in films] == [
        ("application/dicom", "PA", 62, "M")
    ] * 2
    assert films[0].grey.shape == (1024, 1024)
    # One is the other with MONOCHROME1 written over MONOCHROME2.
    np.testing.assert_array_equal(films[0].grey, 255 - films[1].grey)
    path = real_data / "dicom" / "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
    np.testing.assert_array_equal(decode_image(path.read_bytes()), pydicom.dcmread(path).pixel_array)


@pytest.mark.parametrize(
    "tags",
    [
        {"Modality": "CR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"},
        {"Modality": "OT", "SOPClassUID": SecondaryCaptureImageStorage},
        {"Modality": "RG", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"},
        {"Modality": None},
        {"BodyPartExamined": None},
        {"BodyPartExamined": "Thorax "},
        {"BodyPartExamined": "LUNG"},
        {"BodyPartExamined": "CHEST_PA"},
        {"BodyPartExamined": "PORT CHEST"},
        {"NumberOfFrames": "1"},
        {"NumberOfFrames": ""},
    ],
    ids=str,
)
def test_accepted_films(tags: dict[str, Any]) -> None:
    assert decode_film(dicom(**tags)).grey.shape == (24, 40)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "(0008,0060) Modality is CT; CR, DX, RG or OT is expected."),
        ({"Modality": "DOE^JANE"}, "(0008,0060) Modality is something else; CR, DX, RG or OT is expected."),
        (
            {"Modality": None, "SOPClassUID": None},
            "The DICOM file has no (0008,0060) Modality; CR, DX, RG or OT is expected.",
        ),
        (
            {"SOPClassUID": CTImageStorage},
            "(0008,0016) SOP Class UID is something else; a CR, DX or Secondary Capture image is expected.",
        ),
        ({"BodyPartExamined": "HAND"}, "(0018,0015) Body Part Examined is HAND; CHEST is expected."),
        ({"BodyPartExamined": "JANE DOE"}, "(0018,0015) Body Part Examined is something else; CHEST is expected."),
        ({"BodyPartExamined": "CHESTABDOMEN"}, "(0018,0015) Body Part Examined is something else; CHEST is expected."),
        ({"BodyPartExamined": "CHEST LAT"}, "(0018,0015) Body Part Examined is something else; CHEST is expected."),
        ({"ViewPosition": "LL"}, "(0018,5101) View Position is LL; PA or AP is expected."),
        ({"ViewPosition": "RL"}, "(0018,5101) View Position is RL; PA or AP is expected."),
        ({"ViewPosition": "lateral"}, "(0018,5101) View Position is LATERAL; PA or AP is expected."),
        ({"ViewPosition": "L LAT"}, "(0018,5101) View Position is LAT; PA or AP is expected."),
        (
            {"ViewPosition": "", "ViewCodeSequence": code("399173006")},
            "(0054,0220) View Code Sequence is lateral; postero-anterior or antero-posterior is expected.",
        ),
        ({"NumberOfFrames": "2"}, "(0028,0008) Number of Frames is more than 1; one frame is expected."),
        ({"PixelData": None}, "The DICOM file has no (7FE0,0010) Pixel Data; one radiograph is expected."),
    ],
    ids=str,
)
def test_unsuitable_films(tags: dict[str, Any], message: str) -> None:
    assert refusal(dicom(**tags), ImageUnsuitableError) == message
