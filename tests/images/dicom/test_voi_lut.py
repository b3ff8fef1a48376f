"""VOI lookup tables: what is white is what their entries reach, whatever bits the descriptor names."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.dicom_files import ImplicitVRLittleEndian, chest, dicom, lut

from chest_xray.images.decode import decode_film

LINE = np.arange(4096)
GREY = np.rint(chest() * (255 / 4095)).astype(np.uint8)


def shown(pixels: NDArray[Any], **tags: Any) -> NDArray[np.int64]:
    """The grey levels of a file that nothing is said against."""
    film = decode_film(dicom(pixels, bits=13, **tags))
    assert film.doubts == ()
    return film.grey.astype(np.int64)


@pytest.mark.parametrize("said", [8, 10, 12, 14, 16])
def test_a_straight_line_of_12_bits_is_one_whatever_bits_are_said(said: int) -> None:
    assert np.abs(shown(chest(), VOILUTSequence=lut(LINE, 0, said)) - GREY).max() == 0


@pytest.mark.parametrize("largest", [255, 1023, 4000, 65_535])
@pytest.mark.parametrize("said", [8, 16])
def test_a_line_to_any_value_uses_all_greys_where_the_descriptor_is_wrong(largest: int, said: int) -> None:
    line = lut(np.rint(np.linspace(0, largest, 4096)), 0, said)
    assert np.abs(shown(chest(), VOILUTSequence=line) - GREY).max() <= 1


@pytest.mark.parametrize("said", [8, 16])
def test_monochrome1_is_the_mirror(said: int) -> None:
    line = lut(LINE, 0, said)
    inverted = shown(4095 - chest(), VOILUTSequence=line, PhotometricInterpretation="MONOCHROME1")
    assert np.abs(inverted - GREY).max() == 0


@pytest.mark.parametrize("first", [500, -1024])
@pytest.mark.parametrize("said", [8, 16])
def test_a_first_value_that_is_not_0(first: int, said: int) -> None:
    pixels = (chest().astype(np.int64) + first).astype(np.int16 if first < 0 else np.uint16)
    assert np.abs(shown(pixels, VOILUTSequence=lut(LINE, first, said)) - GREY).max() == 0
    rescaled = shown(chest(), RescaleSlope="1", RescaleIntercept=str(first), VOILUTSequence=lut(LINE, first, said))
    assert np.abs(rescaled - GREY).max() == 0


def test_a_table_of_a_part_of_the_values_ends_in_its_first_and_last_entry() -> None:
    """2065 entries from 736, said to have 16 bits: a descriptor that was met in the field."""
    line = np.rint(np.linspace(0, 4095, 2065))
    expected = np.rint((np.clip(chest().astype(np.int64) - 736, 0, 2064)) * 255 / 2064)
    assert np.abs(shown(chest(), VOILUTSequence=lut(line, 736, 16)) - expected).max() <= 1


@pytest.mark.parametrize("count", [4096, 4095])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_entries_of_8_bits_packed_two_in_a_word(count: int, syntax: str | None) -> None:
    more = {} if syntax is None else {"syntax": syntax}
    packed = lut((LINE // 16)[:count], 0, 8, packed=True)
    assert np.abs(shown(chest(), VOILUTSequence=packed, **more) - chest() // 16).max() == 0


def test_a_table_that_ends_short_of_white_as_its_descriptor_says_stays_so() -> None:
    """PS3.3 C.11.2.1.1: the entries of a 12-bit table are over 0..4095."""
    darker = lut(LINE * 3 // 4, 0, 12)
    assert np.abs(shown(chest(), VOILUTSequence=darker) - np.rint(GREY * 0.75)).max() <= 1


def test_a_modality_table_is_not_cut_off_at_the_bits_that_are_said() -> None:
    tables = {"ModalityLUTSequence": lut(LINE, 0, 8), "WindowCenter": "2048", "WindowWidth": "4096"}
    assert np.abs(shown(chest(), **tables) - GREY).max() == 0
