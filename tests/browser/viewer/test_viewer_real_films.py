"""Real films in the viewer: what is seen first is what the model was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from tests.browser.serving import Server
from tests.browser.viewer.viewing import Viewing

from chest_xray.images.class_maps import displayed
from chest_xray.images.decode import decode_film

pytestmark = pytest.mark.real_data


def first_of_mode(folder: Path, mode: str) -> Path:
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            if image.mode == mode:
                return path
    raise AssertionError(f"{folder} holds no {mode} film")


def assert_seen_as_decoded(viewing: Viewing, data: bytes, media_type: str) -> None:
    viewing.load(data, media_type)
    expected = displayed(decode_film(data).grey)
    height, width = expected.shape
    assert viewing.state()["zoom"] == 1
    assert viewing.pixels().shape == (height, width, 3)
    assert np.abs(viewing.pixels()[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_an_nih_film_is_seen_as_it_was_decoded(mode: str, real_data: Path, page: Page, server: Server) -> None:
    film = first_of_mode(real_data / "nih-fullsize" / "images", mode)
    viewing = Viewing(page, server, (1024, 1024))
    assert_seen_as_decoded(viewing, film.read_bytes(), "image/png")


def test_real_dicom_films_are_seen_as_they_were_decoded_monochrome1_too(
    real_data: Path, page: Page, server: Server
) -> None:
    viewing = Viewing(page, server, (1024, 1024))
    inverted = []
    for path in sorted((real_data / "dicom").iterdir()):
        assert_seen_as_decoded(viewing, path.read_bytes(), "application/dicom")
        inverted.append(viewing.state()["inverted"])
    assert sorted(inverted) == [False, True]
