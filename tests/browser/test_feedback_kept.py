"""What is kept of a reader's feedback when they change their mind, or when the model changes."""

from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, Reading, write_films
from tests.browser.serving import ENDPOINT, Server
from tests.support import bundles

from chest_xray.records.ground_truth import GroundTruthLog

LEAVING = "() => { const event = new Event('beforeunload', {cancelable: true}); return !dispatchEvent(event); }"


def kept(server: Server) -> list[dict[str, bool]]:
    return [dict(truth.findings) for truth in GroundTruthLog.kept(server.home, ENDPOINT).read().truths.values()]


def test_a_judgement_that_is_taken_back_leaves_nothing_to_send(page: Page, server: Server, tmp_path: Path) -> None:
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open().add(film).choose(film)
    agree = reading.finding("Effusion").get_by_label("Effusion: agree", exact=True)

    agree.click()
    expect(page.locator("#feedback-state")).to_have_text("1 finding judged, not sent yet.")
    assert page.evaluate(LEAVING)
    agree.click()

    expect(page.locator("#feedback-state")).to_be_empty()
    assert not page.evaluate(LEAVING)
    page.locator("#note").fill("  ")
    expect(page.locator("#send")).to_be_disabled()

    page.locator("#note").fill("fibrosis")
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("Kept as ground truth")
    page.locator("#note").fill("")
    expect(page.locator("#feedback-state")).to_contain_text("What was sent stays kept")
    expect(page.locator("#send")).to_be_disabled()


def test_feedback_on_a_model_that_is_gone_is_refused_and_sent_for_the_next_one(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("status of 409", "request failed", "Failed to load resource")
    own_server.deploy()
    own_server.start()
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, own_server).open().add(film).choose(film)
    old = page.locator("#digest").inner_text()
    own_server.kill()
    own_server.deploy(guard=bundles.GUARD.model_copy(update={"threshold": bundles.GUARD.threshold * 2}))
    own_server.start()

    reading.finding("Hernia").get_by_label("Hernia: present", exact=True).click()
    page.locator("#send").click()

    expect(page.locator("#feedback-state")).to_contain_text("another model", timeout=LOADED)
    expect(page.locator("#digest")).not_to_have_text(old)
    page.get_by_role("button", name="Score it again").click()
    expect(page.locator("#feedback-state")).to_have_text("1 finding judged, not sent yet.", timeout=LOADED)
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("Kept as ground truth")
    assert kept(own_server) == [{"Hernia": True}]
