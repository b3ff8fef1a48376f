"""Mouse, fingers and actions: what each does to zoom, place, window and orientation, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from tests.browser.serving import Server
from tests.browser.viewer.viewing import Viewing
from tests.support.bundles import png
from tests.support.dicom_files import dicom

SIZE = (400, 300)


@pytest.fixture
def viewing(page: Page, server: Server) -> Viewing:
    """A 12-bit film of 600 x 500 pixels in a viewer of 400 x 300."""
    viewing = Viewing(page, server, SIZE)
    y, x = np.mgrid[:500, :600]
    values = (x + 600 * (y % 6)).astype(np.uint16)
    viewing.load(dicom(values, bits=12, RescaleIntercept="-1000", RescaleSlope="1"), "application/dicom")
    return viewing


def drag(page: Page, way: tuple[int, int], *, button: Any = "left", start: tuple[int, int] = (200, 150)) -> None:
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(start[0] + way[0], start[1] + way[1], steps=4)
    page.mouse.up(button=button)


def without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in (*names, "pixel")}


def film_point(viewing: Viewing, x: int, y: int) -> dict[str, Any]:
    """The pixel below a point of the screen."""
    viewing.page.mouse.move(x + 1, y)
    viewing.page.mouse.move(x, y)
    pixel: dict[str, Any] = viewing.state()["pixel"]
    return pixel


def test_the_film_is_first_shown_whole_upright_and_in_its_own_window(viewing: Viewing) -> None:
    state = viewing.state()
    assert state["zoom"] == pytest.approx(300 / 500)
    assert state["window"] == pytest.approx({"width": 3599, "level": 799.5})
    assert (state["rotation"], state["inverted"], state["pixel"]) == (0, False, None)


def test_a_drag_to_the_right_widens_the_window_and_one_up_brightens_the_film(viewing: Viewing) -> None:
    first = viewing.state()
    dark = viewing.pixels().mean()
    drag(viewing.page, (64, 0))
    wider = viewing.state()
    assert wider["window"] == pytest.approx({"width": 3599 * (1 + 64 / 512), "level": 799.5})
    drag(viewing.page, (0, -64))
    assert viewing.state()["window"]["level"] == pytest.approx(799.5 - 3599 * 64 / 512)
    assert viewing.pixels().mean() > dark
    assert without(viewing.state(), "window") == without(first, "window")


def test_up_is_brighter_for_an_inverted_film_too(viewing: Viewing) -> None:
    viewing.act("invert")
    before = viewing.pixels().mean()
    drag(viewing.page, (0, -64))
    assert viewing.pixels().mean() > before


@pytest.mark.parametrize("button", ["middle", "right", "shift"])
def test_other_drags_move_the_film_by_as_much_as_the_pointer(viewing: Viewing, button: str) -> None:
    viewing.act("one-to-one")
    first, held = viewing.state(), film_point(viewing, 200, 150)
    if button == "shift":
        viewing.page.keyboard.down("Shift")
        drag(viewing.page, (60, -40))
        viewing.page.keyboard.up("Shift")
    else:
        drag(viewing.page, (60, -40), button=button)
    assert film_point(viewing, 260, 110) == held
    assert without(viewing.state()) == without(first)


def test_a_film_cannot_be_moved_out_of_sight(viewing: Viewing) -> None:
    for _ in range(30):
        viewing.act("pan-left")
    # Its left edge stays in the middle of the screen at most.
    assert film_point(viewing, 201, 150)["x"] <= 1


@pytest.mark.parametrize("control", [False, True], ids=["wheel", "pinch on a trackpad"])
def test_the_wheel_zooms_and_the_film_stays_below_the_pointer(viewing: Viewing, *, control: bool) -> None:
    held = film_point(viewing, 290, 80)
    before = viewing.state()
    if control:
        viewing.page.keyboard.down("Control")
    for _ in range(3):
        viewing.page.mouse.wheel(0, -20 if control else -100)
    if control:
        viewing.page.keyboard.up("Control")
    viewing.page.wait_for_function("(zoom) => window.viewers.a.state.zoom > 1.4 * zoom", arg=before["zoom"])
    now = film_point(viewing, 290, 80)
    assert abs(now["x"] - held["x"]) <= 1
    assert abs(now["y"] - held["y"]) <= 1
    assert without(viewing.state(), "zoom") == without(before, "zoom")


def test_a_double_click_shows_the_whole_film_again_and_keeps_the_rest(viewing: Viewing) -> None:
    viewing.act("rotate-right", "invert", "window-wider")
    whole = viewing.state()
    viewing.act("zoom-in", "zoom-in", "pan-up")
    viewing.page.mouse.dblclick(100, 100)
    assert without(viewing.state()) == without(whole)


def test_two_fingers_zoom_and_move_and_the_one_that_is_left_does_nothing(viewing: Viewing) -> None:
    before = viewing.state()
    touch = viewing.page.context.new_cdp_session(viewing.page)

    def send(kind: str, points: dict[int, tuple[int, int]]) -> None:
        fingers = [{"x": x, "y": y, "id": finger} for finger, (x, y) in points.items()]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    send("touchStart", {0: (150, 150), 1: (250, 150)})
    for step in range(1, 11):
        send("touchMove", {0: (150 - 5 * step, 150), 1: (250 + 5 * step, 150)})
    send("touchEnd", {0: (100, 150)})
    for step in range(1, 5):
        send("touchMove", {1: (300 + 20 * step, 150)})
    send("touchEnd", {})
    state = viewing.state()
    assert state["zoom"] == pytest.approx(2 * before["zoom"], rel=0.05)
    assert without(state, "zoom") == without(before, "zoom")
    send("touchStart", {0: (150, 150)})
    send("touchMove", {0: (200, 150)})
    send("touchMove", {0: (250, 150)})
    send("touchEnd", {})
    assert viewing.state()["window"]["width"] > before["window"]["width"]


def test_the_value_below_the_pointer_is_the_files_own(viewing: Viewing) -> None:
    viewing.act("one-to-one")
    pixel = film_point(viewing, 217, 133)
    assert (pixel["x"], pixel["y"]) == (317, 233)
    assert pixel["value"] == 317 + 600 * (233 % 6) - 1000
    viewing.act("rotate-right")
    assert film_point(viewing, 200, 150)["value"] == pytest.approx(300 + 600 * (250 % 6) - 1000, abs=601)
    viewing.page.mouse.move(700, 700)
    assert viewing.state()["pixel"] is None


def test_outside_of_the_film_there_is_no_value(viewing: Viewing) -> None:
    assert film_point(viewing, 5, 150) is None


@pytest.mark.parametrize(
    ("action", "back", "name"),
    [
        ("zoom-in", "zoom-out", "zoom"),
        ("rotate-left", "rotate-right", "rotation"),
        ("invert", "invert", "inverted"),
        ("window-wider", "window-narrower", "window"),
        ("level-up", "level-down", "window"),
    ],
)
def test_each_action_changes_one_thing_and_its_opposite_takes_it_back(
    viewing: Viewing, action: str, back: str, name: str
) -> None:
    viewing.act("one-to-one")
    first, picture = viewing.state(), viewing.pixels()
    viewing.act(action)
    changed = viewing.state()
    assert changed[name] != first[name]
    assert without(changed, name) == without(first, name)
    assert not np.array_equal(viewing.pixels(), picture)
    viewing.act(back)
    assert viewing.state()[name] == pytest.approx(first[name])
    assert np.abs(viewing.pixels().astype(int) - picture).max() <= 1


@pytest.mark.parametrize(
    ("action", "back", "way"),
    [("pan-left", "pan-right", (60, 0)), ("pan-up", "pan-down", (0, 60))],
)
def test_panning_by_key_moves_the_picture(viewing: Viewing, action: str, back: str, way: tuple[int, int]) -> None:
    viewing.act("one-to-one")
    before = viewing.pixels()
    viewing.act(action)
    x, y = way
    assert np.array_equal(viewing.pixels()[y:, x:], before[: 300 - y, : 400 - x])
    viewing.act(back)
    assert np.array_equal(viewing.pixels(), before)


def test_reset_forgets_all(viewing: Viewing) -> None:
    first = viewing.state()
    viewing.act("one-to-one", "rotate-left", "invert", "window-wider", "level-up", "pan-left", "reset")
    assert without(viewing.state()) == without(first)


def test_one_to_one_and_fit_are_what_they_say(viewing: Viewing) -> None:
    viewing.act("zoom-in", "one-to-one")
    assert viewing.state()["zoom"] == pytest.approx(1)
    viewing.act("rotate-left", "fit")
    assert viewing.state()["zoom"] == pytest.approx(300 / 600)


def test_a_whole_film_stays_whole_when_the_window_is_resized_and_a_zoomed_one_keeps_its_zoom(viewing: Viewing) -> None:
    resize = "([width, height]) => Object.assign(document.getElementById('a').style, { width, height })"
    viewing.page.evaluate(resize, ["600px", "250px"])
    viewing.page.wait_for_function("() => window.viewers.a.state.zoom === 0.5")
    viewing.act("one-to-one")
    viewing.page.evaluate(resize, ["300px", "300px"])
    viewing.page.wait_for_function("() => document.querySelector('#a canvas').width === 300")
    assert viewing.state()["zoom"] == pytest.approx(1)


def test_linked_viewers_look_at_the_same_place_of_films_of_other_sizes(page: Page, server: Server) -> None:
    viewing = Viewing(page, server, (300, 300), (300, 300))
    viewing.load(png(np.arange(400 * 400, dtype=np.uint16).reshape(400, 400)))
    viewing.load(png(np.arange(800 * 800, dtype=np.uint32).reshape(800, 800).astype(np.uint8)), viewer="b")
    viewing.act("zoom-in")
    page.evaluate("""async () => {
      const { link } = await import("/page/viewer/index.js");
      window.release = link(window.viewers.a, window.viewers.b);
    }""")
    a, b = viewing.state(), viewing.state("b")
    assert b["zoom"] == pytest.approx(a["zoom"] / 2)
    viewing.act("rotate-right", "invert", viewer="b")
    a, b = viewing.state(), viewing.state("b")
    assert (a["rotation"], a["inverted"]) == (b["rotation"], b["inverted"]) == (90, True)
    drag(page, (64, 0), start=(450, 150))
    share = viewing.state("b")["window"]["width"] / b["window"]["width"]
    assert share > 1
    assert viewing.state()["window"]["width"] / a["window"]["width"] == pytest.approx(share)
    page.evaluate("() => window.release()")
    viewing.act("rotate-right", viewer="b")
    assert viewing.state()["rotation"] == 90


def test_nothing_is_drawn_while_nothing_changes(viewing: Viewing) -> None:
    viewing.act("zoom-in")
    viewing.page.wait_for_timeout(300)
    count = "() => window.states.length"
    before = viewing.page.evaluate(count)
    viewing.page.wait_for_timeout(300)
    assert viewing.page.evaluate(count) == before


def test_without_a_film_nothing_is_seen_and_nothing_is_said(viewing: Viewing) -> None:
    viewing.call("show", None)
    viewing.act("zoom-in")
    drag(viewing.page, (20, 20))
    assert viewing.state() is None
    assert viewing.page.locator("#a canvas").is_hidden()


def test_a_destroyed_viewer_leaves_its_host_empty_and_deaf(viewing: Viewing) -> None:
    viewing.call("destroy")
    assert viewing.page.locator("#a > *").count() == 0
    said = viewing.page.evaluate("() => window.states.length")
    drag(viewing.page, (20, 20))
    assert viewing.page.evaluate("() => window.states.length") == said


def test_the_screen_and_the_film_are_turned_into_each_other(page: Page, server: Server) -> None:
    viewing = Viewing(page, server, SIZE)
    worst = viewing.page.evaluate("""async () => {
      const { fitted, panned, toFilm, toScreen, zoomedAt } = await import("/page/viewer/geometry.js");
      const [film, screen] = [{ width: 640, height: 480 }, { width: 301, height: 203 }];
      let worst = 0;
      for (const rotation of [0, 90, 180, 270]) {
        for (let i = 0; i < 200; i++) {
          const point = { x: (i * 37) % 301, y: (i * 53) % 203 };
          const moved = panned(fitted(film, screen, rotation), film, { x: i % 13, y: -(i % 7) });
          const pose = zoomedAt(moved, film, screen, { x: 150, y: 100 }, 0.6 + i / 40);
          const back = toScreen(pose, screen, toFilm(pose, screen, point));
          worst = Math.max(worst, Math.abs(back.x - point.x), Math.abs(back.y - point.y));
        }
      }
      return worst;
    }""")
    assert worst < 1e-9


def test_a_moving_picture_gets_coarser_where_drawing_is_slow_and_is_exact_at_rest(page: Page, server: Server) -> None:
    viewing = Viewing(page, server, SIZE)
    script = """async (intervals) => {
      const { Pace } = await import("/page/viewer/pace.js");
      let redrawn = 0;
      const pace = new Pace(() => (redrawn += 1));
      let now = 1000;
      for (const interval of intervals) {
        pace.move();
        pace.frame((now += interval));
      }
      const moving = pace.quality;
      pace.settle();
      pace.stop();
      return [moving, pace.quality, redrawn];
    }"""

    def qualities(intervals: list[float]) -> list[float]:
        measured: list[float] = viewing.page.evaluate(script, intervals)
        return measured

    assert qualities([16.7] * 60) == [1, 1, 0]
    assert qualities([*[16.7] * 12, 33.4] * 5) == [1, 1, 0]
    # Four times as long as a frame may take: a quarter of the pixels, half of them in each direction.
    assert qualities([66.7] * 4) == pytest.approx([0.5, 1, 1], rel=0.01)
    assert qualities([66.7] * 100)[0] == 0.4
