"""What the viewer draws, pixel for pixel, against numpy; on the graphics processor and without one."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page
from tests.browser.conftest import Faults
from tests.browser.serving import Server
from tests.browser.viewer.viewing import Viewing
from tests.support.bundles import png
from tests.support.dicom_files import dicom

from chest_xray.images.class_maps import OPACITY, overlay
from chest_xray.inference.heatmap import map_png

DICOM = "application/dicom"
RENDERERS = ("webgl2", "canvas2d")
CAM = np.array([[0.2, -1.0, 3.0, 0.4], [1.0, 2.0, -0.3, 0.1], [0.0, 0.4, 1.5, 2.2]], dtype=np.float32)

Open = Callable[..., Viewing]


@pytest.fixture(params=RENDERERS)
def renderer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def opened(page: Page, server: Server, renderer: str) -> Open:
    """A viewer of `renderer` with a size, showing a file."""

    def opened(image: bytes, size: tuple[int, int] = (300, 200), media_type: str = "image/png") -> Viewing:
        viewing = Viewing(page, server, size, renderer=renderer)
        viewing.load(image, media_type)
        assert viewing.state()["renderer"] == renderer
        return viewing

    return opened


def noise(height: int, width: int, top: int = 65536, seed: int = 0) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, top, (height, width), dtype=np.uint16, endpoint=False)


def smooth(height: int, width: int) -> NDArray[np.uint16]:
    """A film without detail finer than 20 pixels, over all of 16 bits."""
    y, x = np.mgrid[:height, :width]
    waves = np.asarray((np.sin(x / 23) + np.cos(y / 31) + np.sin((x + y) / 41) + 3) / 6)
    return (waves * 65535).astype(np.uint16)


def grey(values: NDArray[np.number], low: float, high: float) -> NDArray[np.int64]:
    return np.rint(255 * np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)).astype(np.int64)


def middle(picture: NDArray[np.integer], height: int, width: int) -> NDArray[np.int64]:
    """The part of a picture that a film in its middle covers."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width].astype(np.int64)


def apart(a: NDArray[np.integer], b: NDArray[np.integer]) -> int:
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def test_at_one_to_one_every_pixel_of_a_16_bit_film_is_seen_as_it_is(opened: Open) -> None:
    film = noise(120, 161)
    viewing = opened(png(film))
    viewing.act("one-to-one")
    viewing.call("setWindow", {"width": 40000, "level": 30000})
    picture = viewing.pixels()
    assert np.ptp(picture, axis=2).max() == 0
    # A film of odd width is moved by half a pixel rather than smeared over two.
    expected = grey(film, 10000, 50000)
    assert apart(picture[40:160, 70:231, 0], expected) <= 1
    assert picture[:40].max() == picture[:, :69].max() == 0


def test_a_narrow_window_over_12_bits_tells_neighbouring_values_apart(opened: Open) -> None:
    film = noise(100, 120, top=4096)
    film[:20] = 1000 + np.arange(120) % 17
    viewing = opened(dicom(film, bits=12), media_type=DICOM)
    viewing.act("one-to-one")
    viewing.call("setWindow", {"width": 16, "level": 1008})
    shown = middle(viewing.pixels()[..., 0], 100, 120)
    assert apart(shown, grey(film, 1000, 1016)) <= 1
    assert len(np.unique(shown[:20])) == 17


def test_rescaled_values_are_windowed_in_the_units_of_the_file(opened: Open) -> None:
    film = noise(100, 120, top=4096)
    viewing = opened(dicom(film, bits=12, RescaleSlope="0.5", RescaleIntercept="-1024"), media_type=DICOM)
    viewing.act("one-to-one")
    viewing.call("setWindow", {"width": 200, "level": 0})
    assert viewing.state()["window"] == pytest.approx({"width": 200, "level": 0})
    assert apart(middle(viewing.pixels()[..., 0], 100, 120), grey(film * 0.5 - 1024, -100, 100)) <= 1


def test_inverted_is_the_negative_and_inverted_twice_is_the_film(opened: Open) -> None:
    viewing = opened(png(noise(100, 120)))
    viewing.act("one-to-one")
    upright = middle(viewing.pixels(), 100, 120)
    viewing.act("invert")
    assert apart(middle(viewing.pixels(), 100, 120), 255 - upright) <= 1
    viewing.act("invert")
    assert apart(middle(viewing.pixels(), 100, 120), upright) == 0


def test_a_monochrome1_file_is_inverted_from_the_start(opened: Open) -> None:
    film = noise(100, 120, top=4096)
    viewing = opened(dicom(film, bits=12, PhotometricInterpretation="MONOCHROME1"), media_type=DICOM)
    viewing.act("one-to-one")
    assert viewing.state()["inverted"]
    assert apart(middle(viewing.pixels()[..., 0], 100, 120), grey(film.max() - film, 0, float(np.ptp(film)))) <= 1


