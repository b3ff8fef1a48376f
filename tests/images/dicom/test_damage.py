"""Damaged, foreign and hostile DICOM is refused in one line, and nothing crashes."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.dicom_files import (
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    dicom,
    gdcm_stream,
    lut,
    ramp,
    small_files,
)
from tests.support.dicom_reading import before_pixels, element, refusal, stored

from chest_xray.errors import ImageError, ImageTooLargeError
from chest_xray.images.decode import decode_film, decode_image
from chest_xray.images.dicom.walk import MAX_DEPTH, MAX_ELEMENTS
from chest_xray.images.limits import Limits


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


def test_polyglots_and_programs_are_refused() -> None:
    file = dicom()
    assert "both a picture and DICOM" in refusal(b"\x89PNG\r\n\x1a\n".ljust(128, b"\0") + file[128:])
    assert "begins as a program" in refusal(b"MZ\x90".ljust(128, b"\0") + file[128:])
    np.testing.assert_array_equal(decode_image(b"II*\0".ljust(128, b"\0") + file[128:]), decode_image(file))
