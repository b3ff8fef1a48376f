"""What the reader must see is on the screen, on a desk and on a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import REFUSAL, Reading, write_films
from tests.browser.serving import Server

SIZES = pytest.mark.parametrize("size", [(1280, 800), (360, 740)], ids=["desk", "phone"])


@SIZES
def test_the_menu_of_tools_opens_within_the_screen(
    page: Page, server: Server, tmp_path: Path, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)

    page.locator("#more summary").click()

    box = page.locator("#more-tools").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    for button in page.locator("#more-tools button").all():
        expect(button).to_be_in_viewport(ratio=1)


@SIZES
def test_why_feedback_was_refused_comes_into_sight(
    page: Page, server: Server, faults: Faults, tmp_path: Path, size: tuple[int, int]
) -> None:
    faults.expect(REFUSAL)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)

    page.locator("#note").fill("reader@example.org")
    page.locator("#send").click()

    said = page.locator("#feedback-state")
    expect(said).to_contain_text("may name a patient")
    expect(said).to_be_in_viewport(ratio=1)
    bar, box = page.locator("footer").bounding_box(), said.bounding_box()
    assert bar is not None
    assert box is not None
    assert box["y"] + box["height"] <= bar["y"]
