"""Chromium and the real server, for the tests of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from tests.browser.serving import Server
from tests.support.system_parts import PARTS

FLAGS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # WebGL in software; what it drew is put on the screen as on a machine without a graphics processor.
    "--disable-gpu-compositing",
    # The grey of a pixel is the grey that the page drew, whatever the machine's screen is said to be.
    "--force-color-profile=srgb",
)


# Which features can be refused differs between platforms; and reading pixels back is what tests do.
HARMLESS = (r"Permissions-Policy header: Unrecognized feature", r"GPU stall due to ReadPixels")


@dataclass
class Faults:
    """What the browser complained of in a test. `expect` takes patterns of what the test provokes."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=lambda: list(HARMLESS))

    def expect(self, *patterns: str) -> None:
        """Let complaints pass that contain one of these regular expressions."""
        self.expected.extend(patterns)

    @property
    def unexpected(self) -> list[str]:
        """All others."""
        return [fault for fault in self.seen if not any(re.search(pattern, fault) for pattern in self.expected)]

    def watch(self, context: BrowserContext) -> None:
        """Collect console errors and warnings, exceptions, failed requests and violations of the content policy."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.seen.append(f"exception: {error.error}"))
        context.on("requestfailed", self._failed)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _failed(self, request: Request) -> None:
        self.seen.append(f"request failed: {request.method} {request.url}: {request.failure}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder `browser`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the tiny bundle of tests.support.bundles, for tests that leave it as it is."""
    server = Server(tmp_path_factory.mktemp("home"))
    server.deploy()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started, `--wait`s for a deployment, and that a test may kill and start again."""
    server = Server(tmp_path / "home", "--wait")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """This machine's Chromium; without one the tests of this folder are left out."""
    (path,) = (part.find() for part in PARTS if part.name == "Chromium")
    assert path is not None
    return path


# Of a module, not of the session: Playwright's event loop runs in the thread of the tests as long as it is open, and
# tests of other files that start a loop of their own would fail.
@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Chromium of this machine, drawing WebGL in software."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def faults() -> Faults:
    """What the browser complains of; the `page` fixture fails the test for all that it does not `expect`."""
    return Faults()


@pytest.fixture
def page(browser: Browser, faults: Faults) -> Iterator[Page]:
    """A page of a fresh context, 1280 x 800; a fault that the test does not expect fails it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    faults.watch(context)
    page = context.new_page()
    yield page
    context.close()
    assert faults.unexpected == []
