"""WCAG 2.1 AA by axe-core in each state and both themes, small screens, and how much the first paint fetches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, Response, expect
from tests.browser.conftest import Faults
from tests.browser.desk import REFUSAL, Reading, write_films
from tests.browser.serving import Server

AXE: Final = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
PHONE: Final = (360, 740)
FIRST_PAINT_BYTES: Final = 100_000


def violations(page: Page) -> list[str]:
    """What axe finds, a line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("(rules) => axe.run(document, rules).then((r) => r.violations)", RULES)
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def scored(reading: Reading, folder: Path) -> None:
    """A film with a map and a judgement, and a refused file."""
    (film,) = write_films(folder, 1)
    text = folder / "notes.txt"
    text.write_text("no film")
    reading.add(film, text).choose(film).pick("Effusion")
    reading.finding("Mass").locator(".judge").first.click()


def refused(reading: Reading, folder: Path) -> None:
    """A refused file is the chosen one."""
    scored(reading, folder)
    reading.row(folder / "notes.txt").click()


def helped(reading: Reading, folder: Path) -> None:
    """The help is open."""
    del folder
    reading.page.keyboard.press("?")
    expect(reading.page.locator("#help")).to_be_visible()


def asked(reading: Reading, folder: Path) -> None:
    """The key is asked for."""
    del folder
    reading.page.evaluate("() => document.getElementById('key-dialog').showModal()")


def compared(reading: Reading, folder: Path) -> None:
    """Two films stand side by side."""
    first, second = write_films(folder, 2)
    reading.add(first, second).choose(first)
    reading.page.locator("#compare").click()
    reading.row(second).click()


def empty(reading: Reading, folder: Path) -> None:
    """Nothing was chosen yet."""


STATES: Final[list[Callable[[Reading, Path], None]]] = [empty, scored, refused, helped, asked, compared]


@pytest.mark.node
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("size", [(1280, 800), PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_in_either_theme(
    page: Page,
    server: Server,
    faults: Faults,
    tmp_path: Path,
    state: Callable[[Reading, Path], None],
    size: tuple[int, int],
) -> None:
    faults.expect(REFUSAL)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    state(Reading(page, server).open(), tmp_path)
    for theme in ("dark", "light"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        assert violations(page) == [], theme
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]


def test_everything_is_reached_with_the_tab_key_and_has_a_visible_focus(
    page: Page, server: Server, tmp_path: Path
) -> None:
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const e = document.activeElement; const label = e.closest("label.button");
            if (e === document.body) return ["", ""];
            return [e.id || e.className, getComputedStyle(label ?? e).outlineStyle]; }"""
        )
        reached.add(name)
        assert outline != "none", name
    assert {"choose", "choose-folder", "films", "fit", "invert", "compare", "screen", "note", "theme"} <= reached


def test_the_empty_page_fetches_less_than_100_kb(page: Page, server: Server) -> None:
    fetched: list[Response] = []

    def note(response: Response) -> None:
        fetched.append(response)

    page.on("response", note)
    page.goto(server.address + "/", wait_until="networkidle")
    assert sum(len(response.body()) for response in fetched) < FIRST_PAINT_BYTES
    assert {response.url.split("/")[2] for response in fetched} == {server.address.split("/")[2]}
