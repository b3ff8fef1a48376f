/** One film on the stage: the viewer, what stands in its corners, and what is said where there is no film to show. */

import { h, say } from "./dom.js";
import { Viewer } from "./viewer/index.js";
import { filmFacts } from "./words.js";

/** @typedef {import("./viewer/index.js").ViewState} ViewState */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./films.js").Films} Films */

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
  #right = h("span", { class: "side", "aria-hidden": "true" }, "R");
  #left = h("span", { class: "side", "aria-hidden": "true" }, "L");
  #words = h("p", { class: "words", role: "status" });
  /** @type {Item | null} */
  #item = null;
  #map = "";
  #failed = false;
  /** What `lay` was last asked for: a film may come later. @type {[State, Item | null] | null} */
  #asked = null;
  isReady = false;

  /**
   * @param {HTMLElement} host
   * @param {Films} films
   * @param {(error: unknown) => void} onError
   */
  constructor(host, films, onError) {
    this.host = host;
    this.films = films;
    this.onError = onError;
    this.screen = h("div", { class: "screen", tabindex: 0, role: "application", "aria-label": "Film" });
    this.screen.setAttribute("aria-roledescription", "film viewer");
    host.replaceChildren(this.screen, this.#title, this.#numbers, this.#value, this.#right, this.#left, this.#words);
    this.viewer = new Viewer(this.screen, { onChange: (state) => this.#changed(state) });
    this.#sides(0, false);
  }

  /**
   * @param {Item | null} item
   * @param {boolean} reachable whether the server can be asked for a film now
   */
  show(item, reachable) {
    const again = item !== null && item === this.#item && !this.isReady && this.#failed && reachable;
    if (item === this.#item && !again) return;
    this.#item = item;
    this.#map = "";
    this.isReady = false;
    this.#failed = false;
    this.viewer.show(null);
    this.#sides(0, false);
    for (const corner of [this.#title, this.#numbers, this.#value]) say(corner, "");
    say(this.#words, item === null ? "Choose a film of the worklist." : "");
    if (item !== null) void this.#load(item);
  }

  /** @param {Item} item */
  async #load(item) {
    if (item.status === "refused") {
      say(this.#words, item.reason);
      return;
    }
    say(this.#words, "Fetching the film.");
    try {
      const film = await this.films.load(item);
      if (this.#item !== item) return;
      this.isReady = true;
      say(this.#words, "");
      say(this.#title, [item.file.name, filmFacts(film.facts)].join("\n"));
      this.screen.setAttribute("aria-label", `Film ${item.file.name}`);
      this.viewer.show(film);
      if (this.#asked !== null) this.lay(...this.#asked);
    } catch (error) {
      if (this.#item !== item) return;
      this.#failed = true;
      say(this.#words, error instanceof Error ? error.message : String(error));
      this.onError(error);
    }
  }

  /**
   * Lay the chosen finding's map over the film.
   * @param {State} state
   * @param {Item | null} item
   */
  lay(state, item) {
    this.#asked = [state, item];
    this.viewer.setOpacity(state.opacity);
    const rows = state.mapShown && state.finding !== null ? item?.answer?.heat_maps[state.finding] : undefined;
    const map = rows === undefined ? "" : `${item?.answer?.event_id} ${state.finding}`;
    if (map === this.#map || !this.isReady) return;
    this.#map = map;
    this.viewer.setMap(
      rows === undefined || !item?.answer ? null : { rows, scale: this.fullScale(state, item.answer) },
    );
  }

  /**
   * The share of the logit that is drawn in the last colour: the map's largest, but at least the faint one.
   * @param {State} state
   * @param {Answer} answer
   */
  fullScale({ finding, model }, answer) {
    const rows = finding === null ? undefined : answer.heat_maps[finding];
    return Math.max(model?.faint ?? 0, ...(rows ?? []).flat());
  }

  destroy() {
    this.viewer.destroy();
    this.host.replaceChildren();
  }

  /** @param {ViewState} state */
  #changed({ zoom, window, inverted, pixel, rotation }) {
    const shown = [`${Math.round(100 * zoom)}%`, `W ${Math.round(window.width)}  L ${Math.round(window.level)}`];
    say(this.#numbers, [...shown, ...(inverted ? ["inverted"] : [])].join("\n"));
    say(this.#value, pixel === null ? "" : `${pixel.x}, ${pixel.y}: ${Number(pixel.value.toFixed(2))}`);
    this.#sides(rotation, this.isReady);
  }

  /**
   * @param {0 | 90 | 180 | 270} rotation
   * @param {boolean} shown
   */
  #sides(rotation, shown) {
    const [right, left] = SIDES[rotation];
    this.#right.className = `side ${right}`;
    this.#left.className = `side ${left}`;
    this.#right.hidden = !shown;
    this.#left.hidden = !shown;
  }
}
