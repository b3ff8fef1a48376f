"""Modules that are loaded with the first film: what happens when one does not arrive, or the server is gone later."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, Reading, write_films
from tests.browser.serving import Server


def test_a_module_that_did_not_arrive_is_asked_for_again(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("request failed", "Failed to load resource")
    reading = Reading(page, server).open()
    page.route("**/page/viewer/canvas.js", lambda route: route.abort())
    (film,) = write_films(tmp_path, 1)

    reading.add(film)

    expect(page.locator("#first .corner.numbers")).to_contain_text("%", timeout=LOADED)
    expect(page.locator("#banner")).to_be_hidden(timeout=LOADED)


def test_what_was_scored_is_taken_away_while_the_server_is_gone(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("ERR_INTERNET_DISCONNECTED")
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)
    page.wait_for_function(
        "() => performance.getEntriesByName(new URL('/page/controls/help.js', location).href).length > 0"
    )
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)

    with page.expect_download() as waiting:
        page.locator("#take-json").click()
    page.keyboard.press("?")

    assert [film["file"] for film in json.loads(waiting.value.path().read_text())["films"]] == [film.name]
    expect(page.locator("#help")).to_be_visible()
