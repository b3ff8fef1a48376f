"""Nobody's name comes out of any file, whole or broken."""

import logging
import traceback
import warnings

import numpy as np
import pytest
from tests.support.dicom_files import (
    PLANTED,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    dicom,
    small_files,
)

from chest_xray.errors import ImageError
from chest_xray.images.decode import decode_film


def said_of(data: bytes, log: pytest.LogCaptureFixture) -> str:
    """Everything that decoding a file says: the film's facts, or the whole chain of errors; warnings; log records."""
    log.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            film = decode_film(data)
            said = repr((film.media_type, film.view, film.age, film.sex))
        except ImageError as error:
            said = "".join(traceback.format_exception(error)) + repr(error.args)
    return said + "".join(str(warning.message) for warning in warned) + log.text


def planted_in(said: str) -> list[str]:
    return [str(value) for value in PLANTED.values() if str(value) in said] + ["PLANTED"] * ("PLANTED" in said)


def test_no_planted_value_comes_out_of_a_whole_a_cut_or_a_broken_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEGLSLossless):
        whole = dicom(syntax=syntax, **PLANTED)
        for end in [len(whole), *range(132, len(whole), 50)]:
            assert planted_in(said_of(whole[:end], caplog)) == []


@pytest.mark.parametrize(
    "keyword",
    [
        *("Modality", "SOPClassUID", "BodyPartExamined", "ViewPosition", "PatientAge", "PatientSex", "NumberOfFrames"),
        *("PhotometricInterpretation", "WindowCenter", "WindowWidth", "RescaleSlope", "VOILUTFunction"),
        "PresentationLUTShape",
    ],
)
def test_no_name_typed_into_the_wrong_field_comes_out(keyword: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tags = {"WindowCenter": "1", "WindowWidth": "100", **PLANTED, keyword: "PLANTED^JANE"}
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert planted_in(said_of(dicom(syntax=syntax, **tags), caplog)) == []


def test_no_planted_preamble_or_first_bytes_come_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert planted_in(said_of(b"PLANTED^JANE".ljust(128, b"\0") + dicom()[128:], caplog)) == []
    assert planted_in(said_of(b"PLANTED^JANE", caplog)) == []


def test_a_film_holds_no_part_of_its_file() -> None:
    """The grey values are an array of their own: no view keeps the file's bytes alive."""
    for file in small_files():
        grey = decode_film(file).grey
        while isinstance(grey.base, np.ndarray):
            grey = grey.base
        assert not isinstance(grey.base, memoryview | bytes) or len(memoryview(grey.base).obj) != len(file)
