"""The viewer alone on a page of the real server's, and what it draws as arrays."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Request, Route
from tests.browser.serving import Server

PATH: Final = "/viewer-alone"
_HTML: Final = """<!doctype html><html lang="en"><title>Viewer</title>
<input type="file"><div id="a" tabindex="0"></div><div id="b" tabindex="0"></div></html>"""
_OPEN: Final = """async ([sides, renderer]) => {
  const { Viewer, colourTable } = await import("/page/viewer/index.js");
  Object.assign(document.body.style, { margin: 0, background: "black" });
  document.querySelector("input").style.display = "none";
  const { colours } = await (await fetch("/v1/model")).json();
  window.states = [];
  window.viewers = {};
  for (const [id, [left, width, height]] of Object.entries(sides)) {
    const host = document.getElementById(id);
    const px = (n) => `${n}px`;
    Object.assign(host.style, {
      position: "absolute", left: px(left), top: 0, width: px(width), height: px(height), touchAction: "none",
    });
    const onChange = (state) => window.states.push(state);
    window.viewers[id] = new Viewer(host, renderer === null ? { onChange } : { onChange, renderer });
    window.viewers[id].setColours(colourTable(colours));
  }
}"""
_LOAD: Final = """async ([id, type]) => {
  const { loadFilm } = await import("/page/viewer/index.js");
  const [file] = document.querySelector("input").files;
  const answer = await fetch("/v1/films", { method: "POST", body: file, headers: { "Content-Type": type } });
  if (!answer.ok) throw new Error(await answer.text());
  window.films ??= {};
  window.films[id] = await loadFilm(answer);
  window.viewers[id].show(window.films[id]);
  return window.films[id].facts;
}"""
_PIXELS: Final = """(id) => {
  window.viewers[id].flush();
  return document.querySelector(`#${id} canvas`).toDataURL("image/png");
}"""
_SNAPSHOT: Final = '([id, width]) => window.viewers[id].snapshot(width).toDataURL("image/png")'


class Viewing:
    """One viewer `a`, or two, `a` and `b` beside it, each (width, height) CSS pixels."""

    def __init__(
        self, page: Page, server: Server, *sizes: tuple[int, int], renderer: str | None = None, ready: bool = True
    ) -> None:
        self.page = page
        page.route(server.address + PATH, self._answer)
        page.goto(server.address + PATH)
        sides = {}
        left = 0
        for id_, (width, height) in zip("ab", sizes, strict=False):
            sides[id_] = [left, width, height]
            left += width
        if ready:
            page.evaluate(_OPEN, [sides, renderer])

    def load(self, image: bytes, media_type: str = "image/png", *, viewer: str = "a") -> dict[str, Any]:
        """Show what the server makes of a file; gives X-Film."""
        self.page.set_input_files("input", {"name": "film", "mimeType": media_type, "buffer": image})
        facts: dict[str, Any] = self.page.evaluate(_LOAD, [viewer, media_type])
        return facts

    def act(self, *actions: str, viewer: str = "a") -> None:
        """What the page's buttons and keys do."""
        for action in actions:
            self.page.evaluate("([id, action]) => window.viewers[id].act(action)", [viewer, action])

    def call(self, method: str, *arguments: object, viewer: str = "a") -> None:
        """Call a method of the viewer."""
        script = "([id, method, values]) => { window.viewers[id][method](...values) }"
        self.page.evaluate(script, [viewer, method, list(arguments)])

    def state(self, viewer: str = "a") -> dict[str, Any]:
        """The viewer's state."""
        state: dict[str, Any] = self.page.evaluate("(id) => window.viewers[id].state", viewer)
        return state

    def pixels(self, viewer: str = "a") -> NDArray[np.uint8]:
        """What is on the canvas: (H, W, 3)."""
        return _decoded(self.page.evaluate(_PIXELS, viewer))

    def snapshot(self, width: int) -> NDArray[np.uint8]:
        """The picture for a report."""
        return _decoded(self.page.evaluate(_SNAPSHOT, ["a", width]))

    def _answer(self, route: Route, request: Request) -> None:
        """The page's own headers, so that the viewer is held to its content policy."""
        page = route.fetch(url=request.url.removesuffix(PATH) + "/")
        kept = {name: page.headers[name] for name in ("content-security-policy", "permissions-policy")}
        route.fulfill(body=_HTML, headers=kept | {"content-type": "text/html"})


def _decoded(url: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))
