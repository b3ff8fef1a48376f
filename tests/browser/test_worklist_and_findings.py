"""The worklist, the findings and the film, by mouse and by keyboard, against the real server."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import REFUSAL, Reading, ask, name_of, ordered, ratio, write_dicom, write_films
from tests.browser.serving import Server

from chest_xray.images.class_maps import FAINT


def test_the_worklist_has_the_highest_score_over_its_operating_point_first(
    page: Page, server: Server, tmp_path: Path
) -> None:
    films = write_films(tmp_path, 4)
    reading = Reading(page, server).open().add(*films)

    page.locator("#sort").click() if page.locator("#sort").is_visible() else None

    best = {film.name: max(ratio(score) for score in ask(server, film)["findings"]) for film in films}
    names = page.locator("#films .film-row.scored .name").all_inner_texts()
    assert names == sorted(best, key=lambda name: -best[name])
    for film in films:
        assert f"{best[film.name]:.1f}\u00d7" in reading.row(film).inner_text()


def test_findings_have_the_numbers_of_the_api_flagged_ones_first(page: Page, server: Server, tmp_path: Path) -> None:
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)

    expected = ordered(ask(server, film))
    rows = page.locator("#findings-list li")
    assert rows.locator(".name").all_inner_texts() == [name_of(score["finding"]) for score in expected]
    assert [float(text.strip("< ")) for text in rows.locator(".value").all_inner_texts()] == pytest.approx(
        [score["probability"] for score in expected], abs=6e-3
    )
    for row, score in zip(rows.all(), expected, strict=True):
        assert ("flagged" in row.locator(".flag").inner_text()) == bool(score["flag"])


def test_a_bar_reaches_the_mark_exactly_where_the_finding_is_flagged(
    page: Page, server: Server, tmp_path: Path
) -> None:
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)

    for row, score in zip(page.locator("#findings-list li").all(), ordered(ask(server, film)), strict=True):
        whole, filled = (row.locator(part).bounding_box() for part in (".bar", ".filled"))
        assert whole is not None
        assert filled is not None
        if score["operating_point"] is not None:
            assert (filled["width"] >= whole["width"] / 2 - 0.1) == score["flag"]


def test_a_dicom_and_a_png_are_read_and_a_text_is_refused_with_its_reason(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(REFUSAL)
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    (png,), dcm = write_films(tmp_path, 1), write_dicom(tmp_path)
    reading = Reading(page, server).open().add(png, dcm, text)

    expect(reading.row(text)).to_contain_text("The file is neither PNG nor JPEG nor DICOM.")
    assert page.locator("#films [role=option] .name").last.inner_text() == "notes.txt"
    expect(page.locator("#count")).to_contain_text("1 refused")
    reading.row(text).click()
    expect(page.locator("#first .words")).to_contain_text("neither PNG nor JPEG nor DICOM")
    reading.choose(dcm)
    # 12 bits: the window is in the file's own values, not in 8 bits.
    assert "W " in reading.numbers


def test_up_and_down_choose_films_and_the_findings_follow(page: Page, server: Server, tmp_path: Path) -> None:
    films = write_films(tmp_path, 3)
    reading = Reading(page, server).open().add(*films)
    names = page.locator("#films .name").all_inner_texts()
    page.locator("#films [role=option]").first.click()

    for key, place in (("ArrowDown", 1), ("j", 2), ("j", 2), ("k", 1), ("ArrowUp", 0)):
        page.keyboard.press(key)
        chosen = page.locator("#films [aria-selected=true] .name")
        expect(chosen).to_have_text(names[place])
        expect(page.locator("#first .corner.title")).to_contain_text(names[place])
    assert reading.row(tmp_path / names[0]).get_attribute("aria-selected") == "true"


def test_choosing_a_finding_shows_its_map_and_says_where_it_lies(page: Page, server: Server, tmp_path: Path) -> None:
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open().add(film).choose(film)
    answer = ask(server, film)
    finding = next(name for name, place in answer["locations"].items() if place)
    shown = page.locator("#first canvas.film")
    without = shown.screenshot()

    reading.pick(finding)

    expect(page.locator("#where")).to_have_text(f"{name_of(finding)}: {answer['locations'][finding]}")
    full = max(FAINT, *(share for row in answer["heat_maps"][finding] for share in row))
    expect(page.locator("#full")).to_contain_text(f"+{full:.1f}")
    with_map = shown.screenshot()
    assert with_map != without
    page.locator("#opacity").fill("0")
    page.wait_for_timeout(300)
    assert shown.screenshot() == without
    page.locator("#opacity").fill("60")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("m")
    page.wait_for_timeout(300)
    assert shown.screenshot() == without


def test_keys_go_through_the_findings_and_their_auroc_is_told(page: Page, server: Server, tmp_path: Path) -> None:
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)
    names = [score["finding"] for score in ordered(ask(server, film))]

    page.locator("h1").click()
    for key, place in ((".", 0), (".", 1), (",", 0), ("3", 2)):
        page.keyboard.press(key)
        expect(page.locator(".pick[aria-pressed=true] .name")).to_have_text(name_of(names[place]))
    known = next(name for name in names if name != "Hernia")
    page.locator(f'[data-finding="{known}"]').hover()
    expect(page.locator("#about-finding")).to_contain_text("AUROC 0.")
    expect(page.locator("#about-finding")).to_contain_text("95%")
    page.locator('[data-finding="Hernia"] .pick').focus()
    expect(page.locator("#about-finding")).to_contain_text("o operating point")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_every_tool_does_what_it_says(page: Page, server: Server, tmp_path: Path, by: str) -> None:
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, server).open().add(film).choose(film)
    keys = {"zoom-in": "+", "zoom-out": "-", "one-to-one": "o", "fit": "f", "invert": "i", "rotate-right": "r"}
    keys |= {"rotate-left": "l", "reset": "x", "window-wider": "w", "window-narrower": "s", "level-up": "d"}
    keys |= {"level-down": "a"}

    def use(name: str) -> str:
        if by == "keyboard":
            page.keyboard.press(keys[name])
        else:
            if not page.locator(f"#{name}").is_visible():
                page.locator("#more summary").click()
            page.locator(f"#{name}").click()
        page.wait_for_timeout(150)
        return reading.numbers

    page.locator("h1").click()
    first = reading.numbers
    zoom = percent(first)
    assert percent(use("zoom-in")) > zoom
    assert percent(use("zoom-out")) == pytest.approx(zoom, abs=1)
    assert percent(use("one-to-one")) == 100
    assert percent(use("fit")) == zoom
    assert "inverted" in use("invert")
    assert "inverted" not in use("invert")
    sides = page.locator("#first .side").first
    assert "start" in (sides.get_attribute("class") or "")
    use("rotate-right")
    assert "top" in (sides.get_attribute("class") or "")
    use("rotate-left")
    assert "start" in (sides.get_attribute("class") or "")
    assert use("window-wider") != first
    assert use("window-narrower") == first
    brighter = use("level-up")
    assert brighter != first
    assert use("level-down") == first
    use("zoom-in")
    assert use("reset") == first


def percent(numbers: str) -> int:
    return int(numbers.partition("%")[0].strip())


def test_two_films_stand_side_by_side_and_move_together_until_told_otherwise(
    page: Page, server: Server, tmp_path: Path
) -> None:
    first, second = write_films(tmp_path, 2)
    reading = Reading(page, server).open().add(first, second).choose(first)

    page.locator("#compare").click()
    reading.row(second).click()
    expect(page.locator("#second .corner.title")).to_contain_text(second.name)
    expect(page.locator("#first .corner.title")).to_contain_text(first.name)
    page.locator("#zoom-in").click()
    page.wait_for_timeout(200)
    assert page.locator("#second .corner.numbers").inner_text() == reading.numbers
    page.locator("#linked").uncheck()
    page.locator("#zoom-in").click()
    page.wait_for_timeout(200)
    assert page.locator("#second .corner.numbers").inner_text() != reading.numbers
    page.locator("#compare").click()
    expect(page.locator("#second")).to_be_hidden()


def test_the_theme_is_remembered_and_the_help_has_every_key(page: Page, server: Server) -> None:
    Reading(page, server).open()
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")

    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    labels = page.evaluate(
        '() => import("/page/controls/actions.js")'
        ".then(({GROUPS}) => GROUPS.flatMap((group) => group.actions.map((action) => action.label)))"
    )
    told = page.locator("#help").inner_text()
    assert [label for label in labels if label not in told] == []
    page.locator("#letters").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")


@pytest.mark.real_data
def test_real_films_and_a_real_dicom_are_read_at_once(
    page: Page, server: Server, faults: Faults, real_data: Path
) -> None:
    faults.expect(REFUSAL)
    films = [
        *sorted((real_data / "nih-fullsize" / "images").glob("*.png"))[:4],
        *sorted((real_data / "dicom").glob("*.dcm")),
    ]
    reading = Reading(page, server).open().add(*films)
    expect(page.locator(".film-row.scored")).to_have_count(len(films))
    for film in films[-2:]:
        reading.choose(film)
