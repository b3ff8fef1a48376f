"""DICOM: which values come out of a file, which films are refused, and that nobody's name comes out of any."""

import io
import logging
import os
import signal
import struct
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
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
    PLANTED,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    code,
    dicom,
    gdcm_stream,
    jpeg_stream,
    lut,
    ramp,
    small_files,
)
from tests.support.processes import run_python

from chest_xray.errors import ImageError, ImageTooLargeError, ImageUnsuitableError
from chest_xray.images import codecs
from chest_xray.images.decode import decode_film, decode_image
from chest_xray.images.dicom.codec_worker import MEMORY_BYTES
from chest_xray.images.dicom.frame import read_frame
from chest_xray.images.dicom.pixels import read_pixels
from chest_xray.images.dicom.walk import MAX_DEPTH, MAX_ELEMENTS, read_elements
from chest_xray.images.limits import DEFAULT_LIMITS, Limits

JPEGLossless14 = "1.2.840.10008.1.2.4.57"
JPEGLSNearLossless = "1.2.840.10008.1.2.4.81"
JPEG2000 = "1.2.840.10008.1.2.4.91"
JPEGExtended = "1.2.840.10008.1.2.4.51"
IN_WORKER = [JPEGLossless14, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000]
LOSSLESS = [DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, *IN_WORKER]


def stored(data: bytes) -> NDArray[Any]:
    """The words of a grey file as they come from the decoder, before presentation."""
    elements = read_elements(data, DEFAULT_LIMITS)
    return read_pixels(elements, read_frame(elements.values, DEFAULT_LIMITS), DEFAULT_LIMITS)


