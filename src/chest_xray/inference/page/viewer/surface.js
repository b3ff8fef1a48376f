/** The canvas that fills a host, at the screen's own pixels, and the renderer that draws on it. */

import { CanvasRenderer } from "./canvas.js";
import { WebglRenderer } from "./webgl.js";

/** @typedef {import("./film.js").Film} Film */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./scene.js").Renderer} Renderer */
/** @typedef {Renderer["name"]} Kind */

export class Surface {
  /** The host in device pixels. @type {Size} */
  #size = { width: 1, height: 1 };
  /** @type {Renderer} */
  #renderer;
  #observer = new ResizeObserver(([entry]) => {
    this.#size = measured(this.host, entry);
    this.onChange();
  });

  /**
   * @param {HTMLElement} host
   * @param {Kind | undefined} wanted instead of the best that the browser has
   * @param {() => void} onChange when the size is another one, or what was drawn is lost
   */
  constructor(host, wanted, onChange) {
    this.host = host;
    this.onChange = onChange;
    this.#renderer = this.#open(wanted);
    this.#best = { name: this.#renderer.name, largest: this.#renderer.largest };
    this.#size = measured(host);
    try {
      this.#observer.observe(host, { box: "device-pixel-content-box" });
    } catch {
      this.#observer.observe(host); // not every browser knows that box
    }
  }

  #best;

  get kind() {
    return this.#renderer.name;
  }

  get canvas() {
    return this.#renderer.canvas;
  }

  /** The host in CSS pixels. @returns {Size} */
  get screen() {
    return { width: this.#size.width / devicePixelRatio, height: this.#size.height / devicePixelRatio };
  }

  /**
   * Go over to the renderer that can draw a film, where it is another one. A canvas cannot change its kind.
   * @param {Film} film
   */
  suit(film) {
    const wanted = Math.max(film.width, film.height) <= this.#best.largest ? this.#best.name : "canvas2d";
    if (wanted === this.kind) return;
    this.#renderer.destroy();
    this.canvas.remove();
    this.#renderer = this.#open(wanted);
  }

  /**
   * @param {Omit<import("./scene.js").Scene, "ratio" | "draft">} scene
   * @param {number} quality pixels for a pixel of the screen, in each direction
   */
  draw(scene, quality) {
    const { canvas } = this;
    canvas.style.visibility = "visible";
    sized(canvas, Math.ceil(this.#size.width * quality), Math.ceil(this.#size.height * quality));
    const ratio = (devicePixelRatio * canvas.width) / this.#size.width;
    this.#renderer.draw({ ...scene, ratio, draft: quality !== 1 });
  }

  hide() {
    this.canvas.style.visibility = "hidden";
  }

  /** Wait until everything that was drawn is there. */
  finish() {
    this.#renderer.finish();
  }

  destroy() {
    this.#observer.disconnect();
    this.#renderer.destroy();
    this.canvas.remove();
  }

  /**
   * @param {Kind | undefined} wanted
   * @returns {Renderer}
   */
  #open(wanted) {
    const webgl = wanted === "canvas2d" ? null : WebglRenderer.open(wanted === "webgl2");
    const renderer = webgl ?? new CanvasRenderer();
    const { canvas } = renderer;
    canvas.className = "film";
    Object.assign(canvas.style, { display: "block", width: "100%", height: "100%", visibility: "hidden" });
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#renderer.restore();
      this.onChange();
    });
    this.host.prepend(canvas);
    return renderer;
  }
}

/**
 * An element's size in device pixels, 1 at least.
 * @param {HTMLElement} host
 * @param {ResizeObserverEntry} [entry] says it exactly, in some browsers
 * @returns {Size}
 */
function measured(host, entry) {
  const exact = entry?.devicePixelContentBoxSize?.[0];
  const width = nearest(host.clientWidth * devicePixelRatio, exact?.inlineSize);
  const height = nearest(host.clientHeight * devicePixelRatio, exact?.blockSize);
  return { width: Math.max(width, 1), height: Math.max(height, 1) };
}

/**
 * The exact length, unless it is of another screen: a browser that imitates one of other pixels says those of its own.
 * @param {number} about
 * @param {number | undefined} exact
 */
function nearest(about, exact) {
  return exact !== undefined && Math.abs(exact - about) < 2 ? exact : Math.round(about);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function sized(canvas, width, height) {
  // Setting a size clears the canvas and makes its memory anew, even when it is the same.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
