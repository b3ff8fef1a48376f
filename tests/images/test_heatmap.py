"""What a person sees of a heat map."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from tests.support.bundles import film, png

from chest_xray.images.class_maps import FAINT, OPACITY, colours, evidence, overlay
from chest_xray.inference import heatmap
from chest_xray.inference.heatmap import LEGEND_WIDTH, map_png, overlay_png
from chest_xray.notices import RESEARCH_USE_ONLY

CORNER = np.array([[-3, -3, -3, 8], [-3, -3, -3, -3], [-3, -3, -3, -3], [-3, -3, -3, -3]], dtype=np.float32)


def test_colours_are_plasma() -> None:
    levels = np.linspace(0, 1, 256)
    expected = colormaps["plasma"](np.arange(256))[:, :3] * 255
    np.testing.assert_allclose(colours(levels), expected, atol=6)
    np.testing.assert_array_equal(colours(np.array([-1.0, 2.0])), colours(np.array([0.0, 1.0])))


def test_each_cell_is_the_square_that_it_is() -> None:
    cam = np.arange(-2, 10, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(evidence(cam, 30, 20), np.kron(np.maximum(cam, 0), np.ones((10, 5))))
    np.testing.assert_array_equal(np.unique(evidence(cam, 224, 224)), np.arange(10))


def test_evidence_stands_where_the_map_has_it_and_is_never_negative() -> None:
    enlarged = evidence(CORNER, 80, 120)
    assert enlarged.shape == (80, 120)
    row, column = np.unravel_index(enlarged.argmax(), enlarged.shape)
    assert row < 20
    assert column >= 90
    assert enlarged.min() == 0
    assert not enlarged[40:, :].any()


def test_a_film_without_evidence_is_left_as_it_is() -> None:
    grey = film()
    np.testing.assert_array_equal(overlay(grey, np.full((2, 2), -1, dtype=np.float32)), np.dstack([grey] * 3))


def test_the_strongest_evidence_has_the_last_colour_at_full_opacity() -> None:
    black = np.zeros((40, 40), dtype=np.uint8)
    drawn = overlay(black, np.full((2, 2), 5, dtype=np.float32))
    np.testing.assert_allclose(drawn[0, 0], colours(np.array(1.0)) * OPACITY, atol=1)


def test_little_evidence_is_drawn_faintly_instead_of_being_stretched() -> None:
    grey = film()
    faint = overlay(grey, np.full((2, 2), 0.05 * FAINT, dtype=np.float32)).astype(int)
    assert np.abs(faint - grey[..., None]).max() <= 255 * OPACITY * 0.05 + 1


def test_maps_drawn_to_one_scale_can_be_compared() -> None:
    black = np.zeros((40, 40), dtype=np.uint8)
    half = overlay(black, np.full((2, 2), 5, dtype=np.float32), full=10.0)
    np.testing.assert_allclose(half[0, 0], colours(np.array(0.5)) * OPACITY * 0.5, atol=1)


def test_a_16_bit_film_is_shown_from_its_darkest_to_its_brightest_value() -> None:
    deep = np.array([[1000, 2000], [3000, 3000]], dtype=np.uint16)
    shown = overlay(deep, np.full((1, 1), -1, dtype=np.float32))
    assert shown[..., 0].tolist() == [[0, 128], [255, 255]]


def test_a_map_alone_laid_over_the_film_looks_as_overlay_draws_it() -> None:
    grey = film()
    with Image.open(io.BytesIO(map_png(CORNER, 64))) as picture:
        assert (picture.format, picture.size) == ("PNG", (64, 64))
        layer = picture.convert("RGBA")
    laid = Image.alpha_composite(Image.fromarray(grey).convert("RGBA"), layer).convert("RGB")
    np.testing.assert_allclose(np.asarray(laid).astype(int), overlay(grey, CORNER), atol=2)


def test_a_map_alone_is_transparent_where_there_is_no_evidence() -> None:
    with Image.open(io.BytesIO(map_png(CORNER, 64))) as picture:
        opacity = np.asarray(picture.convert("RGBA"))[..., 3]
    assert not opacity[32:].any()
    assert opacity.max() == round(255 * OPACITY)


@pytest.mark.parametrize(("caption", "size"), [(None, (64, 64)), ("Mass 0.50", (LEGEND_WIDTH, LEGEND_WIDTH + 57))])
def test_the_picture_is_a_png_with_a_legend_only_under_a_caption(caption: str | None, size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(overlay_png(png(film()), CORNER, caption=caption))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", size)


def test_the_legend_has_the_caption_the_notice_and_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    draw_text = heatmap.ImageDraw.ImageDraw.text

    def record(self: object, xy: object, text: str, *args: object, **kwargs: object) -> None:
        written.append(text)
        draw_text(self, xy, text, *args, **kwargs)

    monkeypatch.setattr(heatmap.ImageDraw.ImageDraw, "text", record)
    overlay_png(png(film()), CORNER, caption="Mass 0.50")
    assert {"Mass 0.50", RESEARCH_USE_ONLY, "0", "+8.0"} <= set(written)
