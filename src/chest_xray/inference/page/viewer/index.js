/** The viewer: one film on one canvas, its window over the full depth, a heat map over it. */

import { acted, alike, initial, moved, resized, windowed, zoomed } from "./display.js";
import { evidenceOf } from "./evidence.js";
import { Film, loadFilm } from "./film.js";
import { aligned } from "./geometry.js";
import { Pace } from "./pace.js";
import { pictureOf } from "./picture.js";
import { listen } from "./pointer.js";
import { inPixels, stateOf } from "./state.js";
import { Surface } from "./surface.js";

export { colourScale, colourTable, drawLegend } from "./colours.js";
export { link } from "./link.js";
export { Film, loadFilm };

/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./display.js").Display} Display */
/** @typedef {import("./display.js").ViewerAction} ViewerAction */
/** @typedef {import("./state.js").ViewState} ViewState */
/**
 * @typedef {object} ViewerOptions
 * @property {(state: ViewState) => void} [onChange] after each picture that shows something else
 * @property {"webgl2" | "canvas2d"} [renderer] instead of the best that the browser has
 */

/** A film on a canvas that fills its host. */
export class Viewer {
  /** The viewer that is moved along with this one. @type {Viewer | null} */
  follower = null;
  /** @type {Film | null} */
  #film = null;
  /** @type {Display | null} */
  #display = null;
  /** @type {import("./evidence.js").Evidence | null} */
  #map = null;
  /** @type {Uint8Array | null} */
  #table = null;
  /** @type {Point | null} */
  #pointer = null;
  #opacity = 0.5;
  #frame = 0;
  #pace = new Pace(() => this.#schedule());

  /**
   * @param {HTMLElement} host
   * @param {ViewerOptions} [options]
   */
  constructor(host, { onChange = () => {}, renderer } = {}) {
    this.host = host;
    this.onChange = onChange;
    this.#surface = new Surface(host, renderer, () => this.#resize());
    this.#stop = listen(host, {
      onWindow: (way) => this.#change((display, film) => windowed(display, film, way)),
      onPan: (way) => this.#change((display, film) => moved(display, film, way)),
      onZoom: (at, factor) => this.#change((display, film) => zoomed(display, film, this.#surface.screen, at, factor)),
      onFit: () => this.act("fit"),
      onHover: (at) => this.#hover(at),
      onEnd: () => this.#pace.settle(),
    });
  }

  #surface;
  #stop;

  /**
   * Show a film as its file says, without a heat map; null shows none.
   * @param {Film | null} film
   */
  show(film) {
    this.#film = film;
    this.#map = null;
    this.#display = film === null ? null : initial(film, this.#surface.screen);
    if (film !== null) this.#surface.suit(film);
    this.#pace.restart();
    this.#schedule();
    // Linked, it is shown as the other one is.
    this.follower?.lead();
  }

  /**
   * Lay a heat map over the film; null takes it away.
   * @param {{rows: number[][], scale: number} | null} map `scale` is the share of the logit in full colour
   */
  setMap(map) {
    this.#map = map === null ? null : evidenceOf(map.rows, map.scale);
    this.#pace.restart();
    this.#schedule();
  }

  /** @param {Uint8Array} table 256 colours as RGBA, of `colourTable` */
  setColours(table) {
    this.#table = table;
    this.#schedule();
  }

  /** @param {number} opacity of the map where it is full, 0..1 */
  setOpacity(opacity) {
    this.#opacity = opacity;
    this.#schedule();
  }

  /** @param {ViewerAction} action */
  act(action) {
    this.#change((display, film) => acted(display, film, this.#surface.screen, action));
    this.#pace.settle();
  }

  /**
   * Set the window, in the file's own values.
   * @param {{width: number, level: number}} window
   */
  setWindow(window) {
    this.#change((display, film) => ({ ...display, window: inPixels(film, window) }));
    this.#pace.settle();
  }

  /** What is shown; null without a film. @returns {ViewState | null} */
  get state() {
    const [film, display] = [this.#film, this.#display];
    if (film === null || display === null) return null;
    return stateOf(film, display, this.#surface, this.#pointer);
  }

  /**
   * The whole film with its map, turned and in the window as it is shown; null where there is no film.
   * @param {number} width in pixels
   * @returns {HTMLCanvasElement | null}
   */
  snapshot(width) {
    const [film, display] = [this.#film, this.#display];
    return film === null || display === null ? null : pictureOf(this.#scene(film, display), width);
  }

  /** Draw at once and wait until it is drawn. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#draw();
    this.#surface.finish();
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#pace.stop();
    this.#stop();
    this.#surface.destroy();
  }

  /** @param {(display: Display, film: Film) => Display} made */
  #change(made) {
    if (this.#film === null || this.#display === null) return;
    this.#display = made(this.#display, this.#film);
    this.#pace.move();
    this.#schedule();
    this.lead();
  }

  /** Let the follower, if there is one, show its film as this one is shown. */
  lead() {
    if (this.#film === null || this.#display === null) return;
    this.follower?.follow(this.#display, this.#film, this.#surface.screen);
  }

  /**
   * Show this viewer's film as another one is shown.
   * @param {Display} display
   * @param {Film} film
   * @param {Size} screen
   */
  follow(display, film, screen) {
    if (this.#film === null) return;
    this.#display = alike(display, film, screen, this.#film, this.#surface.screen);
    this.#pace.move();
    this.#schedule();
  }

  /** @param {Point | null} at */
  #hover(at) {
    this.#pointer = at;
    const state = this.state;
    if (state !== null) this.onChange(state);
  }

  #resize() {
    if (this.#film !== null && this.#display !== null) {
      this.#display = resized(this.#display, this.#film, this.#surface.screen);
    }
    this.#pace.restart();
    this.#schedule();
  }

  #schedule() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame((now) => {
      this.#pace.frame(now);
      this.#draw();
    });
  }

  #draw() {
    const [film, display] = [this.#film, this.#display];
    if (film === null || display === null) {
      this.#surface.hide();
      return;
    }
    const { quality } = this.#pace;
    const pose = aligned(display.pose, this.#surface.screen, devicePixelRatio * quality);
    this.#surface.draw(this.#scene(film, { ...display, pose }), quality);
    const state = this.state;
    if (state !== null) this.onChange(state);
  }

  /**
   * @param {Film} film
   * @param {Display} display
   */
  #scene(film, { pose, window, inverted }) {
    return { film, pose, window, inverted, map: this.#map, table: this.#table, opacity: this.#opacity };
  }
}
