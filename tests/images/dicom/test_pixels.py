"""DICOM's pixels: every transfer syntax gives the stored values."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.dicom_files import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    dicom,
    jpeg_stream,
    ramp,
)
from tests.support.dicom_reading import element, refusal, stored

from chest_xray.images.decode import decode_image

JPEGLossless14 = "1.2.840.10008.1.2.4.57"
JPEGLSNearLossless = "1.2.840.10008.1.2.4.81"
JPEG2000 = "1.2.840.10008.1.2.4.91"
JPEGExtended = "1.2.840.10008.1.2.4.51"
IN_WORKER = [JPEGLossless14, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000]
LOSSLESS = [DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, *IN_WORKER]


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
