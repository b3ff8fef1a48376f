"""The report stays one page whatever it has to hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, REFUSAL, Reading, ask, write_films
from tests.browser.serving import Server
from tests.support import bundles
from tests.support.bundles import png

PRINTED = "window.print = () => { document.documentElement.dataset.printed = 'once'; };"
MEAN_RED = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, i) => (i % 4 === 0 ? sum + value : sum), 0) / (data.length / 4);
}"""
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
    page.locator("#reveal").click()
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
    assert "The scores are withheld: read this film yourself." in told
    assert NOTE in told
    words = page.locator("#report tbody tr td:nth-child(4)").all_inner_texts()
    assert set(words) == {"withheld"}


def sheet(page: Page) -> str:
    """What the browser prints when its own command is used, once the style sheet for paper is there."""
    while not page.evaluate("Boolean(document.querySelector('head link[media=print]')?.sheet)"):
        page.wait_for_timeout(20)
    page.pdf()
    page.emulate_media(media="print")
    told: str = page.locator("#report").inner_text()
    page.emulate_media(media="screen")
    return told


def test_the_browsers_own_command_prints_the_film_that_is_looked_at(page: Page, server: Server, tmp_path: Path) -> None:
    page.add_init_script(PRINTED)
    a, b, _ = films = write_films(tmp_path, 3)
    reading = Reading(page, server).open().add(*films).choose(a)
    assert a.name in sheet(page)

    page.locator("#print").click()
    expect(page.locator("html")).to_have_attribute("data-printed", "once")
    reading.choose(b)

    told = sheet(page)
    assert b.name in told
    assert a.name not in told
    assert ask(server, b)["model"]["digest"] in told
    printed: float = page.locator("#report canvas").evaluate(MEAN_RED)
    darker = printed / np.mean(bundles.upright_film())
    assert darker == pytest.approx(0.92, abs=0.02)


def test_withheld_scores_are_not_printed_before_the_reader_asked_for_them(
    page: Page, server: Server, tmp_path: Path
) -> None:
    white = tmp_path / "white.png"
    white.write_bytes(png(np.full((64, 64), 255, np.uint8)))
    Reading(page, server).open().add(white).choose(white)
    told = sheet(page)
    assert "The scores are withheld: read this film yourself." in told
    assert "Effusion" not in told


def test_a_refused_film_is_printed_as_refused(page: Page, server: Server, faults: Faults, tmp_path: Path) -> None:
    faults.expect(REFUSAL)
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    reading = Reading(page, server).open().add(text)
    expect(page.locator("#first .words")).to_contain_text("Refused", timeout=LOADED)
    assert "notes.txt: not scored. The file is neither PNG nor JPEG nor DICOM." in sheet(reading.page)
