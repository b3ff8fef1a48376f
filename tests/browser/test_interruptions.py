"""What the reader did is not lost when the server dies or is busy."""

from pathlib import Path

from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, Reading, write_films
from tests.browser.serving import Server

GONE = r"Failed to load resource|ERR_CONNECTION|request failed"
BUSY = '{"type": "about:blank", "title": "Busy", "status": 503, "code": "busy", "detail": "Busy.", "request_id": "1"}'


def test_feedback_that_could_not_be_sent_is_kept_and_sent_again(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(GONE)
    own_server.deploy()
    own_server.start()
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, own_server).open().add(film).choose(film)
    reading.finding("Effusion").locator(".judge").first.click()
    own_server.kill()
    page.click("#send")
    expect(page.locator("#feedback-state")).to_contain_text("Nothing is lost")
    expect(reading.row(film)).to_contain_text("not sent")

    own_server.start()
    expect(page.locator("#banner")).to_be_hidden(timeout=LOADED)
    page.click("#send")
    expect(page.locator("#feedback-state")).to_contain_text("Kept as ground truth", timeout=LOADED)


def test_a_busy_server_is_waited_for_as_long_as_it_asks(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("status of 503")
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open()
    refusals: list[Route] = []

    def refuse_once(route: Route) -> None:
        if refusals:
            route.continue_()
            return
        refusals.append(route)
        route.fulfill(status=503, body=BUSY, headers={"Content-Type": "application/problem+json", "Retry-After": "3"})

    page.route("**/v1/predictions**", refuse_once)
    page.set_input_files("#choose", film)
    expect(page.locator("#banner")).to_contain_text("What waits is kept")
    expect(reading.row(film)).to_contain_text("waiting")
    expect(reading.row(film)).to_contain_text("Atelectasis", timeout=LOADED)
    expect(page.locator("#banner")).to_be_hidden()