def refusal(data: bytes, kind: type[ImageError] = ImageError, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(kind) as caught:
        decode_film(data, limits)
    message = str(caught.value)
    assert "\n" not in message
    return message


def element(tag: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little-endian element."""
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, kind)
    return head + (struct.pack("<HI", 0, size) if long else struct.pack("<H", size)) + value


def before_pixels(data: bytes, inserted: bytes) -> bytes:
    """`data` with bytes right before its native pixel data element."""
    place = data.rindex(b"\xe0\x7f\x10\x00OW")
    return data[:place] + inserted + data[place:]


# ---- pixels


@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (10, False), (12, False), (16, False), (12, True), (16, True)]
)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_every_lossless_syntax_gives_the_stored_bits(syntax: str, bits: int, signed: bool) -> None:
    noise = np.random.default_rng(bits).integers(0, 2**bits, (37, 26)) - (2 ** (bits - 1) if signed else 0)
    pixels = noise.astype(ramp(bits, signed=signed).dtype)
    mask = 2**bits - 1
    found = stored(dicom(pixels, syntax=syntax, bits=bits))
    np.testing.assert_array_equal(found.astype(int) & mask, pixels.astype(int) & mask)
    np.testing.assert_array_equal(
        decode_image(dicom(pixels, syntax=syntax, bits=bits)), decode_image(dicom(pixels, bits=bits))
    )


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_colours_are_the_luma_of_a_png(syntax: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 50, 3)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(decode_image(dicom(colours, syntax=syntax)), expected)


def test_colours_by_pixel_and_by_plane_are_the_luma_of_a_png() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (20, 14, 3)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(decode_image(dicom(colours)), expected)
    planes = np.ascontiguousarray(colours.transpose(2, 0, 1))
    by_plane = dicom(colours, PlanarConfiguration=1, PixelData=planes.tobytes())
    np.testing.assert_array_equal(decode_image(by_plane), expected)


def test_the_luma_of_ybr_is_its_first_component() -> None:
    ybr = np.random.default_rng(0).integers(0, 256, (20, 14, 3)).astype(np.uint8)
    full = dicom(ybr, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(decode_image(full), ybr[..., 0])
    # Y1 Y2 Cb Cr for each pair of pixels.
    pairs = np.concatenate([ybr[..., 0].reshape(20, 7, 2), ybr[:, ::2, 1:]], -1)
    subsampled = dicom(ybr, PhotometricInterpretation="YBR_FULL_422", PixelData=pairs.tobytes())
    np.testing.assert_array_equal(decode_image(subsampled), ybr[..., 0])


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended])
def test_jpeg_of_8_bits_gives_the_values_of_the_jpeg_file(syntax: str) -> None:
    smooth = ramp(8, (40, 56))
    file = dicom(smooth, syntax=syntax, encode=jpeg_stream)
    np.testing.assert_array_equal(decode_image(file), decode_image(jpeg_stream(smooth)))


def test_jpeg_of_ybr_and_of_rgb_colours() -> None:
    colours = np.dstack([ramp(8, (40, 56)), ramp(8, (40, 56))[::-1], ramp(8, (40, 56)) // 2])
    expected = np.asarray(Image.fromarray(colours).convert("L")).astype(int)
    ybr = dicom(colours, syntax=JPEGBaseline8Bit, encode=jpeg_stream, PhotometricInterpretation="YBR_FULL_422")
    assert np.abs(decode_image(ybr) - expected).mean() < 3

    def unmarked(pixels: NDArray[Any]) -> bytes:
        stream = jpeg_stream(pixels, keep_rgb=True, subsampling=0)
        adobe = stream.find(b"\xff\xee")
        return stream if adobe < 0 else stream[:adobe] + stream[adobe + 16 :]

    rgb = dicom(colours, syntax=JPEGBaseline8Bit, encode=unmarked)
    assert np.abs(decode_image(rgb) - expected).mean() < 3


def test_jpeg_2000_with_a_colour_transform_is_the_luma_of_a_png() -> None:
    utils = pytest.importorskip("openjpeg.utils")
    colours = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)

    def encode(pixels: NDArray[Any]) -> bytes:
        return bytes(utils.encode_array(pixels, photometric_interpretation=1, use_mct=True))

    file = dicom(colours, syntax=JPEG2000Lossless, encode=encode, PhotometricInterpretation="YBR_RCT")
    np.testing.assert_array_equal(decode_image(file), np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossy_jpeg_2000_is_what_openjpeg_decodes(bits: int) -> None:
    utils = pytest.importorskip("openjpeg.utils")
    edges = np.where(np.indices((64, 64)).sum(0) // 5 % 2, 2**bits - 1, 0).astype(ramp(bits).dtype)
    stream = bytes(utils.encode_array(edges, bits_stored=bits, compression_ratios=[9.0], photometric_interpretation=2))
    found = stored(dicom(edges, bits=bits, syntax=JPEG2000, encode=lambda _: stream))
    np.testing.assert_array_equal(found, utils.decode(stream))


def test_twelve_bit_jpeg_extended_is_refused() -> None:
    header = b"\xff\xd8\xff\xc1\x00\x0b\x0c" + struct.pack(">HH", 24, 40) + b"\x01\x01\x11\x00\xff\xda"
    found = refusal(dicom(syntax=JPEGExtended, encode=lambda _: header))
    assert found == "JPEG Extended of 12 bits is not read; store the film as JPEG Lossless or JPEG 2000."


def test_bits_beside_the_stored_ones_do_not_count() -> None:
    pixels = ramp(12)
    overlay = pixels | np.uint16(0x8000)
    np.testing.assert_array_equal(decode_image(dicom(overlay)), decode_image(dicom(pixels)))
    np.testing.assert_array_equal(decode_image(dicom(pixels << 4, HighBit=15)), decode_image(dicom(pixels)))


def test_a_run_of_rle_may_go_on_into_the_next_row() -> None:
    pixels = np.full((6, 7), 9, np.uint8)
    one_run = struct.pack("<16I", 1, 64, *[0] * 14) + bytes((257 - 42, 9))
    np.testing.assert_array_equal(stored(dicom(pixels, syntax=RLELossless, encode=lambda _: one_run)), pixels)


def test_an_odd_number_of_bytes_is_padded() -> None:
    pixels = ramp(8, (3, 5))
    np.testing.assert_array_equal(decode_image(dicom(pixels)), pixels)


def test_zeros_behind_the_pixels_are_padding_and_anything_else_is_not() -> None:
    file = dicom()
    np.testing.assert_array_equal(decode_image(file + bytes(300)), decode_image(file))
    np.testing.assert_array_equal(decode_image(file + element(0xFFFCFFFC, b"OB", bytes(8))), decode_image(file))
    assert "out of order" in refusal(file + b"PK\x03\x04" + bytes(60))


# ---- presentation


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


# ---- what is kept beside the pixels


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


# ---- suitability


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


# ---- damage


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"BitsAllocated": 32}, "(0028,0100) Bits Allocated is 32; 8 or 16 is expected."),
        ({"BitsStored": 17}, "(0028,0101) Bits Stored is 17; 8 to 16 is expected."),
        ({"HighBit": 3}, "(0028,0102) High Bit is 3; 11 to 15 is expected."),
        ({"Rows": None}, "The DICOM file has no usable (0028,0010) Rows; one 16-bit number is expected."),
        ({"Rows": 25}, "The DICOM file is damaged: its (7FE0,0010) Pixel Data have 1,920 bytes, expected 2,000."),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "(0028,0004) Photometric Interpretation and"),
        ({"WindowCenter": "PLANTED", "WindowWidth": "3"}, "no usable (0028,1050) Window Center; a decimal number"),
        ({"WindowCenter": "1", "WindowWidth": "0"}, "(0028,1051) Window Width is too small"),
        ({"WindowCenter": "1", "WindowWidth": "9", "VOILUTFunction": "PLANTED"}, "(0028,1056) VOI LUT Function is not"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "(0028,1053) Rescale Slope is 0"),
        ({"RescaleSlope": "1e300", "RescaleIntercept": "0"}, "no usable (0028,1053) Rescale Slope"),
        ({"NumberOfFrames": "many"}, "no usable (0028,0008) Number of Frames"),
        ({"VOILUTSequence": lut(np.arange(9), 0, 32)}, "(0028,3002) LUT Descriptor says 32 bits an entry"),
    ],
    ids=str,
)
def test_broken_values(tags: dict[str, Any], message: str) -> None:
    assert message in refusal(dicom(**tags))


@pytest.mark.parametrize("source", range(len(small_files())))
def test_a_file_cut_anywhere_is_refused(source: int) -> None:
    whole = small_files()[source]
    for end in range(132, len(whole) - 1, 17):
        refusal(whole[:end])


def test_a_stream_of_another_size_is_refused_before_it_is_decoded() -> None:
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless):
        stream = gdcm_stream(ramp(12), syntax, 12)
        file = dicom(ramp(12, (24, 41)), syntax=syntax, encode=lambda _, stream=stream: stream)
        assert "hold 40x24 pixels of 1 samples, the file says 41x24 of 1" in refusal(file)
        deep = dicom(ramp(8), syntax=syntax, encode=lambda _, stream=stream: stream)
        assert "bits a sample; 8 to 8 are expected" in refusal(deep)
    other = dicom(syntax=JPEGLosslessSV1, encode=lambda _: gdcm_stream(ramp(12), JPEGLSLossless, 12))
    assert "not compressed as its transfer syntax says" in refusal(other)
    assert "no JPEG 2000 stream" in refusal(dicom(syntax=JPEG2000Lossless, encode=lambda _: b"\xff\xd8\xff\xd9"))


def test_size_is_checked_before_pixels() -> None:
    assert "has 65535x65535 pixels" in refusal(dicom(Rows=65535, Columns=65535), ImageTooLargeError)
    colours = np.stack([ramp(8)] * 3, -1)
    assert "of 3 colours" in refusal(dicom(colours), ImageTooLargeError, Limits(max_pixels=24 * 40))


def test_nested_sequences_are_bounded() -> None:
    opened = element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert f"more than {MAX_DEPTH} deep" in refusal(before_pixels(dicom(), element(0x30010010, b"SQ", b"", 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + opened * 20_000))  # fmt: skip


def test_sequences_of_unknown_length_are_passed_over() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end_item, end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    inner = element(0x7FE00010, b"OB", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 4) + b"icon" + end
    sequence = element(0x30010010, b"SQ", b"", 0xFFFFFFFF) + item + inner + end_item + end
    unknown = (
        element(0x30010011, b"UN", b"", 0xFFFFFFFF) + item + struct.pack("<HHI", 8, 0x60, 2) + b"CT" + end_item + end
    )
    np.testing.assert_array_equal(decode_image(before_pixels(dicom(), sequence + unknown)), decode_image(dicom()))


def test_elements_are_counted() -> None:
    many = b"".join(element(0x30010000 + number, b"LO", b"") for number in range(1, MAX_ELEMENTS + 2))
    assert f"more than {MAX_ELEMENTS:,} data elements" in refusal(before_pixels(dicom(), many))


def test_order_duplicates_and_foreign_representations_are_refused() -> None:
    rows = element(0x00280010, b"US", b"\x18\x00")
    assert "out of order" in refusal(before_pixels(dicom(), rows))
    assert "no value representation" in refusal(before_pixels(dicom(), element(0x30010010, b"ZZ", b"")))
    assert "has no length" in refusal(before_pixels(dicom(), element(0x30010010, b"UT", b"", 0xFFFFFFFF)))
    assert "truncated" in refusal(before_pixels(dicom(), element(0x30010010, b"UN", b"", 0xFFFFFFF0)))


def test_transfer_syntaxes_that_are_not_read() -> None:
    file = dicom()
    assert "big endian" in refusal(file.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"))
    assert "names no transfer syntax" in refusal(file.replace(b"1.2.840.10008.1.2.1\0", b"9.9.840.10008.1.2.1\0"))
    assert "is not read" in refusal(dicom(syntax="1.2.840.10008.1.2.4.100", encode=lambda _: b"mpeg"))


def test_several_fragments_are_one_frame_and_several_frames_are_refused() -> None:
    from pydicom.encaps import encapsulate

    stream = gdcm_stream(ramp(12), JPEGLSLossless, 12)
    split = dicom(syntax=JPEGLSLossless, PixelData=encapsulate([stream], fragments_per_frame=3))
    np.testing.assert_array_equal(stored(split), ramp(12))
    assert "several frames" in refusal(dicom(syntax=JPEGLSLossless, PixelData=encapsulate([stream, stream])))


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_behind_the_mark_give_a_film_or_an_image_error(body: bytes) -> None:
    for head in (dicom()[:344], bytes(128) + b"DICM"):
        check_decodes_or_refuses(head + body)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), source=st.sampled_from(small_files()))
def test_mutated_files_give_a_film_or_an_image_error(data: st.DataObject, source: bytes) -> None:
    mutated = bytearray(source)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(128, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    check_decodes_or_refuses(bytes(mutated))


def check_decodes_or_refuses(data: bytes) -> None:
    try:
        film = decode_film(data, Limits(max_pixels=1_000_000))
    except ImageError:
        return
    assert (film.grey.ndim, film.grey.dtype) == (2, np.uint8)


# ---- nobody's name


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


def test_polyglots_and_programs_are_refused() -> None:
    file = dicom()
    assert "both a picture and DICOM" in refusal(b"\x89PNG\r\n\x1a\n".ljust(128, b"\0") + file[128:])
    assert "begins as a program" in refusal(b"MZ\x90".ljust(128, b"\0") + file[128:])
    np.testing.assert_array_equal(decode_image(b"II*\0".ljust(128, b"\0") + file[128:]), decode_image(file))


# ---- the processes that decode


def worker() -> codecs.Worker:
    """The idle worker that the next decode of this process takes."""
    decode_image(small_files()[-2])
    return codecs._pool()._idle[-1]


def test_a_killed_worker_is_replaced() -> None:
    expected, process = decode_image(small_files()[-2]), worker().process
    process.kill()
    process.wait()
    np.testing.assert_array_equal(decode_image(small_files()[-2]), expected)
    assert worker().process.pid != process.pid


def test_a_worker_that_dies_over_an_image_costs_that_image_only() -> None:
    process = worker().process
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(0.2, process.kill).start()
    assert "cannot be decoded within 1.0 s" in refusal(small_files()[-2])
    assert decode_image(small_files()[-2]).shape == (24, 40)


def test_a_worker_that_hangs_is_killed_in_time() -> None:
    process = worker().process
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert "cannot be decoded within 1.0 s" in refusal(small_files()[-2])
    assert time.monotonic() - started < 2
    assert process.poll() is not None
    assert decode_image(small_files()[-2]).shape == (24, 40)


def test_a_worker_has_bounded_memory() -> None:
    limits = Path(f"/proc/{worker().process.pid}/limits")
    if not limits.exists():
        pytest.skip("There is no /proc here")
    (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max address space")]
    assert line.split()[3] == str(MEMORY_BYTES)


def test_a_damaged_stream_is_refused_and_the_worker_lives_on() -> None:
    whole = small_files()[-2]
    process = worker().process
    assert "compressed pixel data cannot be decoded" in refusal(whole[:-120] + bytes(120 - 8) + whole[-8:])
    assert worker().process.pid == process.pid


def test_threads_share_the_workers_and_decode_alike() -> None:
    files = [dicom(np.roll(ramp(12), shift), syntax=JPEG2000Lossless) for shift in range(6)]
    found: dict[int, NDArray[Any]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = stored(files[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        np.testing.assert_array_equal(found[number], np.roll(ramp(12), number))


ENDING = """
import os, signal, sys
from chest_xray.images import codecs
from chest_xray.images.decode import decode_image
decode_image(open(sys.argv[1], "rb").read())
print(codecs._pool()._idle[-1].process.pid, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["returned", "killed"])
def test_workers_end_with_their_parent(how: str, tmp_path: Path) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(small_files()[-2])
    done = run_python(ENDING, str(file), how)
    assert done.stderr == ""
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    assert time.monotonic() < deadline


def test_no_dicom_library_is_imported_by_the_process_that_decodes(tmp_path: Path) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(small_files()[-2])
    program = (
        "import sys; from chest_xray.images.decode import decode_image; decode_image(open(sys.argv[1], 'rb').read());"
        "print([name for name in sys.modules if name.partition('.')[0] in ('gdcm', '_gdcm', 'pydicom', 'openjpeg')])"
    )
    assert run_python(program, str(file)).stdout.strip() == "[]"


def test_without_gdcm_a_compressed_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "_POOLS", {})
    monkeypatch.setitem(sys.modules, "gdcm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'chest-xray-classifier[dicom]'" in refusal(small_files()[-2])
    assert decode_image(small_files()[0]).shape == (24, 40)
