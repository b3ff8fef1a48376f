"""The order of the worklist, the keyboard alone, window presets, drops, and a worklist as long as a day."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, REFUSAL, Reading, ask, name_of, ordered, write_films
from tests.browser.serving import Server

DROP = """async (names) => {
  const transfer = new DataTransfer();
  for (const name of names) transfer.items.add(new File(["x"], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def names(page: Page) -> list[str]:
    """Of the worklist, from the top."""
    # Rows out of sight are not laid out, so that they have no inner text.
    return page.locator("#films .name").all_text_contents()


def held_back(page: Page) -> list[Route]:
    """Keep the page's predictions from the server, until the test lets them go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/predictions**", hold)
    return held


def wait_for(page: Page, held: list[Route], count: int) -> None:
    for _ in range(200):
        if len(held) == count:
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"{len(held)} requests are held, {count} are expected.")


def test_rows_keep_their_place_once_the_reader_has_chosen_until_they_ask_to_sort(
    page: Page, server: Server, tmp_path: Path
) -> None:
    films = write_films(tmp_path, 3)
    best = {film.name: max(map(over, ask(server, film)["findings"])) for film in films}
    rising = sorted(films, key=lambda film: best[film.name])
    reading = Reading(page, server).open().add(rising[0]).choose(rising[0])

    page.set_input_files("#choose", rising[1:])
    expect(page.locator(".film-row.scored")).to_have_count(3, timeout=LOADED)
    assert names(page)[0] == rising[0].name
    expect(page.locator("#sort")).to_have_text("Sort again: 2 new")
    page.keyboard.press("u")

    expect(page.locator("#sort")).to_be_hidden()
    assert names(page) == [film.name for film in reversed(rising)]
    expect(reading.row(rising[0])).to_have_attribute("aria-selected", "true")


def over(score: dict[str, Any]) -> float:
    return score["probability"] / score["operating_point"] if score["operating_point"] else 0.0


def test_two_requests_run_at_once_and_progress_is_told(page: Page, server: Server, tmp_path: Path) -> None:
    films = write_films(tmp_path, 3)
    Reading(page, server).open()
    held = held_back(page)
    page.set_input_files("#choose", films)
    wait_for(page, held, 2)
    expect(page.locator(".film-row.sending")).to_have_count(2)
    expect(page.locator(".film-row.waiting")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("0 of 3 films")

    held[0].continue_()
    wait_for(page, held, 3)
    expect(page.locator("#count")).to_have_text("1 of 3 films")
    for route in held[1:]:
        route.continue_()
    expect(page.locator("#count")).to_have_text("3 films", timeout=LOADED)
    expect(page.locator("#spoken")).to_have_text("3 films")


def test_the_keyboard_alone_reads_a_worklist_and_compares(page: Page, server: Server, tmp_path: Path) -> None:
    Reading(page, server).open().add(*write_films(tmp_path, 3))
    page.keyboard.press("ArrowDown")
    first, second, third = names(page)
    title = page.locator("#first .corner.title")
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(title).to_contain_text(first)

    page.keyboard.press("c")
    expect(page.locator("#second .corner.title")).to_contain_text(second)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#second .corner.title")).to_contain_text(third)
    page.keyboard.press("b")
    expect(page.locator("#first")).to_have_class("pane active")
    page.keyboard.press("ArrowDown")
    expect(title).to_contain_text(second)
    page.keyboard.press("c")
    expect(page.locator("#second")).to_be_hidden()
    expect(title).to_contain_text(second)


def test_arrows_go_through_the_findings_where_one_of_them_has_the_focus(
    page: Page, server: Server, tmp_path: Path
) -> None:
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film)
    listed = [name_of(score["finding"]) for score in ordered(ask(server, film))]
    chosen = page.locator(".pick[aria-pressed=true] .name")

    page.locator(".pick").first.focus()
    page.keyboard.press("ArrowDown")
    expect(chosen).to_have_text(listed[1])
    expect(page.locator(":focus .name")).to_have_text(listed[1])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(chosen).to_have_text(listed[0])


def test_presets_are_parts_of_the_window_that_the_file_has(page: Page, server: Server, tmp_path: Path) -> None:
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open().add(film).choose(film)
    preset = page.locator("#preset")
    assert "W 255 L 128" in reading.numbers

    preset.select_option("lungs")
    expect(page.locator("#first .corner.numbers")).to_contain_text("W 166 L 83")
    page.locator("h1").click()
    page.keyboard.press("p")
    expect(preset).to_have_value("mediastinum")
    expect(page.locator("#first .corner.numbers")).to_contain_text("W 153 L 179")
    page.keyboard.press("w")
    expect(preset).to_have_value("")
    page.keyboard.press("x")
    expect(preset).to_have_value("file")


def test_a_thousand_files_are_listed_at_once_and_the_page_still_answers(
    page: Page, server: Server, faults: Faults
) -> None:
    faults.expect(REFUSAL, "request failed")  # those that are held back until the page is closed
    Reading(page, server).open()
    held_back(page)
    page.evaluate(DROP, [f"film {i}.png" for i in range(1_000)])
    expect(page.locator(".film-row")).to_have_count(1_000)
    assert names(page)[:3] == ["film 0.png", "film 1.png", "film 2.png"]
    assert names(page)[-1] == "film 999.png"
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
