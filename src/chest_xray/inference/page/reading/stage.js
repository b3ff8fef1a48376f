/** The middle of the page: the film that is looked at, perhaps another one beside it, and the legend of the map. */

import { byId, h, say } from "../dom.js";
import { listed, readable } from "../ranking.js";
import { activeItem, itemOf } from "../store.js";
import { colourTable, drawLegend, link } from "../viewer/index.js";
import { findingName } from "../words.js";
import { Films } from "./films.js";
import { mapOf, toggleMap } from "./maps.js";
import { Pane } from "./pane.js";
import { PRESETS, presetOf, presetWindow } from "./presets.js";

/** @typedef {import("../viewer/index.js").ViewerAction} ViewerAction */
/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").ModelCard} ModelCard */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

export class Stage {
  #films = new Films();
  #opacity = /** @type {HTMLInputElement} */ (byId("opacity"));
  #linked = /** @type {HTMLInputElement} */ (byId("linked"));
  #preset = /** @type {HTMLSelectElement} */ (byId("preset"));
  #anyway = h("button", { type: "button", id: "anyway", hidden: true }, "Show its map anyway");
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
    this.#first = this.#pane("first", "selected");
    this.#opacity.addEventListener("input", () =>
      store.update((state) => {
        state.opacity = Number(this.#opacity.value) / 100;
      }),
    );
    this.#linked.addEventListener("change", () => this.#link());
    this.#anyway.addEventListener("click", () => store.update((state) => toggleMap(state, activeItem(state))));
    byId("where").after(this.#anyway);
    store.subscribe((state) => this.#render(state));
  }

  #first;

  /** The pane that tools and report are about. */
  get active() {
    return this.store.state.active === "compared" && this.#second !== null ? this.#second : this.#first;
  }

  /** The pane beside it, if there is one. */
  get other() {
    return this.active === this.#first ? this.#second : this.#first;
  }

  /** @param {ViewerAction} action */
  act(action) {
    this.active.viewer.act(action);
  }

  /** @param {string} [name] of a window preset; without one the next is taken */
  setPreset(name) {
    // The first choice of the list is the reader's own window: an option's index is that of the preset after it.
    const next = PRESETS[this.#preset.selectedIndex % PRESETS.length];
    const preset = name === undefined ? next : PRESETS.find((known) => known.name === name);
    const { film, viewer } = this.active;
    if (preset !== undefined && film !== null) viewer.setWindow(presetWindow(preset, film));
  }

  /**
   * @param {string} id of the pane's place
   * @param {State["active"]} which
   */
  #pane(id, which) {
    const pane = new Pane(byId(id), this.#films, {
      onError: (error) => this.queue.report(error),
      onActive: () =>
        this.store.update((state) => {
          state.active = which;
        }),
      onView: () => this.#describeWindow(),
    });
    if (this.#model !== null) pane.viewer.setColours(colourTable(this.#model.colours));
    return pane;
  }

  /** @param {State} state */
  #render(state) {
    this.#colour(state.model);
    this.#compare(state);
    const shown = [
      { pane: this.#first, item: itemOf(state, state.selected) },
      ...(this.#second === null ? [] : [{ pane: this.#second, item: itemOf(state, state.compared) }]),
    ];
    // Films side by side share one scale: equal colours are equal shares.
    const scale = Math.max(...shown.map(({ item }) => fullScale(state, item)));
    const some = state.items.some(({ answer }) => answer !== null);
    const instead = some
      ? "The first film of the worklist opens when all are scored. Choose one to begin at once."
      : "The first film of the worklist will be shown here.";
    for (const { pane, item } of shown) {
      pane.show(item, state.connection === "ready", instead);
      pane.lay(state, item, scale);
      pane.host.classList.toggle("active", state.comparing && pane === this.active);
    }
    this.#describeMap(state, activeItem(state), scale);
    this.#describeWindow();
    const next = following(state);
    // Fetched while the reader looks at this one; if it cannot be had, that is said when it is shown.
    if (next !== undefined && this.active.film !== null) this.#films.load(next).catch(() => {});
  }

  /** @param {ModelCard | null} model */
  #colour(model) {
    if (model === null || model === this.#model) return;
    this.#model = model;
    drawLegend(/** @type {HTMLCanvasElement} */ (byId("scale")), model.colours);
    const table = colourTable(model.colours);
    this.#first.viewer.setColours(table);
    this.#second?.viewer.setColours(table);
  }

  /** @param {State} state */
  #compare(state) {
    if (state.comparing === (this.#second !== null)) return;
    byId("second").hidden = !state.comparing;
    byId("linked-label").hidden = !state.comparing;
    byId("compare").setAttribute("aria-pressed", String(state.comparing));
    this.#second?.destroy();
    this.#second = state.comparing ? this.#pane("second", "compared") : null;
    this.#link();
  }

  #link() {
    this.#unlink();
    this.#unlink =
      this.#second !== null && this.#linked.checked ? link(this.#first.viewer, this.#second.viewer) : () => {};
  }

  #describeWindow() {
    const { film, viewer } = this.active;
    const window = viewer.state?.window;
    if (film !== null && window !== undefined) this.#preset.value = presetOf(window, film)?.name ?? "";
  }

  /**
   * @param {State} state
   * @param {Item | null} item
   * @param {number} scale
   */
  #describeMap(state, item, scale) {
    const answer = readable(item);
    const finding = mapOf(state, item);
    const shown = answer !== null && finding !== null;
    this.#anyway.hidden = shown || answer === null || state.finding === null;
    byId("map").setAttribute("aria-pressed", String(shown));
    byId("legend").classList.toggle("without", !shown);
    this.#opacity.disabled = !shown;
    this.#opacity.value = String(Math.round(100 * state.opacity));
    if (!shown) {
      say(byId("where"), answer === null ? "" : withoutMap(state, answer));
      return;
    }
    const place = answer.locations[finding] ?? "no evidence for it on this film";
    const doubt = answer.findings.some((score) => score.finding === finding && score.flag) ? "" : " (not flagged)";
    say(byId("where"), `${findingName(finding)}${doubt}: ${place}`);
    say(byId("full"), `+${scale.toFixed(1)}`);
  }
}

/**
 * Why there is no map: one of a finding that is not flagged looks like a find and is none.
 * @param {State} state
 * @param {Answer} answer
 */
function withoutMap({ finding, mapShown }, { findings, withheld }) {
  const score = findings.find((one) => one.finding === finding);
  if (score === undefined) return "No heat map: choose a finding.";
  const name = findingName(score.finding);
  if (withheld !== null) return `${name}: no heat map, its score is withheld.`;
  if (score.flag === null) return `${name}: no heat map, it has no operating point.`;
  return score.flag || !mapShown ? `${name}: its heat map is hidden.` : `${name}: no heat map, it is not flagged.`;
}

/**
 * The share of the logit that is drawn in the last colour: the map's largest, but at least the faint one, so that a map
 * without evidence stays nearly invisible.
 * @param {State} state
 * @param {Item | null} item
 */
function fullScale(state, item) {
  const finding = mapOf(state, item);
  const rows = finding === null ? undefined : item?.answer?.heat_maps[finding];
  return Math.max(state.model?.faint ?? 0, ...(rows ?? []).flat());
}

/**
 * The film that the reader is likely to want next.
 * @param {State} state
 */
function following(state) {
  const items = listed(state);
  const now = items.findIndex((item) => item.id === state[state.active]);
  return items.slice(now + 1).find(({ answer }) => answer !== null);
}
