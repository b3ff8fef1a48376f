"""Images: what is decoded, to which values, and what is refused with one line."""

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chest_xray.errors import ImageError, ImageTooLargeError
from chest_xray.images.decode import decode_image
from chest_xray.images.limits import Limits
from chest_xray.images.preprocess import preprocess


def ramp(height: int = 12, width: int = 20) -> np.ndarray:
    return (np.arange(height * width).reshape(height, width) % 256).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """`png` with one more chunk right after IHDR (8 bytes of signature, 25 of IHDR)."""
    return png[:33] + chunk(kind, body) + png[33:]


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_jpeg_exif(jpeg: bytes, tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


PNG = encoded(Image.fromarray(ramp()))
JPEG = encoded(Image.fromarray(ramp()), "JPEG", quality=95)


# ---- values


def test_grey_png_keeps_its_values() -> None:
    grey = decode_image(PNG)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, ramp())


def test_16_bit_png_keeps_its_values() -> None:
    values = (ramp().astype(np.uint16) * 257) ^ 3
    grey = decode_image(encoded(Image.fromarray(values)))
    assert grey.dtype == np.uint16
    np.testing.assert_array_equal(grey, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_copies_of_a_grey_image_give_the_grey_values(mode: str) -> None:
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(ramp()).convert(mode))), ramp())


def test_palette_png() -> None:
    image = Image.fromarray(ramp())
    image.putpalette([value for grey in range(255, -1, -1) for value in (grey, grey, grey)])
    np.testing.assert_array_equal(decode_image(encoded(image)), 255 - ramp())


def test_palette_png_with_transparency_is_black_there() -> None:
    image = Image.fromarray(ramp())
    image.putpalette([value for grey in range(256) for value in (grey, grey, grey)])
    alpha = bytes([255] * 200 + [0] * 56)
    expected = np.where(ramp() < 200, ramp(), 0)
    np.testing.assert_array_equal(decode_image(encoded(image, transparency=alpha)), expected)


def test_one_bit_png_is_black_and_white() -> None:
    bits = ramp() > 100
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(bits))), bits * np.uint8(255))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_black(mode: str) -> None:
    image = Image.fromarray(np.full((4, 4), 200, np.uint8)).convert(mode)
    image.putalpha(Image.fromarray(np.array([[0, 255, 0, 255]] * 4, np.uint8)))
    np.testing.assert_array_equal(decode_image(encoded(image)), np.array([[0, 200, 0, 200]] * 4, np.uint8))


def test_colours_become_luma() -> None:
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert decode_image(encoded(red)).tolist() == [[76, 76], [76, 76]]


def test_jpeg_is_close_to_its_source() -> None:
    error = np.abs(decode_image(JPEG).astype(int) - ramp())
    assert error.mean() < 3


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_colour_jpeg_is_close_to_its_grey_source(mode: str) -> None:
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    grey = decode_image(encoded(Image.fromarray(smooth).convert("RGB").convert(mode), "JPEG", quality=95))
    assert grey.shape == (64, 64)
    assert np.abs(grey.astype(int) - smooth).max() <= 8


def test_progressive_jpeg() -> None:
    progressive = encoded(Image.fromarray(ramp()), "JPEG", quality=95, progressive=True)
    np.testing.assert_array_equal(decode_image(progressive), decode_image(JPEG))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_what_a_viewer_shows(orientation: int, order: str) -> None:
    # The tag's meaning in numpy's words, from the table of the EXIF standard (row 0 / column 0).
    shown = {
        1: ramp(),
        2: np.fliplr(ramp()),
        3: np.rot90(ramp(), 2),
        4: np.flipud(ramp()),
        5: ramp().T,
        6: np.rot90(ramp(), -1),
        7: np.rot90(ramp(), 2).T,
        8: np.rot90(ramp(), 1),
    }[orientation]
    np.testing.assert_array_equal(decode_image(with_chunk(PNG, b"eXIf", exif(orientation, order))), shown)
    jpeg = decode_image(with_jpeg_exif(JPEG, exif(orientation, order)))
    assert jpeg.shape == shown.shape
    assert np.abs(jpeg.astype(int) - shown).mean() < 3


