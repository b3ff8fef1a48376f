"""Windows that do not show the film are passed over with a warning; those that do are left alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.dicom_files import chest, dicom, lut

from chest_xray.images.decode import decode_film, decode_full
from chest_xray.images.exposure import fault_of_window, saturated

FULL = {"WindowCenter": "2048", "WindowWidth": "4096"}
FOR_8_BITS = {"WindowCenter": "128", "WindowWidth": "256"}
MEANT_FOR_OTHER_VALUES: dict[str, dict[str, Any]] = {
    "for 8 bits": FOR_8_BITS,
    "for 16 bits": {"WindowCenter": "32768", "WindowWidth": "65536"},
    "above all values": {"WindowCenter": "20000", "WindowWidth": "1000"},
    "below all values": {"WindowCenter": "-3000", "WindowWidth": "1000"},
    "sigmoid below all values": {"WindowCenter": "-9000", "WindowWidth": "500", "VOILUTFunction": "SIGMOID"},
    "table above all values": {"VOILUTSequence": lut(np.arange(4096), 20_000, 16)},
    "table of one grey": {"VOILUTSequence": lut(np.full(4096, 700), 0, 12)},
}


def over_its_range(pixels: NDArray[Any]) -> NDArray[np.float64]:
    low, high = int(pixels.min()), int(pixels.max())
    return np.asarray(np.rint((pixels.astype(np.float64) - low) * 255 / (high - low)))


def checks(data: bytes) -> list[str]:
    return [doubt.check for doubt in decode_film(data).doubts]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", MEANT_FOR_OTHER_VALUES)
def test_a_window_meant_for_other_values_is_replaced_by_the_films_range(name: str, photometric: str) -> None:
    data = dicom(chest(), PhotometricInterpretation=photometric, **MEANT_FOR_OTHER_VALUES[name])
    film = decode_film(data)
    expected = over_its_range(chest())
    np.testing.assert_allclose(film.grey, 255 - expected if photometric == "MONOCHROME1" else expected, atol=1)
    assert [doubt.check for doubt in film.doubts] == ["window"]
    assert film.doubts[0].detail.endswith("the film is shown over its own range of values instead.")


def test_the_warning_says_what_the_window_does() -> None:
    share = np.mean(chest() > 255)
    wide, narrow = (
        decode_film(dicom(chest(), **MEANT_FOR_OTHER_VALUES[name])) for name in ("for 16 bits", "for 8 bits")
    )
    assert wide.doubts[0].detail.startswith("The file's window shows the film in 14 of 256 greys;")
    assert narrow.doubts[0].detail.startswith(f"The file's window shows {share:.0%} of the film in one grey;")
    table = decode_film(dicom(chest(), **MEANT_FOR_OTHER_VALUES["table of one grey"]))
    assert table.doubts[0].detail.startswith("The file's VOI LUT shows 100% of the film in one grey;")


@pytest.mark.parametrize("name", MEANT_FOR_OTHER_VALUES)
def test_the_viewer_gets_the_window_that_the_network_got(name: str) -> None:
    data = dicom(chest(), **MEANT_FOR_OTHER_VALUES[name])
    full, film = decode_full(data), decode_film(data)
    low, high = full.window
    np.testing.assert_allclose(np.clip((full.film.grey - low) * 255 / (high - low), 0, 255), film.grey, atol=1)
    assert full.film.doubts == film.doubts
    assert not full.baked


def test_a_window_that_cuts_off_a_part_of_the_film_is_shown_as_a_viewer_shows_it() -> None:
    film = decode_film(dicom(chest(), WindowCenter="2048", WindowWidth="2048"))
    expected = np.clip(np.rint((chest() - (2047.5 - 2047 / 2)) * 255 / 2047), 0, 255)
    np.testing.assert_allclose(film.grey, expected, atol=1)
    assert film.doubts == ()


def collimated(outside: NDArray[Any] | int) -> NDArray[np.uint16]:
    """The drawn film with two fifths of it outside of the collimator."""
    pixels = chest().copy()
    inside = np.zeros(pixels.shape, bool)
    inside[30:150, 40:] = True
    return np.where(inside, pixels, outside).astype(np.uint16)


NOISE = np.random.default_rng(0).integers(0, 30, (160, 160))


@pytest.mark.parametrize("outside", [0, 4095, 1000, NOISE], ids=["black", "white", "grey", "noise"])
def test_what_the_collimator_covers_is_no_part_of_the_film(outside: NDArray[Any] | int) -> None:
    pixels = collimated(outside)
    good = decode_film(dicom(pixels, **FULL))
    np.testing.assert_allclose(good.grey, pixels * (255 / 4095), atol=1)
    assert good.doubts == ()
    assert checks(dicom(pixels, **FOR_8_BITS)) == ["window"]


def test_padding_is_no_part_of_the_film() -> None:
    pixels = chest().astype(np.int16)
    pixels[:, :120] = -2000
    padded = {"bits": 16, "PixelPaddingValue": -2000}
    assert checks(dicom(pixels, **padded, **FULL)) == []
    bad = decode_film(dicom(pixels, **padded, **FOR_8_BITS))
    assert [doubt.check for doubt in bad.doubts] == ["window"]
    np.testing.assert_allclose(bad.grey[:, 120:], over_its_range(pixels[:, 120:]), atol=1)
    assert not bad.grey[:, :120].any()


def test_a_few_odd_values_do_not_stretch_the_range_that_replaces_a_window() -> None:
    pixels = chest()
    pixels[5:9, 5:15] = 60_000 + np.arange(10, dtype=np.uint16)
    film = decode_film(dicom(pixels, bits=16, **FOR_8_BITS))
    assert [doubt.check for doubt in film.doubts] == ["window"]
    assert np.quantile(film.grey, 0.99) - np.quantile(film.grey, 0.01) > 150


def test_a_film_that_no_range_shows_stays_as_it_is() -> None:
    """Nine tenths of it have one value that lies between the others."""
    pixels = np.where(np.random.default_rng(0).random((160, 160)) < 0.9, 2000, chest()).astype(np.uint16)
    film = decode_film(dicom(pixels, **FULL))
    np.testing.assert_allclose(film.grey, pixels * (255 / 4095), atol=1)
    assert film.doubts == ()


def test_the_fault_of_a_window_by_hand() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(10)
    assert fault_of_window(ramp) is None
    assert fault_of_window(ramp[:0]) is None
    assert fault_of_window(np.concatenate([ramp, np.full(3 * len(ramp), 255, np.uint8)])) == (
        "shows 75% of the film in one grey"
    )
    assert fault_of_window(ramp // 8) == "shows the film in 32 of 256 greys"


def test_shares_of_black_and_white_are_of_the_exposed_field() -> None:
    grey = np.random.default_rng(0).integers(60, 200, (90, 90)).astype(np.uint8)
    assert saturated(grey) is None
    grey[:, :30] = 0
    assert saturated(grey) is None
    grey[:45, 45:] = 255
    assert saturated(grey) == pytest.approx((0.0, 45 * 45 / (90 * 60)))
    grey[60:, 32:] = 2
    black, white = saturated(grey) or (0.0, 0.0)
    assert (black, white) == pytest.approx((30 * 58 / (90 * 60), 45 * 45 / (90 * 60)))
