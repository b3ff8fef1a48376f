"""The page in Chromium: how smoothly a large film moves, how soon it is there, how much is loaded for the first paint.

    CXR_REAL_DATA=... python -m benchmarks.page

`cxr serve` with the model of `benchmarks.serving`, and Chromium (CXR_CHROMIUM, or `chromium` on the path) without a
graphics processor, as a virtual desktop has it, on the same machine. The film is one of nih-fullsize, enlarged to
3000 x 3000 pixels of 16 bits, with noise; the viewer fills the page's middle at 1920 x 1080. The last line is a JSON
object, also written to benchmarks/results/page.json:

    frames_per_second   the lowest of six: window, pan and zoom, each without and with a heat map (bar: 60)
    frame_ms            of each of the six: from a frame's begin until it is drawn, median and 95th percentile
    over_16_7_ms        of each of the six: the share of frames that took longer
    moving_pixels       pixels of the moving picture for one of the screen; at rest it is 1 (tests hold that)
    first_paint_kb      HTML, CSS and modules that were there at the first paint (bar: 100 uncompressed)
    film_ms             from the choice of the file until the film is drawn; findings_ms: until its scores are there
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.serving.model import nih_mini_bundle
from benchmarks.serving.servers import START_SECONDS, our_server

RESULT: Final = Path(__file__).parent / "results" / "page.json"
SIDE: Final = 3000
SCREEN: Final = {"width": 1920, "height": 1080}
FLAGS: Final = ("--no-sandbox", "--headless=new", "--disable-background-networking", "--disable-component-update")
DRAGS: Final = ("window", "pan", "zoom")
FRAME_MS: Final = 1000 / 60

_FIRST_PAINT: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const assets = performance.getEntriesByType("resource").filter(
    ({ name, startTime }) => name.includes("/page/") && startTime < painted);
  const sum = (key) => [page, ...assets].reduce((all, entry) => all + entry[key], 0) / 1000;
  return { uncompressed: sum("decodedBodySize"), on_the_wire: sum("transferSize") };
}"""
_WAIT_FOR_FILM: Final = """() => {
  const until = (seen) => new Promise((resolve) => {
    const look = () => (seen() ? resolve(performance.now()) : requestAnimationFrame(look));
    look();
  });
  const canvas = () => document.querySelector("#first canvas.film");
  window.measured = new Promise((resolve) => {
    document.querySelector("#choose").addEventListener("change", async () => {
      const start = performance.now();
      const [film, findings] = await Promise.all([
        until(() => canvas()?.style.visibility === "visible"),
        until(() => document.querySelector("#findings-list > *")),
      ]);
      resolve({ film_ms: film - start, findings_ms: findings - start });
    }, { capture: true, once: true });
  });
}"""
# Each frame waits for the picture of the last movement, drawn in a callback that came before this one, and moves.
_DRAG: Final = """([kind, frames]) => new Promise((resolve) => {
  const canvas = document.querySelector("#first canvas.film");
  const host = canvas.parentElement;
  const gl = canvas.getContext("webgl2");
  const { left, top, width, height } = host.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  const options = { bubbles: true, cancelable: true, pointerId: 1, button: kind === "pan" ? 1 : 0 };
  const fire = (type, dx, dy) =>
    host.dispatchEvent(new PointerEvent(type, { ...options, clientX: x + dx, clientY: y + dy }));
  const move = (angle) => {
    if (kind === "zoom") {
      const turn = { cancelable: true, deltaY: 60 * Math.sin(angle), clientX: x, clientY: y };
      host.dispatchEvent(new WheelEvent("wheel", turn));
    } else fire("pointermove", 200 * Math.sin(angle), 150 * Math.cos(angle));
  };
  const [took, begins, widths] = [[], [], []];
  fire("pointerdown", 0, 150);
  const frame = (begin) => {
    gl?.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    took.push(performance.now() - begin);
    begins.push(begin);
    widths.push(canvas.width);
    if (took.length > frames) {
      fire("pointerup", 0, 0);
      resolve({ took: took.slice(1), begins, quality: widths.at(-1) / (host.clientWidth * devicePixelRatio) });
      return;
    }
    move(took.length / 10);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""
_DRIVER: Final = """() => {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "no WebGL2";
}"""


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="instead of the one of benchmarks.serving")
    parser.add_argument("--frames", type=int, default=240, help="frames of each drag")
    parser.add_argument("--dry-run", action="store_true", help="write no result")
    options = parser.parse_args()
    real_data = os.environ.get("CXR_REAL_DATA")
    if not real_data:
        sys.exit("CXR_REAL_DATA is not set: give the folder that holds nih-fullsize and nih-mini.")
    bundle = options.bundle or nih_mini_bundle(Path(real_data))
    with tempfile.TemporaryDirectory() as scratch:
        film = large_film(Path(real_data), Path(scratch) / "film.png")
        with our_server(bundle, Path(scratch) / "home") as server:
            wait_for(f"http://{server.target.host}:{server.target.port}/readyz")
            result = measure(f"http://{server.target.host}:{server.target.port}/", film, options.frames)
    result |= {"film": f"{SIDE} x {SIDE}, 16 bits", "screen": SCREEN, "machine": describe_machine()}
    if not options.dry_run:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def wait_for(url: str) -> None:
    """Return once the server answers."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url).close()
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def large_film(real_data: Path, path: Path) -> Path:
    """Write the first film of nih-fullsize, enlarged, over all of 16 bits and with noise; gives `path`."""
    source = min((real_data / "nih-fullsize" / "images").glob("*.png"))
    with Image.open(source) as image:
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = grey * 256 + np.random.default_rng(0).normal(0, 200, grey.shape)
    Image.fromarray(np.clip(noisy, 0, 65535).astype(np.uint16)).save(path, compress_level=1)
    return path