@given(st.binary(max_size=80))
def test_a_broken_exif_block_counts_as_upright_or_as_one_of_the_eight(tiff: bytes) -> None:
    grey = decode_image(with_chunk(PNG, b"eXIf", tiff))
    assert sorted(grey.ravel().tolist()) == sorted(ramp().ravel().tolist())


# ---- refusals


def refusal(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, limits) if limits else decode_image(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_first_bytes_of_a_foreign_file_are_quoted() -> None:
    assert refusal(b"DOE^JANE") == "The file is neither PNG nor JPEG nor DICOM."
    assert refusal(b"%PDF-1.7") == "The file is neither PNG nor JPEG nor DICOM but PDF."


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_a_film_higher_than_one_band_is_converted_whole(mode: str) -> None:
    tall = ramp(600, 7)
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(tall).convert(mode))), tall)


def test_empty_and_foreign_files() -> None:
    assert "empty" in refusal(b"")
    assert "neither PNG nor JPEG nor DICOM but GIF." in refusal(encoded(Image.fromarray(ramp()), "GIF"))
    assert "neither PNG nor JPEG" in refusal(b"\x89PN")


@pytest.mark.parametrize("keep", [9, 30, 40, len(PNG) // 2, len(PNG) - 13, len(PNG) - 1])
def test_truncated_png(keep: int) -> None:
    assert f"truncated: it ends after {keep} bytes" in refusal(PNG[:keep])


@pytest.mark.parametrize("keep", [3, 10, 100, 300])
def test_truncated_jpeg_header(keep: int) -> None:
    assert "truncated" in refusal(JPEG[:keep])


def test_truncated_jpeg_body() -> None:
    body = JPEG.rindex(b"\xff\xda") + 20
    assert "truncated" in refusal(JPEG[:body])


def test_flipped_bit_in_png_pixels() -> None:
    place = PNG.index(b"IDAT") + 10
    damaged = PNG[:place] + bytes([PNG[place] ^ 1]) + PNG[place + 1 :]
    assert refusal(damaged) == "The PNG file is damaged: the checksum of its IDAT chunk is wrong."


@pytest.mark.parametrize("rows", [0, 1, 11])
def test_missing_pixels_behind_right_checksums(rows: int) -> None:
    header = struct.pack(">IIBBBBB", 20, 12, 8, 0, 0, 0, 0)
    some = (b"\0" + bytes([7] * 20)) * rows
    few = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(some)) + chunk(b"IEND", b"")
    assert "its pixels cannot be decoded" in refusal(b"\x89PNG\r\n\x1a\n" + few)


def test_animated_png() -> None:
    frames = [Image.fromarray(ramp()), Image.fromarray(255 - ramp())]
    animated = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert "animated" in refusal(animated)


@pytest.mark.parametrize(("data", "size"), [(PNG, "20x12"), (JPEG, "20x12")], ids=["png", "jpeg"])
def test_size_is_checked_before_decoding(data: bytes, size: str) -> None:
    pixels_damaged = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    for limits in (Limits(max_side=19), Limits(max_pixels=239)):
        with pytest.raises(ImageTooLargeError, match=f"has {size} pixels"):
            decode_image(pixels_damaged if data is JPEG else data, limits)
    with pytest.raises(ImageTooLargeError, match=f"has {len(data):,} bytes; at most 70 "):
        decode_image(data, Limits(max_bytes=70))
    assert decode_image(data, Limits(max_bytes=len(data), max_side=20, max_pixels=240)).shape == (12, 20)


def test_the_colours_of_a_jpeg_count() -> None:
    colour = encoded(Image.fromarray(ramp()).convert("RGB"), "JPEG")
    assert decode_image(colour, Limits(max_pixels=360)).shape == (12, 20)
    with pytest.raises(ImageTooLargeError, match="20x12 pixels of 3 colours; at most 718 values"):
        decode_image(colour, Limits(max_pixels=359))


def test_a_bomb_is_refused_without_a_warning() -> None:
    """30,000 x 30,000 pixels in 900 kB: over Pillow's own bounds for a warning and for an error."""
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(bytes(900_000))) + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLargeError, match="30000x30000"):
        decode_image(bomb)