@pytest.mark.parametrize(("actions", "turns"), [(["rotate-right"], -1), (["rotate-left"], 1), (["rotate-left"] * 2, 2)])
def test_a_turned_film_shows_the_same_pixels_elsewhere(opened: Open, actions: list[str], turns: int) -> None:
    film = noise(100, 120)
    viewing = opened(png(film), (300, 300))
    viewing.act("one-to-one", *actions)
    expected = np.rot90(grey(film, film.min(), film.max()), turns)
    assert apart(middle(viewing.pixels()[..., 0], *expected.shape), expected) <= 1


def test_large_pixels_are_squares(opened: Open) -> None:
    film = noise(30, 40)
    viewing = opened(png(film), (400, 300))
    viewing.act("one-to-one")
    zoom = viewing.state()["zoom"]
    viewing.act(*["zoom-in"] * 7)
    assert viewing.state()["zoom"] == pytest.approx(zoom * 1.25**7)
    shown = viewing.pixels()[..., 0]
    scale = viewing.state()["zoom"]
    rows = np.floor((np.arange(300) + 0.5 - 150) / scale + 15).astype(int)
    columns = np.floor((np.arange(400) + 0.5 - 200) / scale + 20).astype(int)
    tall, wide = (rows >= 0) & (rows < 30), (columns >= 0) & (columns < 40)
    expected = grey(film, film.min(), film.max())[rows[tall]][:, columns[wide]]
    # Where a pixel's edge falls on the middle of one of the screen's, either side is right.
    assert (np.abs(shown[tall][:, wide] - expected) > 1).mean() < 0.002
    assert shown[~tall].max(initial=0) == 0


def test_a_film_at_half_its_size_is_the_mean_of_four_pixels(opened: Open) -> None:
    film = noise(400, 600)
    viewing = opened(png(film))
    assert viewing.state()["zoom"] == 0.5
    means = film.reshape(200, 2, 300, 2).mean(axis=(1, 3))
    assert apart(viewing.pixels()[..., 0], grey(means, film.min(), film.max())) <= 1


def test_between_two_sizes_nothing_is_lost_and_nothing_rings(opened: Open) -> None:
    film = smooth(900, 1300)
    viewing = opened(png(film), (312, 216))
    expected = np.asarray(Image.fromarray(film.astype(np.float32)).resize((312, 216), Image.Resampling.BOX))
    shown = viewing.pixels()[..., 0].astype(np.int64)
    assert np.abs(shown - grey(expected, film.min(), film.max())).mean() < 2


def test_the_picture_fills_the_screens_own_pixels(browser: Browser, server: Server, renderer: str) -> None:
    film = noise(200, 300)
    context = browser.new_context(viewport={"width": 400, "height": 300}, device_scale_factor=2)
    viewing = Viewing(context.new_page(), server, (150, 100), renderer=renderer)
    viewing.load(png(film))
    assert viewing.state()["zoom"] == 1
    assert apart(viewing.pixels()[..., 0], grey(film, film.min(), film.max())) <= 1
    context.close()


def test_what_is_on_the_screen_is_what_is_on_the_canvas(opened: Open, page: Page) -> None:
    viewing = opened(png(smooth(200, 300)))
    viewing.call("setMap", {"rows": CAM.tolist(), "scale": 3})
    with Image.open(io.BytesIO(page.locator("#a").screenshot())) as shot:
        assert apart(np.asarray(shot.convert("RGB")), viewing.pixels()) <= 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_map_lies_over_the_film_as_the_server_draws_it(opened: Open, turns: int) -> None:
    film = np.asarray(smooth(200, 260) >> 8, dtype=np.uint8)
    viewing = opened(png(film), (300, 300))
    viewing.call("setWindow", {"width": 255, "level": 127.5})
    viewing.call("setMap", {"rows": CAM.tolist(), "scale": 3})
    viewing.call("setOpacity", OPACITY)
    viewing.act("one-to-one", *["rotate-left"] * turns)
    expected = np.rot90(overlay(film, CAM), turns)
    assert apart(middle(viewing.pixels(), *expected.shape[:2]), expected) <= 3


def test_a_map_over_nothing_is_the_servers_transparent_picture(opened: Open) -> None:
    viewing = opened(png(np.asarray(smooth(256, 256) >> 8, dtype=np.uint8)), (256, 256))
    viewing.call("setWindow", {"width": 1, "level": 1000})
    viewing.call("setMap", {"rows": CAM[:, :3].tolist(), "scale": 3})
    viewing.call("setOpacity", OPACITY)
    with Image.open(io.BytesIO(map_png(CAM[:, :3], 256))) as picture:
        rgba = np.asarray(picture.convert("RGBA")).astype(np.float64)
    assert apart(viewing.pixels(), np.rint(rgba[..., :3] * rgba[..., 3:] / 255).astype(np.int64)) <= 3


