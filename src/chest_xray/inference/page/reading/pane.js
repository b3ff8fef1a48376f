/** One film on the stage: the viewer, what stands in its corners, and what is said where there is no film to show. */

import { blocks } from "../api.js";
import { h, say } from "../dom.js";
import { Viewer } from "../viewer/index.js";
import { filmFacts } from "../words.js";
import { mapOf } from "./maps.js";

/** @typedef {import("../viewer/index.js").ViewState} ViewState */
/** @typedef {import("../viewer/index.js").Film} Film */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("./films.js").Films} Films */
/**
 * @typedef {object} PaneEvents
 * @property {(error: unknown) => void} onError a film could not be had
 * @property {() => void} onActive the reader turned to this pane
 * @property {() => void} onView zoom, window or place changed
 */

/** Where the patient's right and left are when an upright frontal film is turned clockwise. */
const SIDES = /** @type {const} */ ({
  0: ["start", "end"],
  90: ["top", "bottom"],
  180: ["end", "start"],
  270: ["bottom", "top"],
});

export class Pane {
  #title = h("p", { class: "corner title" });
  #numbers = h("p", { class: "corner numbers" });
  #value = h("p", { class: "corner value" });
  #right = h("span", { class: "side", "aria-hidden": "true", hidden: true }, "R");
  #left = h("span", { class: "side", "aria-hidden": "true", hidden: true }, "L");
  #words = h("p", { class: "words", role: "status" });
  #screen = h("div", { class: "screen", tabindex: 0, role: "application", "aria-label": "Film" });
  /** @type {Item | null} */
  #item = null;
  #map = "";
  #again = false;
  /** What `lay` was last asked for: a film may come later. @type {[State, Item | null, number] | null} */
  #asked = null;
  /** The film that is shown, once it is here. @type {Film | null} */
  film = null;

  /**
   * @param {HTMLElement} host
   * @param {Films} films
   * @param {PaneEvents} events
   */
  constructor(host, films, events) {
    this.host = host;
    this.films = films;
    this.events = events;
    this.#screen.setAttribute("aria-roledescription", "film viewer");
    this.#screen.addEventListener("focusin", events.onActive);
    this.#screen.addEventListener("pointerdown", events.onActive);
    host.replaceChildren(this.#screen, this.#title, this.#numbers, this.#value, this.#right, this.#left, this.#words);
    this.viewer = new Viewer(this.#screen, { onChange: (state) => this.#changed(state) });
  }

  focus() {
    this.#screen.focus();
  }

  /**
   * @param {Item | null} item
   * @param {boolean} reachable whether the server can be asked for a film now
   * @param {string} instead what is said where there is no film
   */
  show(item, reachable, instead) {
    if (item === null) say(this.#words, instead);
    if (item === this.#item && !(this.#again && reachable)) return;
    this.#item = item;
    this.#map = "";
    this.#again = false;
    this.film = null;
    this.viewer.show(null);
    this.#right.hidden = true;
    this.#left.hidden = true;
    for (const corner of [this.#title, this.#numbers, this.#value]) say(corner, "");
    if (item !== null) void this.#load(item);
  }

  /** @param {Item} item */
  async #load(item) {
    say(this.#title, item.file.name);
    if (item.status === "refused") {
      say(this.#words, `Refused. ${item.reason}`);
      return;
    }
    say(this.#words, "Fetching the film.");
    try {
      const film = await this.films.load(item);
      if (this.#item === item) this.#display(item, film);
    } catch (error) {
      if (this.#item !== item) return;
      // A film that the server refuses stays refused; one that it could not be asked for is asked for again.
      this.#again = blocks(error) !== null;
      say(this.#words, error instanceof Error ? error.message : String(error));
      this.events.onError(error);
    }
  }

  /**
   * @param {Item} item
   * @param {Film} film
   */
  #display(item, film) {
    this.film = film;
    say(this.#words, "");
    say(this.#title, `${item.file.name}\n${filmFacts(film.facts)}`);
    this.#screen.setAttribute("aria-label", `Film ${item.file.name}`);
    this.viewer.show(film);
    if (this.#asked !== null) this.lay(...this.#asked);
    this.events.onView();
  }

  /**
   * Lay the chosen finding's map over the film.
   * @param {State} state
   * @param {Item | null} item
   * @param {number} scale the share of the logit in full colour
   */
  lay(state, item, scale) {
    this.#asked = [state, item, scale];
    this.viewer.setOpacity(state.opacity);
    const finding = mapOf(state, item);
    const rows = finding === null ? undefined : item?.answer?.heat_maps[finding];
    const map = rows === undefined ? "" : `${item?.answer?.event_id} ${finding} ${scale}`;
    if (map === this.#map || this.film === null) return;
    this.#map = map;
    this.viewer.setMap(rows === undefined ? null : { rows, scale });
  }

  destroy() {
    this.viewer.destroy();
    this.host.replaceChildren();
  }

  /** @param {ViewState} state */
  #changed({ zoom, window, inverted, pixel, rotation }) {
    const shown = [`${Math.round(100 * zoom)}%`, `W ${Math.round(window.width)}  L ${Math.round(window.level)}`];
    say(this.#numbers, [...(inverted ? ["inverted"] : []), ...shown].join("\n"));
    say(this.#value, pixel === null ? "" : `x ${pixel.x}  y ${pixel.y}  value ${Number(pixel.value.toFixed(2))}`);
    this.#sides(rotation);
    this.events.onView();
  }

  /**
   * R and L follow from the habit of frontal films. Where the film is turned, or says so, they would mislead.
   * @param {0 | 90 | 180 | 270} rotation
   */
  #sides(rotation) {
    const doubtful = ["rotated", "orientation"];
    const turned = this.#item?.answer?.quality.some(({ check }) => doubtful.includes(check)) ?? false;
    const [right, left] = SIDES[rotation];
    this.#right.className = `side ${right}`;
    this.#left.className = `side ${left}`;
    this.#right.hidden = turned || this.film === null;
    this.#left.hidden = turned || this.film === null;
  }
}
