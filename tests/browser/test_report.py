"""The report stays one page whatever it has to hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from tests.browser.desk import LOADED, Reading
from tests.browser.serving import Server
from tests.support.bundles import png

PRINTED = "window.print = () => { document.documentElement.dataset.printed = 'once'; };"
NOTE = ("Opacity at the right base, probably the breast; old fracture of a rib. " * 8)[:500].strip()


@pytest.mark.parametrize("shape", [(900, 300), (300, 900)], ids=["tall", "wide"])
def test_a_film_of_any_shape_with_every_warning_and_the_longest_note_fills_one_page(
    page: Page, server: Server, tmp_path: Path, shape: tuple[int, int]
) -> None:
    film = tmp_path / f"{'a long name with spaces ' * 8}.png"
    film.write_bytes(png(np.full(shape, 255, np.uint8)))
    page.add_init_script(PRINTED)
    reading = Reading(page, server).open().add(film)
    reading.row(film).click()
    expect(page.locator("#first .corner.numbers")).to_contain_text("%", timeout=LOADED)
    reading.pick("Effusion")
    page.locator("#note").fill(NOTE)

    page.locator("#print").click()

    expect(page.locator("html")).to_have_attribute("data-printed", "once")
    for paper in ("A4", "Letter"):
        pdf = page.pdf(format=paper)
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, paper
    page.emulate_media(media="print")
    told = page.locator("#report").inner_text()
    assert "unlike the training films" in told
    assert NOTE in told
