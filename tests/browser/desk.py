"""A reader at the page, and the same film asked of the API, for comparison."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Locator, Page, expect
from tests.browser.serving import Server
from tests.support import bundles
from tests.support.dicom_files import dicom

LOADED: Final = 20_000  # milliseconds, on a machine that does other things too
TYPES: Final = {".png": "image/png", ".dcm": "application/dicom"}
# Chromium reports each refusal of the server as an error of its own.
REFUSAL: Final = r"Failed to load resource: the server responded with a status of (422|401)"


def write_films(folder: Path, count: int = 3) -> list[Path]:
    """Films that the tiny bundle scores differently, and that its guard and its quality checks accept."""
    films = []
    for number in range(count):
        path = folder / f"film-{number}.png"
        path.write_bytes(bundles.png((bundles.upright_film() * (1 - 0.08 * number)).astype("uint8")))
        films.append(path)
    return films


def write_dicom(folder: Path) -> Path:
    """A DICOM film of 12 bits."""
    path = folder / "film.dcm"
    path.write_bytes(dicom())
    return path


def ask(server: Server, film: Path, query: str = "?explain=all") -> dict[str, Any]:
    """What the API says of a film."""
    request = urllib.request.Request(
        f"{server.address}/v1/predictions{query}", film.read_bytes(), {"Content-Type": TYPES[film.suffix]}
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def ordered(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Findings as the page lists them: flagged first, then by score over operating point."""
    return sorted(answer["findings"], key=lambda score: (-bool(score["flag"]), -ratio(score), -score["probability"]))


def ratio(score: dict[str, Any]) -> float:
    """Score over operating point, 0 without one."""
    return score["probability"] / score["operating_point"] if score["operating_point"] else 0.0


def name_of(finding: str) -> str:
    """As the page writes it."""
    return finding.replace("_", " ")


class Reading:
    """One reader at one page."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server

    def open(self) -> Reading:
        """Go to the page, and wait for the model."""
        self.page.goto(self.server.address + "/")
        expect(self.page.locator("#model-name")).to_be_visible(timeout=LOADED)
        return self

    def add(self, *films: Path) -> Reading:
        """Choose files, and wait until each has an answer."""
        self.page.set_input_files("#choose", list(films))
        expect(self.page.locator(".film-row.scored, .film-row.refused")).to_have_count(len(films), timeout=LOADED)
        return self

    def row(self, film: Path) -> Locator:
        """The film's row of the worklist."""
        return self.page.locator("#films [role=option]").filter(has_text=film.name)

    def choose(self, film: Path) -> Reading:
        """Click a film, and wait until it is shown."""
        self.row(film).click()
        expect(self.page.locator("#first .corner.title")).to_contain_text(film.name, timeout=LOADED)
        expect(self.page.locator("#first .corner.numbers")).to_contain_text("%")
        return self

    def finding(self, finding: str) -> Locator:
        """A row of the findings."""
        return self.page.locator(f'#findings-list [data-finding="{finding}"]')

    def pick(self, finding: str) -> Reading:
        """Click a finding."""
        self.finding(finding).locator(".pick").click()
        return self

    @property
    def numbers(self) -> str:
        """What stands in the lower left corner of the film."""
        return self.page.locator("#first .corner.numbers").inner_text()
