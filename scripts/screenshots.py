"""Pictures of the page in its main states: docs/images/page-*.png.

    cxr phantom /tmp/films --images 40 --size 1024
    python -m scripts.screenshots --bundle .demo/run/bundle --images /tmp/films/images

Only films that show no patient: phantoms.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.conftest import FLAGS, chromium
from tests.browser.serving import ENDPOINT, Server
from tests.support.endpoints import deploy_folder

WIDE: Final = (1440, 900)
PHONE: Final = (360, 780)
FILMS: Final = 16
WAIT_MS: Final = 120_000

Theme = Literal["dark", "light"]


class Studio:
    """Opens the page as a new reader would, and takes pictures of it."""

    def __init__(self, browser: Browser, address: str, output: Path) -> None:
        self._browser = browser
        self._address = address
        self._output = output

    @contextmanager
    def page(self, size: tuple[int, int] = WIDE, *, theme: Theme = "dark") -> Iterator[Page]:
        """An empty page of (width, height) CSS pixels."""
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(self._address)
        if theme == "light":
            page.keyboard.press("t")
        yield page
        context.close()

    def take(self, page: Page, name: str) -> None:
        """Write docs/images/page-NAME.png once nothing moves any more."""
        page.wait_for_timeout(400)
        page.screenshot(path=self._output / f"page-{name}.png")


def main() -> None:
    """Take all pictures."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    films = sorted(arguments.images.glob("*.png"))[:FILMS]
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        server = Server(Path(scratch) / "home", "--wait")
        server.start()
        studio = Studio(browser, server.address, arguments.output)
        try:
            _without_model(studio, films[:1])
            deploy_folder(server.home, arguments.bundle, endpoint=ENDPOINT, name=arguments.name)
            with studio.page() as page:
                page.locator("#model").wait_for()
            _with_model(studio, films, _oddities(Path(scratch)))
        finally:
            server.kill()
        browser.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, required=True, help="The model: a folder that `cxr export` wrote.")
    parser.add_argument("--images", type=Path, required=True, help="A folder of phantom films (PNG).")
    parser.add_argument("--name", default="chest-xray-demo", help="Of the model, as the page shows it.")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    return parser.parse_args()


def _oddities(folder: Path) -> list[Path]:
    """Files that are not as they should be: one that is no film, a film cut off, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, size=(512, 512), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "report.png").write_text("This is no picture.\n")
    (folder / "cut-off.png").write_bytes((folder / "noise.png").read_bytes()[:20_000])
    return [folder / name for name in ("noise.png", "report.png", "cut-off.png")]


def _without_model(studio: Studio, films: list[Path]) -> None:
    with studio.page() as page:
        page.set_input_files("#choose", films)
        page.get_by_text("Nothing is deployed").wait_for()
        studio.take(page, "no-model")


def _with_model(studio: Studio, films: list[Path], odd: list[Path]) -> None:
    with studio.page() as page:
        page.locator("#model").wait_for()
        studio.take(page, "empty")
    for theme in ("dark", "light"):
        with studio.page(theme=theme) as page:
            _scored(page, [*films, *odd])
            _reading(page)
            studio.take(page, f"reading-{theme}")
    _pictured(studio, "side-by-side", films, _compared)
    _pictured(studio, "help", films[:2], lambda page: page.keyboard.press("?"))
    _pictured(studio, "refused", odd[1:], _as_it_comes)
    _pictured(studio, "unlike", odd[:1], _as_it_comes)
    _pictured(studio, "feedback", films, _judged)
    _pictured(studio, "gone", films[:4], lambda page: _gone(page, films[4:6]))
    _on_a_phone(studio, films)
    _printed(studio, films[:4])


def _pictured(studio: Studio, name: str, films: list[Path], then: Callable[[Page], None]) -> None:
    with studio.page() as page:
        _scored(page, films)
        then(page)
        page.wait_for_timeout(600)
        studio.take(page, name)


def _scored(page: Page, films: list[Path]) -> None:
    """Give films to the page, and wait until none of them waits."""
    page.set_input_files("#choose", films)
    page.locator("#films [role=option]").nth(len(films) - 1).wait_for()
    page.locator("#under-way.done").wait_for(state="attached")
    page.wait_for_timeout(600)


def _reading(page: Page) -> None:
    """The most urgent film, with the map of its first finding."""
    page.locator("#films [role=option]").first.click()
    page.locator("#findings-list .pick").first.click()
    page.mouse.move(700, 420)
    page.wait_for_timeout(600)


def _compared(page: Page) -> None:
    _reading(page)
    page.keyboard.press("c")


def _as_it_comes(page: Page) -> None:
    page.mouse.move(700, 420)


def _judged(page: Page) -> None:
    _reading(page)
    page.get_by_role("button", name=": agree", exact=False).first.click()
    page.get_by_role("button", name=": disagree", exact=False).nth(2).click()
    page.fill("#note", "Rotated patient; the opacity at the base may be the breast.")
    page.click("#send")
    page.get_by_text("Kept as ground truth").wait_for()


def _gone(page: Page, films: list[Path]) -> None:
    _reading(page)
    page.context.set_offline(True)
    page.set_input_files("#choose", films)
    page.get_by_text("The server does not answer").first.wait_for()


def _on_a_phone(studio: Studio, films: list[Path]) -> None:
    with studio.page(PHONE) as page:
        page.locator("#model").wait_for()
        studio.take(page, "phone-empty")
        _scored(page, films)
        page.locator("#findings-list .pick").first.click()
        page.evaluate("scrollTo(0, 0)")
        studio.take(page, "phone")
        page.click("footer >> text=Findings")
        studio.take(page, "phone-findings")
        page.click("footer >> text=Worklist")
        studio.take(page, "phone-worklist")


def _printed(studio: Studio, films: list[Path]) -> None:
    """The report, in the size of its paper at 96 dots per inch."""
    with studio.page() as page:
        page.add_init_script("window.print = () => {}")
        page.reload()
        _scored(page, films)
        _reading(page)
        page.click("#print")
        page.locator("#report canvas").wait_for(state="attached")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 794, "height": 1123})
        studio.take(page, "report")


if __name__ == "__main__":
    main()
