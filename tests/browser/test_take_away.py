"""What is taken away: JSON, CSV and the printed page, held to what the API says."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import REFUSAL, Reading, ask, write_films
from tests.browser.serving import Server

from chest_xray.findings import FINDINGS
from chest_xray.notices import RESEARCH_USE_ONLY

PRINTED = "window.print = () => { document.documentElement.dataset.printed = 'once'; };"


def take(page: Page, kind: str, into: Path) -> str:
    with page.expect_download() as waiting:
        page.locator(f"#take-{kind}").click()
    waiting.value.save_as(into)
    return into.read_text(encoding="utf-8")


def test_json_and_csv_hold_the_numbers_of_the_api(page: Page, server: Server, tmp_path: Path) -> None:
    films = write_films(tmp_path, 2)
    Reading(page, server).open().add(*films)
    expected = {film.name: ask(server, film, "") for film in films}

    taken = json.loads(take(page, "json", tmp_path / "all.json"))
    lines = list(csv.DictReader(take(page, "csv", tmp_path / "all.csv").splitlines()))

    assert taken["notice"] == RESEARCH_USE_ONLY
    for film in taken["films"]:
        by_finding = {score["finding"]: score["probability"] for score in film["findings"]}
        for score in expected[film["file"]]["findings"]:
            assert by_finding[score["finding"]] == pytest.approx(score["probability"], abs=2e-6)
    assert {line["file"] for line in lines} == {film.name for film in films}
    for line in lines:
        for score in expected[line["file"]]["findings"]:
            name = score["finding"]
            assert float(line[f"{name} probability"]) == pytest.approx(score["probability"], abs=2e-6)
            assert line[f"{name} flag"] == ("" if score["flag"] is None else str(score["flag"]).lower())
        assert line["digest"] == expected[line["file"]]["model"]["digest"]
        assert line["notice"] == RESEARCH_USE_ONLY


def test_a_name_like_a_formula_is_quoted_and_a_refused_file_keeps_its_reason(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(REFUSAL)
    (film,) = write_films(tmp_path, 1)
    formula = film.rename(tmp_path / '=HYPERLINK("x"),1.png')
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    Reading(page, server).open().add(formula, text)

    lines = list(csv.DictReader(take(page, "csv", tmp_path / "all.csv").splitlines()))

    assert [line["file"] for line in lines] == ["'" + formula.name, "notes.txt"]
    assert lines[1]["reason"] == "The file is neither PNG nor JPEG nor DICOM."
    assert {lines[1][f"{name} probability"] for name in FINDINGS} == {""}


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_report_is_one_page_with_everything_on_it(page: Page, server: Server, tmp_path: Path, paper: str) -> None:
    page.add_init_script(PRINTED)
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open().add(film).choose(film)
    answer = ask(server, film)
    reading.pick("Effusion")

    page.locator("#print").click()
    expect(page.locator("html")).to_have_attribute("data-printed", "once")
    pdf = page.pdf(format=paper, print_background=False)

    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    page.emulate_media(media="print")
    expect(page.locator("main")).to_be_hidden()
    told = page.locator("#report").inner_text()
    for text in (RESEARCH_USE_ONLY, answer["model"]["digest"], "film-0.png", "Heat map: Effusion"):
        assert text in told
    for score in answer["findings"]:
        assert score["finding"].replace("_", " ") in told
    picture = page.locator("#report canvas")
    assert picture.evaluate("(canvas) => canvas.width") >= 600