def measure(address: str, film: Path, frames: int) -> dict[str, Any]:
    """All figures of one visit to the page."""
    path = os.environ.get("CXR_CHROMIUM") or shutil.which("chromium")
    if path is None:
        sys.exit("Chromium is not installed: install Debian's `chromium`, or give its path in CXR_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": SCREEN["width"], "height": SCREEN["height"]})
        page.goto(address, wait_until="networkidle")
        result: dict[str, Any] = {"first_paint_kb": _rounded(page.evaluate(_FIRST_PAINT))}
        result |= _rounded(_film(page, film)) | _drags(page, frames)
        result["renderer"] = {"chromium": browser.version, "webgl": page.evaluate(_DRIVER)} | _drawn_by(page)
        browser.close()
    return result


def _film(page: Page, film: Path) -> dict[str, float]:
    page.evaluate(_WAIT_FOR_FILM)
    page.set_input_files("#choose", film)
    measured: dict[str, float] = page.evaluate("() => window.measured")
    return measured


def _drags(page: Page, frames: int) -> dict[str, Any]:
    """The six drags, each from the whole film on; the first movement of each kind is for warming up."""
    runs: dict[str, dict[str, Any]] = {}
    for suffix in ("", "_with_map"):
        if suffix:
            page.locator("#findings-list .pick").first.click()
        for kind in DRAGS:
            page.evaluate(_DRAG, [kind, 40])
            page.locator("#first .screen").dblclick(position={"x": 200, "y": 200})
            runs[kind + suffix] = page.evaluate(_DRAG, [kind, frames])
    return {
        "frames_per_second": round(min(_rate(run["begins"]) for run in runs.values()), 1),
        "frames_per_second_of": {name: round(_rate(run["begins"]), 1) for name, run in runs.items()},
        "frame_ms": {name: _spread(run["took"]) for name, run in runs.items()},
        "over_16_7_ms": {
            name: round(statistics.mean(t > FRAME_MS for t in run["took"]), 3) for name, run in runs.items()
        },
        "moving_pixels": {name: round(run["quality"] ** 2, 2) for name, run in runs.items()},
    }


def _drawn_by(page: Page) -> dict[str, str]:
    has_gl = page.evaluate("() => document.querySelector('#first canvas.film').getContext('webgl2') !== null")
    return {"viewer": "webgl2" if has_gl else "canvas2d"}


def _rate(begins: list[float]) -> float:
    """Frames a second, from milliseconds."""
    return 1000 * (len(begins) - 1) / (begins[-1] - begins[0])


def _spread(milliseconds: list[float]) -> dict[str, float]:
    return _rounded({"median": statistics.median(milliseconds), "p95": float(np.percentile(milliseconds, 95))})


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}


if __name__ == "__main__":
    main()