def test_an_image_between_pillows_bound_and_ours_does_not_warn() -> None:
    large = encoded(Image.new("1", (10_000, 9_500)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_image(large, Limits(max_pixels=100_000_000)).shape == (9_500, 10_000)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    progressive = encoded(Image.fromarray(ramp()), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    assert "scans; at most 64" in refusal(progressive[:-2] + scan * 60 + b"\xff\xd9")


@settings(max_examples=300, deadline=None)
@given(data=st.data(), source=st.sampled_from([PNG, JPEG]))
def test_mutated_files_give_an_array_or_an_image_error(data: st.DataObject, source: bytes) -> None:
    mutated = bytearray(source)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        if not mutated:
            break
    check_decodes_or_refuses(bytes(mutated))


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"gAMA", b"eXIf"]), body=st.binary(max_size=40)
)
def test_foreign_chunks_with_right_checksums_give_an_array_or_an_image_error(kind: bytes, body: bytes) -> None:
    check_decodes_or_refuses(with_chunk(PNG, kind, body))


@settings(max_examples=200, deadline=None)
@given(
    header=st.binary(min_size=5, max_size=5),
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    raw=st.binary(max_size=99),
)
def test_any_png_header_gives_an_array_or_an_image_error(header: bytes, width: int, height: int, raw: bytes) -> None:
    body = chunk(b"IHDR", struct.pack(">II", width, height) + header) + chunk(b"IDAT", zlib.compress(raw))
    check_decodes_or_refuses(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))


def check_decodes_or_refuses(data: bytes) -> None:
    try:
        grey = decode_image(data, Limits(max_pixels=1_000_000))
    except ImageError:
        return
    assert grey.ndim == 2
    assert grey.dtype in (np.uint8, np.uint16)


def test_threads_decode_alike() -> None:
    files = [encoded(Image.fromarray(np.roll(ramp(64, 64), shift))) for shift in range(8)]
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        for _ in range(20):
            results[number] = decode_image(files[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        np.testing.assert_array_equal(results[number], np.roll(ramp(64, 64), number))


# ---- preprocessing


def test_preprocess_averages_what_falls_into_a_pixel() -> None:
    """A checkerboard of single pixels is antialiased to its mean; sampling would keep black and white."""
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    small = preprocess(board, 32)
    assert small.dtype == np.uint8
    assert small.shape == (32, 32)
    assert abs(small.astype(int) - 127.5).max() <= 1


def test_preprocess_squashes_to_the_corners() -> None:
    film = np.zeros((60, 100), np.uint8)
    film[:30, :50] = 200
    small = preprocess(film, 20)
    assert small[:9, :9].min() == 200
    assert small[11:, 11:].max() == 0


@given(size=st.integers(1, 40), height=st.integers(1, 80), width=st.integers(1, 80), value=st.integers(0, 255))
def test_preprocess_keeps_a_flat_image_flat(size: int, height: int, width: int, value: int) -> None:
    assert np.unique(preprocess(np.full((height, width), value, np.uint8), size)).tolist() == [value]


def test_preprocess_gives_a_copy_at_its_own_size() -> None:
    film = ramp(20, 20)
    same = preprocess(film, 20)
    np.testing.assert_array_equal(same, film)
    assert not np.shares_memory(same, film)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bit_values_are_scaled_by_the_depth_in_use(bits: int) -> None:
    full = 2**bits - 1
    film = np.array([[0, full], [full // 2, full]], np.uint16)
    assert preprocess(film, 2).tolist() == [[0, 255], [127, 255]]


def test_a_12_bit_film_looks_like_its_8_bit_copy() -> None:
    film = np.tile(np.linspace(0, 4095, 512).astype(np.uint16), (512, 1))
    copy = np.rint(film / 4095 * 255).astype(np.uint8)
    assert np.abs(preprocess(film, 64).astype(int) - preprocess(copy, 64)).max() <= 1


def test_preprocess_refuses_what_is_no_grey_image() -> None:
    with pytest.raises(ValueError, match=r"shape \(H, W\); found \(2, 2, 3\)"):
        preprocess(np.zeros((2, 2, 3), np.uint8), 8)
    with pytest.raises(ValueError, match="found float64"):
        preprocess(np.zeros((2, 2)), 8)


@pytest.mark.real_data
def test_real_films_match_a_plain_pillow_pipeline(real_data: Path) -> None:
    films = sorted((real_data / "nih-fullsize" / "images").glob("*.png"))
    assert len(films) == 26
    for path in films:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("L").resize((224, 224), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(preprocess(decode_image(path.read_bytes()), 224), expected)
