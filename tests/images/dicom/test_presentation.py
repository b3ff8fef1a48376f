"""The way from stored values to the greys of a viewer: rescale, windows, tables, inversion, padding."""

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from tests.support.dicom_files import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    dicom,
    lut,
    ramp,
)

from chest_xray.images.decode import decode_image


def reference(data: bytes) -> NDArray[np.uint8]:
    """What pydicom's own functions make of a file, spread over 0..255."""
    file = pydicom.dcmread(io.BytesIO(data))
    rescaled = apply_modality_lut(file.pixel_array, file)
    values = apply_voi_lut(rescaled.astype(int) if "VOILUTSequence" in file else rescaled, file).astype(float)
    if "VOILUTSequence" in file:
        low, high = 0, 2 ** file.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "ModalityLUTSequence" in file:
        low, high = 0, 2 ** file.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    else:
        bits = file.BitsStored
        ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if file.PixelRepresentation else [0, 2**bits - 1])
        low, high = apply_modality_lut(ends, file)
    shown = (values - low) * 255 / (high - low)
    return np.rint(255 - shown if file.PhotometricInterpretation == "MONOCHROME1" else shown).astype(np.uint8)


CURVE = (np.sqrt(np.arange(4096) / 4095) * 1023).astype(np.uint16)
WINDOW = {"WindowCenter": "1800.5", "WindowWidth": "2100"}
PRESENTATIONS: dict[str, dict[str, Any]] = {
    "window": WINDOW,
    "window, first of two": {"WindowCenter": ["900", "100"], "WindowWidth": ["700", "30"]},
    "window of width 1": {"WindowCenter": "2000", "WindowWidth": "1"},
    "window, exact": {"VOILUTFunction": "LINEAR_EXACT", **WINDOW},
    "window, sigmoid": {"VOILUTFunction": "SIGMOID", **WINDOW},
    "rescale and window": {"RescaleSlope": "2.5", "RescaleIntercept": "-1024", **WINDOW},
    "voi lut": {"VOILUTSequence": lut(CURVE, 0, 10)},
    "voi lut from 1000": {"VOILUTSequence": lut(CURVE[:2000], 1000, 10)},
    "voi lut of 16 bits, before a window": {"VOILUTSequence": lut(CURVE * 64, 0, 16), **WINDOW},
    "voi lut behind a rescale": {"RescaleSlope": "1", "RescaleIntercept": "500", "VOILUTSequence": lut(CURVE, 500, 10)},
    "modality lut and window": {"ModalityLUTSequence": lut(CURVE * 4, 0, 16), **WINDOW},
    "modality lut and voi lut": {"ModalityLUTSequence": lut(CURVE, 0, 16), "VOILUTSequence": lut(CURVE, 0, 10)},
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", PRESENTATIONS)
def test_presentation_is_within_one_level_of_pydicoms_functions(name: str, photometric: str) -> None:
    file = dicom(ramp(12, (64, 64)), PhotometricInterpretation=photometric, **PRESENTATIONS[name])
    difference = decode_image(file).astype(int) - reference(file)
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).mean() < 0.01


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_signed_values_and_a_window_below_zero(syntax: str) -> None:
    file = dicom(ramp(12, (64, 64), signed=True), syntax=syntax, WindowCenter="-400", WindowWidth="1200")
    assert np.abs(decode_image(file).astype(int) - reference(file)).max() <= 1
    table = dicom(ramp(12, signed=True), syntax=syntax, VOILUTSequence=lut(CURVE, -2048, 10))
    assert np.abs(decode_image(table).astype(int) - reference(table)).max() <= 1


def test_a_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2: centre 2048 and width 4096 show 0..4095 as 0..255."""
    pixels = np.array([[0, 1000, 2048, 4095]], np.uint16)
    shown = decode_image(dicom(pixels, WindowCenter="2048", WindowWidth="4096"))
    assert shown.tolist() == [[0, 62, 128, 255]]


def test_a_secondary_capture_of_a_png_gives_its_numbers() -> None:
    pixels = np.random.default_rng(1).integers(3, 200, (33, 20)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    capture = dicom(
        pixels, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", RescaleSlope="1", RescaleIntercept="0"
    )
    np.testing.assert_array_equal(decode_image(capture), decode_image(file.getvalue()))


def test_deep_values_without_a_voi_are_spread_from_the_smallest_to_the_largest() -> None:
    pixels = np.array([[1000, 1500, 2000]], np.uint16)
    assert decode_image(dicom(pixels)).tolist() == [[0, 128, 255]]
    assert decode_image(dicom(pixels, PhotometricInterpretation="MONOCHROME1")).tolist() == [[255, 128, 0]]
    assert decode_image(dicom(pixels, RescaleSlope="-3", RescaleIntercept="7")).tolist() == [[255, 128, 0]]
    assert decode_image(dicom(pixels, PresentationLUTShape="INVERSE")).tolist() == [[255, 128, 0]]
    both = dicom(pixels, PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1")
    assert decode_image(both).tolist() == [[255, 128, 0]]


def test_padding_is_black_and_does_not_count() -> None:
    pixels = np.array([[0, 1000, 1500, 2000, 4095]], np.uint16)
    padded = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 10}
    assert decode_image(dicom(pixels[:, :4], **padded)).tolist() == [[0, 0, 128, 255]]
    inverse = dicom(pixels[:, :4], PhotometricInterpretation="MONOCHROME1", **padded)
    assert decode_image(inverse).tolist() == [[0, 255, 128, 0]]
    assert decode_image(dicom(pixels[:, 1:], PixelPaddingValue=4095)).tolist() == [[0, 128, 255, 0]]
    assert decode_image(dicom(np.zeros((2, 2), np.uint16), PixelPaddingValue=0)).tolist() == [[0, 0], [0, 0]]


def test_an_even_film_is_even() -> None:
    assert np.unique(decode_image(dicom(np.full((4, 4), 700, np.uint16)))).tolist() == [0]


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(8, 16),
    center=st.integers(-500, 5000),
    width=st.integers(1, 6000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_is_monotone_and_inversion_mirrors_it(bits: int, center: int, width: int, function: str) -> None:
    pixels = np.sort(ramp(bits, (1, 300)))
    window = {"WindowCenter": str(center), "WindowWidth": str(width), "VOILUTFunction": function}
    shown = decode_image(dicom(pixels, bits=bits, **window)).astype(int)
    assert (np.diff(shown) >= 0).all()
    inverted = decode_image(dicom(pixels, bits=bits, PhotometricInterpretation="MONOCHROME1", **window)).astype(int)
    assert np.abs(shown + inverted - 255).max() <= 1


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(8, 16), values=st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_monochrome1_of_inverted_values_is_monochrome2(bits: int, values: list[int]) -> None:
    full = 2**bits - 1
    pixels = (np.array([values]) % (full + 1)).astype(ramp(bits).dtype)
    inverted = (full - pixels).astype(pixels.dtype)
    np.testing.assert_array_equal(
        decode_image(dicom(inverted, bits=bits, PhotometricInterpretation="MONOCHROME1")),
        decode_image(dicom(pixels, bits=bits)) if len(np.unique(pixels)) > 1 or bits == 8 else np.zeros_like(pixels),
    )
