"""The page over a model of findings that are not NIH's: rows, files, report and feedback have its names alone."""

import csv
import json
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.desk import Reading, ask, name_of, ordered, write_films
from tests.browser.serving import ENDPOINT, Server

from chest_xray.records.ground_truth import GroundTruthLog

NAMES = ("Lung Opacity", "Support-Devices", "Old_Fracture")


def test_the_page_takes_the_findings_from_the_answer(page: Page, own_server: Server, tmp_path: Path) -> None:
    own_server.deploy(names=NAMES)
    own_server.start()
    (film,) = write_films(tmp_path, 1)
    answer = ask(own_server, film)
    reading = Reading(page, own_server).open().add(film).choose(film)

    rows = page.locator("#findings-list [data-finding]")
    expected = [score["finding"] for score in ordered(answer)]
    assert [row.get_attribute("data-finding") for row in rows.all()] == expected
    for name in NAMES:
        assert name_of(name) in reading.finding(name).inner_text()

    reading.pick("Old_Fracture")
    expect(page.locator("#about-finding")).to_contain_text("AUROC 0.72")
    reading.finding("Support-Devices").get_by_label("Support-Devices: disagree", exact=True).click()
    page.locator("#send").click()
    expect(page.locator("#feedback-state")).to_contain_text("ground truth")
    (judged,) = GroundTruthLog.kept(own_server.home, ENDPOINT).read().truths.values()
    flags = {score["finding"]: score["flag"] for score in answer["findings"]}
    assert dict(judged.findings) == {"Support-Devices": not flags["Support-Devices"]}

    with page.expect_download() as waiting:
        page.locator("#take-csv").click()
    waiting.value.save_as(tmp_path / "all.csv")
    (line,) = csv.DictReader((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines())
    assert [column.removesuffix(" probability") for column in line if column.endswith(" probability")] == list(NAMES)
    with page.expect_download() as waiting:
        page.locator("#take-json").click()
    waiting.value.save_as(tmp_path / "all.json")
    (taken,) = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["films"]
    assert {score["finding"] for score in taken["findings"]} == set(NAMES)
