/** The findings of the film that is looked at: warnings, scores, and what was measured of the model. */

import { byId, h, say } from "../dom.js";
import { load } from "../lazy.js";
import { isWithheld, ordered, readable } from "../ranking.js";
import { activeItem } from "../store.js";
import { findingName, modelName, profileWords, warningsOf } from "../words.js";
import { findingRow, mark } from "./finding-row.js";
import { toggleMap } from "./maps.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").Score} Score */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

export class Findings {
  #list = byId("findings-list");
  #warnings = byId("warnings");
  #about = byId("about-finding");
  /** Stands above the scores of a model that the server has no longer. */
  #outdated = h("p", { class: "warning", hidden: true });
  #event = "";
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {Store} store
   * @param {Queue} queue scores a film again
   */
  constructor(store, queue) {
    this.store = store;
    this.queue = queue;
    this.#list.addEventListener("keydown", (event) => this.#step(event));
    store.subscribe((state) => this.#render(state));
  }

  /** @param {State} state */
  #render(state) {
    const item = activeItem(state);
    const answer = item?.answer ?? null;
    byId("findings").classList.toggle("without", answer === null);
    byId("findings").classList.toggle("withheld", item !== null && isWithheld(item));
    byId("findings").classList.toggle("hidden-scores", item !== null && answer !== null && readable(item) === null);
    if (eventOf(item) !== this.#event) this.#build(item, answer);
    if (item === null || answer === null) return;
    this.#outdated.hidden = state.model === null || state.model.model.digest === answer.model.digest;
    for (const [finding, row] of this.#rows) mark(row, finding, item, state);
    this.#explain(state.finding, state);
  }

  /**
   * @param {Item | null} item
   * @param {Answer | null} answer
   */
  #build(item, answer) {
    this.#event = eventOf(item);
    this.#rows = new Map();
    this.#warnings.replaceChildren();
    if (item !== null && answer !== null) {
      const scores = readable(item) === null ? [] : ordered(answer);
      this.#rows = new Map(scores.map((score, i) => [score.finding, this.#row(item, score, i)]));
      this.#warn(item, answer);
    }
    this.#list.replaceChildren(...this.#rows.values());
  }

  /**
   * @param {Item} item
   * @param {Answer} answer
   */
  #warn(item, answer) {
    const again = h("button", { type: "button", click: () => this.queue.again(item) }, "Score it again");
    this.#outdated.replaceChildren(`Scored by ${modelName(answer.model)}; the server has another model now. `, again);
    const list = warningsOf(answer).map((text, i) =>
      h("p", { class: i === 0 && !answer.guard.in_distribution ? "warning strong" : "warning" }, text),
    );
    this.#warnings.append(this.#outdated, ...list);
    if (isWithheld(item)) void this.#withheld(item, answer);
  }

  /**
   * @param {Item} item
   * @param {Answer} answer
   */
  async #withheld(item, answer) {
    const place = h("p", { class: "warning" }, "The scores are withheld: read this film yourself.");
    this.#warnings.append(place);
    const { withheldWords } = await load("reading/withheld.js");
    place.replaceChildren(...withheldWords(this.store, this.queue, item, answer));
  }

  /**
   * @param {Item} item
   * @param {Score} score
   * @param {number} index of the row
   */
  #row(item, score, index) {
    const { finding } = score;
    const row = findingRow(this.store, item, score, index);
    const told = () => this.#explain(finding, this.store.state);
    row.addEventListener("pointerenter", told);
    row.addEventListener("focusin", told);
    row.addEventListener("pointerleave", () => this.#explain(this.store.state.finding, this.store.state));
    row.querySelector(".pick")?.addEventListener("click", () => this.store.update((state) => pick(state, finding)));
    return row;
  }

  /**
   * Up and down go through the findings where one of them has the focus, and through the films everywhere else.
   * @param {KeyboardEvent} event
   */
  #step(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target instanceof Element ? event.target.closest("[data-finding]") : null;
    if (way === undefined || row === null || event.shiftKey) return;
    event.preventDefault();
    const next = way > 0 ? row.nextElementSibling : row.previousElementSibling;
    const button = next?.querySelector(".pick");
    if (!(next instanceof HTMLElement && button instanceof HTMLElement)) return;
    button.focus();
    this.store.update((state) => Object.assign(state, { finding: next.dataset.finding, mapShown: true }));
  }

  /**
   * What was measured of a finding.
   * @param {string | null} finding
   * @param {State} state
   */
  #explain(finding, state) {
    const profile = finding === null ? undefined : state.model?.findings[finding];
    const words =
      finding === null || profile === undefined
        ? "Choose a finding to see its heat map and how well the model does on it."
        : `${findingName(finding)}: ${profileWords(profile)}`;
    say(this.#about, words);
  }
}

/** What the rows are made of. @param {Item | null} item */
function eventOf(item) {
  return item === null || item.answer === null ? "" : `${item.answer.event_id} ${item.revealed}`;
}

/**
 * Choose a finding; choosing it again takes its map away, or shows the map of one that is not flagged.
 * @param {State} state
 * @param {string} finding
 */
function pick(state, finding) {
  if (state.finding === finding) toggleMap(state, activeItem(state));
  else Object.assign(state, { finding, mapShown: true, anyway: "" });
}

/**
 * Choose the finding of a row; 1 is the first one.
 * @param {Store} store
 * @param {number} row
 */
export function pickRow(store, row) {
  const answer = readable(activeItem(store.state));
  const score = answer ? ordered(answer)[row - 1] : undefined;
  if (score !== undefined) store.update((state) => pick(state, score.finding));
}

/**
 * Choose the finding `step` rows further down.
 * @param {Store} store
 * @param {1 | -1} step
 */
export function moveFinding(store, step) {
  const answer = readable(activeItem(store.state));
  if (answer === null) return;
  const names = ordered(answer).map((score) => score.finding);
  const now = store.state.finding === null ? -1 : names.indexOf(store.state.finding);
  const next = names[Math.min(Math.max(now + step, 0), names.length - 1)];
  store.update((state) => Object.assign(state, { finding: next, mapShown: true }));
}
