"""What a file says of itself that makes its picture doubtful: raw values, too few bits, a turned film."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.dicom_files import JPEG2000Lossless, SecondaryCaptureImageStorage, chest, dicom
from tests.support.dicom_reading import refusal

from chest_xray.errors import ImageUnsuitableError
from chest_xray.images.decode import decode_film, decode_full

FULL = {"WindowCenter": "2048", "WindowWidth": "4096"}
CR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
CAPTURE = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"}
LIN, LOG = {"PixelIntensityRelationship": "LIN"}, {"PixelIntensityRelationship": "LOG"}
GREY = np.rint(chest() * (255 / 4095)).astype(np.uint8)


def checks(data: bytes) -> list[str]:
    return [doubt.check for doubt in decode_film(data).doubts]


@pytest.mark.parametrize(
    "tags",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"},
        {"PresentationIntentType": "FOR PROCESSING"},
        {"PresentationIntentType": "for_processing ", **FULL},
        LIN,
        {**CR, **LIN},
        {**CR, **LIN, **FULL},
        {**CR, **LOG},
        {**CAPTURE, **LIN, **FULL},
    ],
    ids=str,
)
def test_raw_films_are_warned_of(tags: dict[str, Any]) -> None:
    assert checks(dicom(chest(), **tags)) == ["for_processing"]


@pytest.mark.parametrize(
    "tags",
    [
        {"PresentationIntentType": "FOR PRESENTATION"},
        {"PresentationIntentType": "FOR PRESENTATION", **LIN, **FULL},
        {**LOG},
        {**CR, **LOG, **FULL},
        {**CR, "PixelIntensityRelationship": "DISP"},
        {**CR, **FULL},
    ],
    ids=str,
)
def test_films_for_viewing_are_not(tags: dict[str, Any]) -> None:
    assert checks(dicom(chest(), **tags)) == []


@pytest.mark.parametrize("stored", [8, 10, 11])
@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless])
def test_values_with_more_bits_than_are_stored_are_warned_of(stored: int, syntax: str | None) -> None:
    more: dict[str, Any] = {} if syntax is None else {"syntax": syntax}
    assert checks(dicom(chest(), BitsStored=stored, HighBit=stored - 1, **more)) == ["bits_stored"]


def test_signed_values_with_more_bits_than_are_stored_are_warned_of() -> None:
    signed = (chest().astype(np.int64) - 2048).astype(np.int16)
    assert checks(dicom(signed, BitsStored=10, HighBit=9)) == ["bits_stored"]
    # Twelve bits, their sign written into the four above them, are sound.
    assert checks(dicom(signed)) == []


def test_values_that_all_have_a_bit_too_many_are_warned_of() -> None:
    assert checks(dicom((2048 + chest() // 4).astype(np.uint16), BitsStored=11, HighBit=10)) == ["bits_stored"]


def overlays() -> dict[str, NDArray[Any]]:
    rows, columns = np.indices(chest().shape)
    return {
        "rows": rows % 97 == 0,
        "columns": columns % 57 < 3,
        "ring": abs(np.hypot(rows - 80, columns - 80) - 40) < 3,
    }


@pytest.mark.parametrize("name", overlays())
@pytest.mark.parametrize("bit", [12, 15])
def test_an_overlay_in_the_bits_above_is_masked_without_a_word(name: str, bit: int) -> None:
    film = decode_film(dicom((chest() | overlays()[name] * np.uint16(1 << bit)).astype(np.uint16), **FULL))
    np.testing.assert_allclose(film.grey, GREY, atol=1)
    assert film.doubts == ()


TURNS: dict[str, NDArray[Any]] = {
    "R\\F": chest()[:, ::-1],
    "L\\H": chest()[::-1],
    "R\\H": chest()[::-1, ::-1],
    "F\\L": chest().T,
    "H\\L": chest().T[:, ::-1],
    "F\\R": chest().T[::-1],
    "H\\R": chest().T[::-1, ::-1],
}


@pytest.mark.parametrize("said", TURNS)
def test_a_turned_or_mirrored_film_is_turned_upright_and_warned_of(said: str) -> None:
    """The columns of the first run to the patient's right, as its first value says: turned over, R is at the left."""
    stored = np.ascontiguousarray(TURNS[said][:, :140])
    data = dicom(stored, PatientOrientation=said.split("\\"), **FULL)
    film, full = decode_film(data), decode_full(data)
    upright = dict.fromkeys(("R\\F", "R\\H"), GREY[:, 20:]) | dict.fromkeys(("L\\H",), GREY[:, :140])
    upright |= dict.fromkeys(("F\\L", "F\\R"), GREY[:140]) | dict.fromkeys(("H\\L", "H\\R"), GREY[20:])
    np.testing.assert_allclose(film.grey, upright[said], atol=1)
    assert full.film.grey.shape == film.grey.shape
    np.testing.assert_allclose(full.film.grey * (255 / 4095), film.grey, atol=1)
    assert [doubt.check for doubt in film.doubts] == ["orientation"] == [doubt.check for doubt in full.film.doubts]


def test_the_warning_says_how_the_film_is_stored() -> None:
    (doubt,) = decode_film(dicom(chest(), PatientOrientation=["R", "F"])).doubts
    assert doubt.detail == "(0020,0020) Patient Orientation says that the film is stored mirrored; it was put right."


@pytest.mark.parametrize("said", ["R\\FL", "RF\\F", "L\\R", "H\\F"])
def test_an_orientation_that_is_not_plain_is_warned_of_and_nothing_is_turned(said: str) -> None:
    film = decode_film(dicom(chest(), PatientOrientation=said.split("\\"), **FULL))
    np.testing.assert_allclose(film.grey, GREY, atol=1)
    assert [doubt.detail for doubt in film.doubts] == [
        "(0020,0020) Patient Orientation is not plain: the film may be turned or mirrored."
    ]


@pytest.mark.parametrize("said", ["L\\F", "LF\\FR", "l\\f", "", "PA", "left\\foot", "L\\F\\A"])
def test_the_usual_orientation_and_what_is_none_pass(said: str) -> None:
    film = decode_film(dicom(chest(), PatientOrientation=said.split("\\"), **FULL))
    np.testing.assert_allclose(film.grey, GREY, atol=1)
    assert film.doubts == ()


@pytest.mark.parametrize("said", ["A\\F", "P\\F", "AF\\FP", "PL\\F", "H\\A", "L\\P"])
@pytest.mark.parametrize("view", ["", "PA"])
def test_front_to_back_along_an_axis_is_a_lateral(said: str, view: str) -> None:
    data = dicom(chest(), PatientOrientation=said.split("\\"), ViewPosition=view)
    assert refusal(data, ImageUnsuitableError) == (
        "(0020,0020) Patient Orientation is that of a lateral film; a frontal one is expected."
    )
