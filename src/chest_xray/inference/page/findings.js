/** The findings of the selected film: scores against their operating points, and the reader's word on each. */

import { byId, h, say } from "./dom.js";
import { judge } from "./feedback.js";
import { ordered, ratio } from "./ranking.js";
import { activeItem } from "./store.js";
import { findingName, modelName, probability, withInterval } from "./words.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").FindingProfile} FindingProfile */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Score} Score */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./queue.js").Queue} Queue */

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
    byId("findings").classList.toggle("meaningless", answer?.guard.in_distribution === false);
    if ((answer?.event_id ?? "") !== this.#event) this.#build(item, answer);
    if (item === null || answer === null) return;
    this.#outdated.hidden = state.model === null || state.model.model.digest === answer.model.digest;
    for (const [finding, row] of this.#rows) mark(row, finding, item, state);
    this.#explain(state.finding, state, answer);
  }

  /**
   * @param {Item | null} item
   * @param {Answer | null} answer
   */
  #build(item, answer) {
    this.#event = answer?.event_id ?? "";
    const scores = answer === null ? [] : ordered(answer);
    this.#rows = new Map(scores.map((score, i) => [score.finding, this.#row(/** @type {Item} */ (item), score, i)]));
    this.#list.replaceChildren(...this.#rows.values());
    this.#warnings.replaceChildren(...(answer === null ? [] : warnings(answer)));
    say(this.#about, "");
    if (item === null || answer === null) return;
    const again = h("button", { type: "button", click: () => this.queue.again(item) }, "Score it again");
    this.#outdated.replaceChildren(`Scored by ${modelName(answer.model)}; the server has another model now. `, again);
    this.#warnings.append(this.#outdated);
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
    const pick = next?.querySelector(".pick");
    if (!(next instanceof HTMLElement && pick instanceof HTMLElement)) return;
    pick.focus();
    this.store.update((state) => Object.assign(state, { finding: next.dataset.finding, mapShown: true }));
  }

  /**
   * @param {Item} item
   * @param {Score} score
   * @param {number} index of the row
   */
  #row(item, score, index) {
    const { finding, flag } = score;
    const name = findingName(finding);
    const told = () => this.#explain(finding, this.store.state, /** @type {Answer} */ (item.answer));
    const pick = h("button", {
      type: "button",
      class: "pick",
      "aria-pressed": "false",
      "aria-describedby": "about-finding",
      ...(index < 9 ? { "aria-keyshortcuts": String(index + 1) } : {}),
    });
    const digit = h("kbd", { class: "digit", "aria-hidden": "true" }, index < 9 ? String(index + 1) : "");
    pick.append(digit, h("span", { class: "name" }, name), h("span", { class: "flag" }, flagWord(flag)));
    pick.append(bar(score), h("span", { class: "value" }, probability(score.probability)));
    pick.addEventListener("click", () => this.store.update((state) => pickFinding(state, finding)));
    pick.addEventListener("focus", told);
    const row = h(
      "li",
      { class: flag ? "finding flagged" : "finding", "data-finding": finding, pointerenter: told },
      pick,
    );
    row.addEventListener("pointerleave", () => this.#explain(this.store.state.finding, this.store.state, item.answer));
    row.append(...judgements(this.store, item, score));
    return row;
  }

  /**
   * What was measured of a finding.
   * @param {string | null} finding
   * @param {State} state
   * @param {Answer | null} answer
   */
  #explain(finding, state, answer) {
    const profile = finding === null ? undefined : state.model?.findings[finding];
    if (finding === null || profile === undefined || answer === null) {
      say(this.#about, "Choose a finding to see its heat map and how well the model does on it.");
      return;
    }
    say(this.#about, `${findingName(finding)}: ${told(profile)}`);
  }
}

/**
 * Choose a finding; choosing it again takes its map away.
 * @param {State} state
 * @param {string} finding
 */
export function pickFinding(state, finding) {
  state.mapShown = state.finding !== finding || !state.mapShown;
  state.finding = finding;
}

/**
 * Choose the finding of a row; 1 is the first one.
 * @param {Store} store
 * @param {number} row
 */
export function pickRow(store, row) {
  const answer = activeItem(store.state)?.answer;
  const score = answer ? ordered(answer)[row - 1] : undefined;
  if (score !== undefined) store.update((state) => pickFinding(state, score.finding));
}

/**
 * Choose the finding `step` rows further down.
 * @param {Store} store
 * @param {number} step
 */
export function moveFinding(store, step) {
  const answer = activeItem(store.state)?.answer;
  if (!answer) return;
  const names = ordered(answer).map((score) => score.finding);
  const now = store.state.finding === null ? -1 : names.indexOf(store.state.finding);
  const next = names[Math.min(Math.max(now + step, 0), names.length - 1)];
  store.update((state) => Object.assign(state, { finding: next, mapShown: true }));
}

/**
 * @param {HTMLElement} row
 * @param {string} finding
 * @param {Item} item
 * @param {State} state
 */
function mark(row, finding, item, state) {
  const chosen = state.finding === finding && state.mapShown;
  row.querySelector(".pick")?.setAttribute("aria-pressed", String(chosen));
  const present = item.feedback.present[finding];
  for (const button of row.querySelectorAll("button[data-present]")) {
    const says = button instanceof HTMLElement && button.dataset.present === String(present);
    button.setAttribute("aria-pressed", String(says));
  }
}

/** @param {boolean | null} flag */
function flagWord(flag) {
  if (flag === null) return "no op. point";
  return flag ? "flagged" : "";
}

/**
 * The operating point stands in the middle of every bar: left of it the probability is a share of it, right of it a
 * share of what is left to 1. Rows can so be compared at a glance however rare a finding is.
 * @param {Score} score
 */
function bar(score) {
  const { probability: value, operating_point: point } = score;
  const place =
    point === null ? value : value < point ? ratio(score) / 2 : 0.5 + (value - point) / (1 - point || 1) / 2;
  const filled = h("span", { class: "filled" });
  filled.style.inlineSize = `${(100 * place).toFixed(1)}%`;
  return h("span", { class: point === null ? "bar unmarked" : "bar", "aria-hidden": "true" }, filled);
}

/**
 * @param {Store} store
 * @param {Item} item
 * @param {Score} score
 * @returns {Node[]}
 */
function judgements(store, item, { finding, flag }) {
  if (!store.state.model?.feedback) return [];
  const name = findingName(finding);
  /** @type {[string, string, boolean][]} */
  const choices =
    flag === null
      ? [
          ["present", "+", true],
          ["absent", "−", false],
        ]
      : [
          ["agree", "✓", flag],
          ["disagree", "✗", !flag],
        ];
  return choices.map(([word, sign, present]) =>
    h(
      "button",
      {
        type: "button",
        class: "judge",
        "aria-pressed": "false",
        "aria-label": `${name}: ${word}`,
        title: `${word[0]?.toUpperCase()}${word.slice(1)}: the finding is ${present ? "present" : "absent"}`,
        "data-present": String(present),
        click: () => judge(store, item, finding, present),
      },
      sign,
    ),
  );
}

/** @param {FindingProfile} profile */
function told({ auroc, auroc_ci95: interval, operating_point: point, calibration }) {
  const measured = `AUROC ${withInterval(auroc, interval)} on the test list`;
  const chosen =
    point === null
      ? "no operating point, too few cases"
      : `operating point ${probability(point.threshold)} (${point.aim}; sensitivity ${point.sensitivity.toFixed(2)}, specificity ${point.specificity.toFixed(2)} on validation films)`;
  return `${measured}; ${chosen}; calibration ${calibration.method.replaceAll("_", " ")}.`;
}

/**
 * @param {Answer} answer
 * @returns {Node[]}
 */
function warnings({ guard, quality }) {
  const list = quality.map(({ detail }) => h("p", { class: "warning" }, detail));
  if (guard.in_distribution) return list;
  const strange = `This film is unlike the training films (distance ${guard.distance.toFixed(1)}, at most ${guard.threshold.toFixed(1)} expected). Its scores mean nothing.`;
  return [h("p", { class: "warning strong" }, strange), ...list];
}
