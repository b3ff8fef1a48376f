/** The middle of the page: the selected film, perhaps another one beside it, and the heat map of the chosen finding. */

import { byId, say } from "./dom.js";
import { Films } from "./films.js";
import { Pane } from "./pane.js";
import { worklist } from "./ranking.js";
import { itemOf } from "./store.js";
import { colourTable, drawLegend, link } from "./viewer/index.js";
import { findingName } from "./words.js";

/** @typedef {import("./viewer/index.js").ViewerAction} ViewerAction */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").ModelCard} ModelCard */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./queue.js").Queue} Queue */

export class Stage {
  #films = new Films();
  #legend = byId("legend");
  #opacity = /** @type {HTMLInputElement} */ (byId("opacity"));
  #linked = /** @type {HTMLInputElement} */ (byId("linked"));
  /** @type {Pane | null} */
  #second = null;
  /** @type {ModelCard | null} */
  #model = null;
  #unlink = () => {};

  /**
   * @param {Store} store
   * @param {Queue} queue is told when the server cannot be reached
   */
  constructor(store, queue) {
    this.store = store;
    this.queue = queue;
    this.first = new Pane(byId("first"), this.#films, (error) => queue.report(error));
    this.#opacity.addEventListener("input", () =>
      store.update((state) => {
        state.opacity = Number(this.#opacity.value) / 100;
      }),
    );
    this.#linked.addEventListener("change", () => this.#link());
    store.subscribe((state) => this.#render(state));
  }

  /** @param {ViewerAction} action */
  act(action) {
    this.#active().viewer.act(action);
  }

  /** @param {State} state */
  #render(state) {
    this.#colour(state.model);
    this.#compare(state);
    const item = itemOf(state, state.selected);
    for (const [pane, shown] of this.#panes(state, item)) {
      pane.show(shown, state.connection === "ready");
      pane.lay(state, shown);
    }
    this.#describe(state, item);
    const next = item === null ? undefined : following(state, item);
    // Fetched while the reader looks at this one; if it cannot be had, that is said when it is shown.
    if (next !== undefined && this.first.isReady) this.#films.load(next).catch(() => {});
  }

  /**
   * @param {State} state
   * @param {Item | null} item
   * @returns {[Pane, Item | null][]}
   */
  #panes(state, item) {
    const second = itemOf(state, state.compared);
    return this.#second === null
      ? [[this.first, item]]
      : [
          [this.first, item],
          [this.#second, second],
        ];
  }

  /** @param {ModelCard | null} model */
  #colour(model) {
    if (model === null || model === this.#model) return;
    this.#model = model;
    drawLegend(/** @type {HTMLCanvasElement} */ (byId("scale")), model.colours);
    const table = colourTable(model.colours);
    this.first.viewer.setColours(table);
    this.#second?.viewer.setColours(table);
  }

  /** @param {State} state */
  #compare(state) {
    const host = byId("second");
    if (state.comparing === (this.#second !== null)) return;
    host.hidden = !state.comparing;
    byId("linked-label").hidden = !state.comparing;
    byId("compare").setAttribute("aria-pressed", String(state.comparing));
    if (state.comparing) {
      this.#second = new Pane(host, this.#films, (error) => this.queue.report(error));
      if (this.#model !== null) this.#second.viewer.setColours(colourTable(this.#model.colours));
    } else {
      this.#second?.destroy();
      this.#second = null;
    }
    this.#link();
  }

  #link() {
    this.#unlink();
    this.#unlink =
      this.#second !== null && this.#linked.checked ? link(this.first.viewer, this.#second.viewer) : () => {};
  }

  /**
   * @param {State} state
   * @param {Item | null} item
   */
  #describe(state, item) {
    const { finding } = state;
    const answer = item?.answer ?? null;
    const shown = answer !== null && finding !== null && state.mapShown;
    this.#legend.classList.toggle("off", !shown);
    this.#opacity.value = String(Math.round(100 * state.opacity));
    if (!shown || state.model === null) return;
    const place = answer.locations[finding];
    say(byId("where"), `${findingName(finding)}: ${place ?? "no evidence for it on this film"}`);
    say(byId("full"), `+${this.first.fullScale(state, answer).toFixed(1)} of the logit`);
  }

  #active() {
    const inSecond = this.#second?.host.contains(document.activeElement) ?? false;
    return inSecond && this.#second !== null ? this.#second : this.first;
  }
}

/**
 * The film that the reader is likely to want next.
 * @param {State} state
 * @param {Item} item
 */
function following(state, item) {
  const items = worklist(state.items);
  return items.slice(items.indexOf(item) + 1).find(({ answer }) => answer !== null);
}
