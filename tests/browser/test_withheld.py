"""Films whose scores are withheld: a group of their own at the head, no number before a click that is recorded."""

import csv
import json
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, Reading, ask, write_films
from tests.browser.serving import Server
from tests.support.bundles import png


def write_white(folder: Path) -> Path:
    path = folder / "white.png"
    path.write_bytes(png(np.full((64, 64), 255, np.uint8)))
    return path


def names(page: Page) -> list[str]:
    return page.locator("#films [role=option] .name").all_inner_texts()


def test_they_stand_at_the_head_under_a_title_of_their_own(page: Page, server: Server, tmp_path: Path) -> None:
    films, white = write_films(tmp_path, 3), write_white(tmp_path)
    reading = Reading(page, server).open().add(*films, white)
    assert names(page)[0] == white.name
    assert page.locator("#films .group").all_inner_texts() == ["Read these yourself: 1", "By urgency"]
    expect(reading.row(white)).to_contain_text("read it yourself: unlike training films")
    assert "flagged" not in reading.row(white).inner_html()


def test_no_score_is_seen_before_a_click_that_the_audit_log_has(page: Page, own_server: Server, tmp_path: Path) -> None:
    own_server.deploy()
    own_server.start()
    white = write_white(tmp_path)
    reading = Reading(page, own_server).open().add(white).choose(white)
    expect(page.locator("#findings-list li")).to_have_count(0)
    expect(page.locator("#warnings")).to_contain_text("It is recorded who has them shown")

    page.locator("#reveal").click()

    expect(page.locator("#findings-list li")).to_have_count(14)
    expect(page.locator("#findings-list .flagged")).to_have_count(0)
    assert set(page.locator("#findings-list .flag").all_inner_texts()) == {"withheld"}
    logs = own_server.home.rglob("audit-*.jsonl")
    lines = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    (shown,) = (line for line in lines if line["event"] == "withheld_shown")
    assert shown["event_id"] in {line["event_id"] for line in lines if line["event"] == "prediction"}
    reading.pick("Effusion")
    expect(page.locator("#where")).to_have_text("Effusion: no heat map, its score is withheld.")
    page.locator("#anyway").click()
    expect(page.locator("#legend")).to_have_class("legend")


def test_where_the_click_cannot_be_kept_nothing_is_shown(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("status of 503")

    def full(route: Route) -> None:
        problem = {
            "type": "about:blank",
            "title": "",
            "status": 503,
            "code": "audit_unwritable",
            "detail": "It is full.",
        }
        route.fulfill(status=503, body=json.dumps(problem), headers={"Content-Type": "application/problem+json"})

    white = write_white(tmp_path)
    Reading(page, server).open().add(white).choose(white)
    page.route("**/shown", full)
    page.locator("#reveal").click()
    expect(page.locator("#warnings")).to_contain_text("It is full.")
    expect(page.locator("#findings-list li")).to_have_count(0)


def test_what_is_taken_away_says_withheld_and_flags_nothing(page: Page, server: Server, tmp_path: Path) -> None:
    white = write_white(tmp_path)
    Reading(page, server).open().add(white)
    with page.expect_download() as download:
        page.locator("#take-csv").click()
    download.value.save_as(tmp_path / "all.csv")
    (line,) = csv.DictReader((tmp_path / "all.csv").read_text().splitlines())
    answer = ask(server, white)
    assert line["withheld"] == answer["withheld"] == "quality_blank"
    for score in answer["findings"]:
        assert float(line[f"{score['finding']} probability"]) == score["probability"]
        assert line[f"{score['finding']} flag"] == ""


def test_the_first_film_is_the_worklists_and_not_the_first_answer(page: Page, server: Server, tmp_path: Path) -> None:
    """The film that is first by urgency answers last."""
    films = write_films(tmp_path, 3)
    urgency = {
        film: max(s["probability"] / (s["operating_point"] or 9) for s in ask(server, film)["findings"])
        for film in films
    }
    first = max(films, key=lambda film: urgency[film])
    held: list[Route] = []

    def hold(route: Route) -> None:
        if (route.request.post_data_buffer or b"") == first.read_bytes():
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/predictions*", hold)
    reading = Reading(page, server).open()
    page.set_input_files("#choose", films)
    expect(page.locator(".film-row.scored")).to_have_count(2, timeout=LOADED)
    expect(page.locator("#films [aria-selected=true]")).to_have_count(0)
    expect(page.locator("#first .words")).to_contain_text("opens when all are scored")
    held[0].continue_()
    expect(reading.row(first)).to_have_attribute("aria-selected", "true", timeout=LOADED)
    expect(page.locator("#first .corner.title")).to_contain_text(first.name, timeout=LOADED)


def test_a_film_that_the_reader_chose_stays(page: Page, server: Server, tmp_path: Path) -> None:
    films = write_films(tmp_path, 3)
    held: list[Route] = []
    page.route("**/v1/predictions*", lambda route: held.append(route) if len(held) < 1 else route.continue_())
    reading = Reading(page, server).open()
    page.set_input_files("#choose", films)
    expect(page.locator(".film-row.scored")).to_have_count(2, timeout=LOADED)
    chosen = films[1]
    reading.choose(chosen)
    held[0].continue_()
    expect(page.locator(".film-row.scored")).to_have_count(3, timeout=LOADED)
    expect(reading.row(chosen)).to_have_attribute("aria-selected", "true")