@pytest.mark.parametrize("opacity", [0.0, 0.25, 1.0])
def test_opacity_is_the_share_of_full_colour(opened: Open, opacity: float) -> None:
    viewing = opened(png(np.zeros((64, 64), dtype=np.uint8)), (64, 64))
    viewing.call("setWindow", {"width": 255, "level": 127.5})
    viewing.call("setMap", {"rows": [[1.0]], "scale": 1})
    viewing.call("setOpacity", opacity)
    assert viewing.pixels()[32, 32].tolist() == [round(opacity * channel) for channel in (240, 249, 33)]
    viewing.call("setMap", None)
    assert viewing.pixels().max() == 0


def test_both_renderers_draw_the_same(page: Page, server: Server) -> None:
    film = png(smooth(700, 933))
    pictures: dict[str, list[NDArray[np.uint8]]] = {}
    for renderer in RENDERERS:
        viewing = Viewing(page, server, (317, 255), renderer=renderer)
        viewing.load(film)
        viewing.call("setMap", {"rows": CAM.tolist(), "scale": 2.5})
        pictures[renderer] = [viewing.pixels()]
        for actions in (
            ["rotate-right"],
            ["zoom-in"] * 3,
            ["pan-left", "window-narrower"],
            ["zoom-in"] * 9,
            ["invert"],
        ):
            viewing.act(*actions)
            pictures[renderer].append(viewing.pixels())
        page.unroute_all()
    pairs = zip(*(pictures[renderer] for renderer in RENDERERS), strict=True)
    # Where a pixel's edge falls on the middle of one of the screen's, each may take another side.
    assert max(float(np.quantile(np.abs(a.astype(int) - b.astype(int)), 0.9999)) for a, b in pairs) <= 1


def test_after_a_drag_the_picture_is_as_exact_as_before(opened: Open, page: Page) -> None:
    viewing = opened(png(smooth(900, 1300)))
    page.mouse.move(150, 100)
    page.mouse.down()
    for step in range(20):
        page.mouse.move(150 + step, 100 + step)
    page.mouse.up()
    window = viewing.state()["window"]
    page.wait_for_timeout(200)
    dragged = viewing.pixels()
    viewing.act("reset")
    viewing.call("setWindow", window)
    assert apart(dragged, viewing.pixels()) == 0


def test_a_report_gets_the_whole_film_as_it_is_turned_and_windowed(opened: Open) -> None:
    viewing = opened(png(smooth(400, 600)), (120, 200))
    viewing.act("rotate-right", "zoom-in", "zoom-in", "pan-left", "invert")
    picture = viewing.snapshot(200)
    assert picture.shape == (300, 200, 3)
    viewing.act("fit")
    page = Image.fromarray(picture).resize((120, 180), Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(page).astype(int) - middle_rows(viewing.pixels(), 180)).mean() < 2


def middle_rows(picture: NDArray[np.uint8], height: int) -> NDArray[np.int64]:
    top = (picture.shape[0] - height) // 2
    return picture[top : top + height].astype(np.int64)


def test_a_lost_graphics_context_comes_back_with_the_picture(page: Page, server: Server, faults: Faults) -> None:
    faults.expect("CONTEXT_LOST_WEBGL")
    viewing = Viewing(page, server, (300, 200), renderer="webgl2")
    viewing.load(png(smooth(400, 600)))
    viewing.call("setMap", {"rows": CAM.tolist(), "scale": 3})
    before = viewing.pixels()
    page.evaluate("""async () => {
      const canvas = document.querySelector("#a canvas");
      const extension = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
      const until = (name) => new Promise((resolve) => canvas.addEventListener(name, resolve, { once: true }));
      const lost = until("webglcontextlost");
      extension.loseContext();
      await lost;
      const restored = until("webglcontextrestored");
      setTimeout(() => extension.restoreContext());
      await restored;
    }""")
    assert apart(viewing.pixels(), before) == 0


def test_a_film_too_large_for_a_texture_is_drawn_without_one(page: Page, server: Server) -> None:
    viewing = Viewing(page, server, (300, 200), renderer="webgl2")
    viewing.load(png(np.asarray(smooth(70, 9000) >> 8, dtype=np.uint8)))
    assert viewing.state()["renderer"] == "canvas2d"
    viewing.act("one-to-one")
    assert viewing.pixels()[100, 150].tolist() == viewing.pixels()[100, 150, [0, 0, 0]].tolist() != [0, 0, 0]
    viewing.load(png(noise(100, 120)))
    assert viewing.state()["renderer"] == "webgl2"


def test_a_processor_that_imitates_webgl_gets_the_faster_renderer(page: Page, server: Server) -> None:
    viewing = Viewing(page, server, (300, 200))
    viewing.load(png(noise(100, 120)))
    assert viewing.state()["renderer"] == "canvas2d"
