"""How films come in: dropped with their folder, one after another, and files that are gone when their turn comes."""

from pathlib import Path

from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, Reading, write_films
from tests.browser.serving import Server

# Of the stage, in CSS pixels: where a drop falls.
PLACE = {"x": 640, "y": 400}


def drop(page: Page, *paths: Path) -> None:
    """Let go of files or folders over the page, as the browser itself would report it."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **PLACE, "data": data})


def test_a_dropped_folder_is_read_to_its_depths_without_hidden_files(
    page: Page, server: Server, tmp_path: Path
) -> None:
    deep = tmp_path / "study" / "series"
    deep.mkdir(parents=True)
    inside, outside = write_films(deep, 1)[0], write_films(tmp_path, 2)[1]
    (deep / ".DS_Store").write_bytes(b"hidden")
    reading = Reading(page, server).open()

    drop(page, tmp_path / "study", outside)

    expect(page.locator(".film-row.scored")).to_have_count(2, timeout=LOADED)
    assert set(page.locator("#films .name").all_inner_texts()) == {inside.name, outside.name}
    expect(page.locator("body")).not_to_have_class("dropping")
    reading.choose(outside)


def test_films_that_come_later_do_not_take_the_place_of_the_film_that_is_read(
    page: Page, server: Server, tmp_path: Path
) -> None:
    films = write_films(tmp_path, 4)
    reading = Reading(page, server).open().add(films[3]).choose(films[3])

    page.set_input_files("#choose", films[:3])

    expect(page.locator(".film-row.scored")).to_have_count(4, timeout=LOADED)
    expect(page.locator("#films [aria-selected=true] .name")).to_have_text(films[3].name)
    expect(page.locator("#first .corner.title")).to_contain_text(films[3].name)
    assert "%" in reading.numbers


def test_a_file_that_was_deleted_since_it_was_chosen_is_refused_and_does_not_stop_the_others(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("Failed to load resource", "request failed")
    own_server.start()
    lost, kept = write_films(tmp_path, 2)
    page.goto(own_server.address)
    page.set_input_files("#choose", [lost, kept])
    lost.unlink()

    own_server.deploy()

    expect(page.locator(".film-row.scored .name")).to_have_text(kept.name, timeout=LOADED)
    expect(page.locator(".film-row.refused")).to_contain_text("can no longer be read")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_proxy_that_names_a_date_to_come_back_at_is_not_asked_without_a_pause(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("503")
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, body="busy")

    Reading(page, server).open()
    page.route("**/v1/predictions**", busy)
    page.set_input_files("#choose", write_films(tmp_path, 1))
    expect(page.locator("#banner")).to_contain_text("a proxy may have given it", timeout=LOADED)
    page.wait_for_timeout(1000)

    assert len(asked) == 1
