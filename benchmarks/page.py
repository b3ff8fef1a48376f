"""The page in Chromium, over the real server: how large it is, how soon a film is seen, and whether it moves smoothly.

    CXR_REAL_DATA=... python -m benchmarks.page

Draws a 3000 x 3000 film of 16 bits in a viewer of 1920 x 1080. Without a graphics processor WebGL is computed by the
same processors that run server and browser, which is the worst case. The last line is a JSON object, also written to
benchmarks/results/page.json:

    first_paint_kb       bytes of all that the empty page fetches, uncompressed (bar: 100); wire_kb: as sent
    film_ms              a film is chosen -> its pixels are on the screen, once the page has loaded
    findings_ms          a film is chosen -> its scores are on the screen
    draw_ms              one whole picture in full, drawn and finished, p50 and p95, by what moves and by renderer
    frames_per_second    while the pointer drags, by what moves; the picture may be coarser while it moves
    coarsest             share of the screen's pixels, in each direction, that the moving picture came down to
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import describe_machine
from benchmarks.serving.model import nih_mini_bundle
from benchmarks.serving.servers import our_server

RESULT: Final = Path(__file__).parent / "results" / "page.json"
SCREEN: Final = {"width": 1920, "height": 1080}
SIDE: Final = 3000
DRAWS: Final = 60
DRAG_SECONDS: Final = 3
FLAGS: Final = (
    "--no-sandbox",
    "--headless=new",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# A viewer alone, on a page of the server's own, so that its policy holds.
OPEN_VIEWER: Final = """async ({renderer, map, bytes}) => {
  const { Viewer, loadFilm, colourTable } = await import("/page/viewer/index.js");
  window.film ??= await fetch("/v1/films", { method: "POST", headers: { "Content-Type": "image/png" },
    body: Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)) }).then(loadFilm);
  document.querySelector("#host")?.remove();
  const host = document.createElement("div");
  host.id = "host";
  Object.assign(host.style, { position: "fixed", inset: "0", zIndex: "9", background: "black" });
  document.body.append(host);
  window.viewer?.destroy();
  window.viewer = new Viewer(host, { renderer });
  viewer.setColours(colourTable([[0, 0, 128], [255, 255, 0]]));
  viewer.show(window.film);
  const rows = Array.from({ length: 7 }, (_, y) => Array.from({ length: 7 }, (_, x) => x + y));
  if (map) viewer.setMap({ rows, scale: 12 });
  viewer.flush();
  return viewer.state.renderer;
}"""
DRAW: Final = """({action, count}) => {
  const times = [];
  for (let i = 0; i < count; i++) {
    viewer.act(i % 2 ? action[0] : action[1]);
    const started = performance.now();
    viewer.flush();
    times.push(performance.now() - started);
  }
  viewer.act("reset");
  return times;
}"""
# A pointer that moves once a frame, as a mouse does: the frames' own times tell what a reader would see.
DRAG: Final = """({button, seconds}) => new Promise((resolve) => {
  const host = document.querySelector("#host");
  host.setPointerCapture = () => {};
  const send = (type, x, y) => host.dispatchEvent(new PointerEvent(type,
    { pointerId: 1, button, clientX: x, clientY: y, bubbles: true }));
  const frames = [];
  let first = 0;
  let coarsest = 1;
  const canvas = host.querySelector("canvas");
  send("pointerdown", 900, 500);
  const step = (now) => {
    first ||= now;
    frames.push(now);
    coarsest = Math.min(coarsest, canvas.width / host.clientWidth);
    if (now - first > 1000 * seconds) {
      send("pointerup", 900, 500);
      viewer.act("reset");
      resolve({ frames, coarsest });
      return;
    }
    const angle = frames.length / 20;
    send("pointermove", 900 + 200 * Math.sin(angle), 500 + 150 * Math.cos(angle));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
MOVES: Final = {
    "window": (["window-wider", "window-narrower"], 0),
    "pan": (["pan-left", "pan-right"], 1),
}


def main() -> None:
    """Measure, print, and keep the result."""
    real_data = os.environ.get("CXR_REAL_DATA")
    chromium = os.environ.get("CXR_CHROMIUM") or shutil.which("chromium")
    if not real_data or not chromium:
        sys.exit("Set CXR_REAL_DATA to the folder that holds nih-mini, and install Chromium or set CXR_CHROMIUM.")
    bundle = nih_mini_bundle(Path(real_data))
    with tempfile.TemporaryDirectory() as scratch, our_server(bundle, Path(scratch)) as server, sync_playwright() as p:
        await_server(server.target.port)
        browser = p.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport=SCREEN)  # type: ignore[arg-type]  # Playwright's own type is not exported
        result = measure(page, f"http://127.0.0.1:{server.target.port}/", Path(scratch))
        result["browser"] = f"Chromium {browser.version}, WebGL in software"
        browser.close()
    result |= {"film": f"{SIDE} x {SIDE}, 16 bits", "screen": SCREEN, "machine": describe_machine()}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def await_server(port: int) -> None:
    """Return once it answers."""
    import httpx

    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    sys.exit("The server did not start.")


def measure(page: Page, address: str, scratch: Path) -> dict[str, Any]:
    """All figures, on one page."""
    film = scratch / "film.png"
    film.write_bytes(large_film())
    result = measure_start(page, address, film)
    encoded = b64encode(film.read_bytes()).decode()
    result["draw_ms"], result["frames_per_second"], result["coarsest"] = {}, {}, {}
    for renderer in ("webgl2", "canvas2d"):
        for map_ in (False, True):
            opened = page.evaluate(OPEN_VIEWER, {"renderer": renderer, "map": map_, "bytes": encoded})
            assert opened == renderer
            measure_motion(page, f"{renderer} {'with map ' if map_ else ''}", result)
    return result


def measure_start(page: Page, address: str, film: Path) -> dict[str, Any]:
    """The empty page's bytes, then the time from a file to what is seen of it (the middle of five)."""
    sizes: dict[str, tuple[int, int]] = {}

    def note(response: Any) -> None:
        sizes[response.url] = (len(response.body()), response.request.sizes()["responseBodySize"])

    page.on("response", note)
    page.goto(address, wait_until="networkidle")
    page.remove_listener("response", note)
    seen, scored = [], []
    for _ in range(6):
        page.reload(wait_until="networkidle")
        started = time.perf_counter()
        page.set_input_files("#choose", film)
        page.wait_for_selector("canvas.film:visible")
        seen.append((time.perf_counter() - started) * 1e3)
        page.wait_for_selector("#findings-list li")
        scored.append((time.perf_counter() - started) * 1e3)
    return {
        "first_paint_kb": round(sum(whole for whole, _ in sizes.values()) / 1000, 1),
        "wire_kb": round(sum(sent for _, sent in sizes.values()) / 1000, 1),
        "film_ms": round(statistics.median(seen[1:])),
        "findings_ms": round(statistics.median(scored[1:])),
    }


def measure_motion(page: Page, kind: str, result: dict[str, Any]) -> None:
    """Cost of a whole picture, and frames while dragging."""
    for name, (action, button) in MOVES.items():
        key = kind + name
        times = page.evaluate(DRAW, {"action": action, "count": DRAWS})
        low, high = np.percentile(times[5:], [50, 95])
        result["draw_ms"][key] = [round(float(low), 1), round(float(high), 1)]
        drag = page.evaluate(DRAG, {"button": button, "seconds": DRAG_SECONDS})
        frames = drag["frames"]
        # The first second is when the viewer finds out how fine it can draw.
        steady = [frame for frame in frames if frame - frames[0] > 1000]
        result["frames_per_second"][key] = round(1000 * (len(steady) - 1) / (steady[-1] - steady[0]), 1)
        result["coarsest"][key] = round(drag["coarsest"], 2)


def large_film() -> bytes:
    """A 16-bit PNG with structure at every scale, so that neither its decoding nor its drawing is flattered."""
    rng = np.random.default_rng(0)
    field = np.zeros((SIDE, SIDE), np.float32)
    for cells in (4, 16, 64, 256, 1024):
        grid = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
        field += np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / np.float32(np.log2(cells))
    low, high = np.percentile(field, [0.1, 99.9])
    levels = (np.clip((field - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


if __name__ == "__main__":
    main()
