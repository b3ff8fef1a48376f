"""What a reader says of a film, read back from the disk by what the monitor reads it with."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import REFUSAL, Reading, ask, write_films
from tests.browser.serving import ENDPOINT, Server

from chest_xray.findings import FINDINGS
from chest_xray.records.ground_truth import GroundTruthLog


@pytest.fixture
def reading(page: Page, server: Server, tmp_path: Path) -> Reading:
    (film,) = write_films(tmp_path, 1)
    return Reading(page, server).open().add(film).choose(film)


def kept(server: Server) -> dict[str, tuple[dict[str, bool], str]]:
    """Findings and note by event."""
    log = GroundTruthLog(server.home, ENDPOINT, FINDINGS)
    if not log.folder.is_dir():
        return {}
    found = log.read()
    assert found.faults == []
    return {event: (dict(truth.findings), truth.note) for event, truth in found.truths.items()}


def test_agreement_becomes_what_the_model_said_and_disagreement_its_opposite(
    reading: Reading, page: Page, server: Server, tmp_path: Path
) -> None:
    flags = {score["finding"]: score["flag"] for score in ask(server, tmp_path / "film-0.png")["findings"]}
    before = kept(server)

    reading.finding("Effusion").get_by_label("Effusion: agree", exact=True).click()
    reading.finding("Mass").get_by_label("Mass: disagree", exact=True).click()
    reading.finding("Hernia").get_by_label("Hernia: absent", exact=True).click()
    page.locator("#note").fill('=small, at the right base; "round"')
    page.locator("#send").click()

    expect(page.locator("#feedback-state")).to_contain_text("ground truth")
    ((event, (findings, note)),) = [pair for pair in kept(server).items() if pair[0] not in before]
    assert findings == {"Effusion": flags["Effusion"], "Mass": not flags["Mass"], "Hernia": False}
    assert note == '=small, at the right base; "round"'
    logs = (path.read_text().splitlines() for path in (server.home / "audit").glob("*.jsonl"))
    audited = [json.loads(line) for lines in logs for line in lines]
    assert any(line["event_id"] == event and line["outcome"] == "scored" for line in audited)


def test_a_second_sending_replaces_the_first(reading: Reading, page: Page, server: Server) -> None:
    before = kept(server)
    page.keyboard.press("Escape")
    reading.pick("Effusion")
    page.keyboard.press("y")
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("ground truth")
    agreed = next(found for event, (found, _) in kept(server).items() if event not in before)["Effusion"]

    page.keyboard.press("n")
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("ground truth")

    (found,) = [found for event, (found, _) in kept(server).items() if event not in before]
    assert found == {"Effusion": not agreed}


def test_a_note_that_may_name_a_patient_is_refused_and_not_lost(
    reading: Reading, page: Page, server: Server, faults: Faults
) -> None:
    faults.expect(REFUSAL)
    before = kept(server)
    reading.finding("Edema").get_by_label("Edema: agree", exact=True).click()
    page.locator("#note").fill("born 3.4.1950")
    page.locator("#send").click()

    expect(page.locator("#feedback-state")).to_contain_text("may name a patient")
    assert kept(server) == before
    expect(page.locator("#note")).to_have_value("born 3.4.1950")
    page.locator("#note").fill("old fracture")
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("ground truth")
    assert [note for event, (_, note) in kept(server).items() if event not in before] == ["old fracture"]
