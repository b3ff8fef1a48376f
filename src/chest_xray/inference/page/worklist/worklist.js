/** The worklist: a row for each file. The selection stays with its film while rows move. */

import { byId, h, say } from "../dom.js";
import { isWithheld, listed, misplaced, ratio, top, worklist } from "../ranking.js";
import { counted, findingName, probability, warningsOf } from "../words.js";

/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */

const SPOKEN_SHARE = 0.25; // of the worklist: a word for every film would drown everything else

export class Worklist {
  #list = byId("films");
  #count = byId("count");
  #bar = /** @type {HTMLProgressElement} */ (byId("progress"));
  #sort = byId("sort");
  /** @type {Map<number, HTMLElement>} */
  #rows = new Map();
  #shown = /** @type {number | null} */ (null);
  #spoken = 0;
  // Each row says the same in its own words, so that these need not be read aloud.
  #alone = h("div", { class: "group", "aria-hidden": "true" });
  #others = h("div", { class: "group", "aria-hidden": "true" }, "By urgency");

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.#list.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("[data-item]") : null;
      if (row instanceof HTMLElement) choose(store, Number(row.dataset.item));
    });
    this.#sort.addEventListener("click", () => sortAgain(store));
    store.subscribe((state) => this.#render(state));
  }

  /** @param {State} state */
  #render(state) {
    const items = listed(state);
    const rows = items.map((item) => this.#row(item, state));
    lay(this.#list, this.#grouped(items, rows));
    this.#rows = new Map(items.map((item, i) => [item.id, /** @type {HTMLElement} */ (rows[i])]));
    this.#progress(items);
    const since = misplaced(state);
    this.#sort.hidden = since === 0;
    say(this.#sort, `Sort again: ${since} new`);
    this.#follow(state[state.active]);
  }

  /**
   * The rows, with titles where those that the reader judges alone stand first.
   * @param {Item[]} items
   * @param {HTMLElement[]} rows
   */
  #grouped(items, rows) {
    const scored = items.findIndex((item) => !isWithheld(item));
    const first = scored < 0 ? items.length : scored;
    if (first === 0) return rows;
    say(this.#alone, `Read these yourself: ${first}`);
    const rest = first < rows.length ? [this.#others, ...rows.slice(first)] : [];
    return [this.#alone, ...rows.slice(0, first), ...rest];
  }

  /** @param {number | null} id of the film that is looked at */
  #follow(id) {
    const row = id === null ? undefined : this.#rows.get(id);
    if (row === undefined) this.#list.removeAttribute("aria-activedescendant");
    else this.#list.setAttribute("aria-activedescendant", row.id);
    if (id !== this.#shown) row?.scrollIntoView({ block: "nearest" });
    this.#shown = id;
  }

  /** @param {Item[]} items */
  #progress(items) {
    const done = items.filter((item) => item.status === "scored" || item.status === "refused").length;
    const refused = items.filter((item) => item.status === "refused").length;
    const running = done < items.length;
    this.#bar.max = Math.max(items.length, 1);
    this.#bar.value = done;
    byId("under-way").classList.toggle("done", !running);
    const all = running ? `${done} of ${counted(items.length, "film")}` : counted(items.length, "film");
    const told = items.length === 0 ? "" : `${all}${refused > 0 ? `, ${refused} refused` : ""}`;
    say(this.#count, told);
    this.#speak(running ? done / items.length : 1, told);
  }

  /**
   * @param {number} share of the worklist that is done
   * @param {string} told
   */
  #speak(share, told) {
    const step = Math.floor(share / SPOKEN_SHARE);
    if (step !== this.#spoken) say(byId("spoken"), told);
    this.#spoken = step;
  }

  /**
   * @param {Item} item
   * @param {State} state
   */
  #row(item, state) {
    const row = this.#rows.get(item.id) ?? newRow(item);
    const chosen = item.id === state[state.active];
    const beside = !chosen && isShown(state, item.id) ? "beside" : "";
    // Most rows are as they were: a thousand of them are looked at for each answer, and left alone.
    const look = `${item.status} ${item.answer?.event_id ?? ""} ${item.feedback.state} ${chosen} ${beside}`;
    if (row.dataset.look === look) return row;
    row.dataset.look = look;
    row.className = `film-row ${item.status} ${isWithheld(item) ? "withheld" : ""} ${beside}`;
    row.setAttribute("aria-selected", String(chosen));
    row.replaceChildren(h("span", { class: "name", title: item.file.name }, item.file.name), ...summary(item));
    return row;
  }
}

/**
 * Show a film in the active pane; one that the other pane shows makes that pane the active one.
 * @param {Store} store
 * @param {number} id
 */
export function choose(store, id) {
  store.update((state) => {
    state.order = listed(state).map((item) => item.id);
    if (id === state.selected) state.active = "selected";
    else if (state.comparing && id === state.compared) state.active = "compared";
    else state[state.active] = id;
  });
}

/**
 * Choose the film that stands `step` rows further down, passing over one that is shown already.
 * @param {Store} store
 * @param {1 | -1} step
 */
export function move(store, step) {
  const { state } = store;
  const items = listed(state);
  const now = items.findIndex((item) => item.id === state[state.active]);
  const ahead = step > 0 ? items.slice(now + 1) : items.slice(0, Math.max(now, 0)).reverse();
  const next = ahead.find((item) => !isShown(state, item.id));
  if (next !== undefined) choose(store, next.id);
}

/**
 * Open a second pane with the next film, or close it. The film that was looked at stays.
 * @param {Store} store
 */
export function compare(store) {
  store.update((state) => {
    if (state.comparing) {
      state.selected = state[state.active];
      Object.assign(state, { comparing: false, compared: null, active: "selected" });
      return;
    }
    const items = listed(state);
    const now = items.findIndex((item) => item.id === state.selected);
    const other = items[now + 1] ?? items[now - 1];
    Object.assign(state, { comparing: true, compared: other?.id ?? null, active: "compared" });
  });
}

/** @param {Store} store */
export function sortAgain(store) {
  store.update((state) => {
    state.order = state.order === null ? null : worklist(state.items).map((item) => item.id);
  });
}

/**
 * @param {State} state
 * @param {number} id
 */
function isShown(state, id) {
  return id === state.selected || (state.comparing && id === state.compared);
}

/**
 * Lay rows in this order, moving no more of them than it takes.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} rows
 */
function lay(list, rows) {
  let place = list.firstChild;
  for (const row of rows) {
    if (row === place) place = place.nextSibling;
    else list.insertBefore(row, place);
  }
  while (place !== null) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** @param {Item} item */
function newRow(item) {
  return h("div", { role: "option", id: `film-${item.id}`, "data-item": item.id });
}

/**
 * @param {Item} item
 * @returns {Node[]}
 */
function summary(item) {
  const { answer } = item;
  if (answer === null) {
    const words = { waiting: "waiting", sending: "being scored", refused: item.reason, scored: "" };
    return [h("span", { class: "state", title: item.reason }, words[item.status])];
  }
  if (isWithheld(item)) {
    const why = answer.guard.in_distribution ? "check its quality" : "unlike training films";
    return [
      h("span", { class: "state", title: warningsOf(answer).join(" ") }, `read it yourself: ${why}`),
      h("span", { class: "ratio", title: "Its scores are withheld" }, "–"),
      h("span", { class: "marks" }, judged(item)),
    ];
  }
  const first = top(answer);
  const over = ratio(first);
  const flags = answer.findings.filter((score) => score.flag).length;
  const number = over > 0 ? `${over.toFixed(1)}×` : probability(first.probability);
  const verdict = flags === 0 ? "nothing flagged" : `${findingName(first.finding)}${flags > 1 ? ` +${flags - 1}` : ""}`;
  return [
    h("span", { class: "state" }, verdict),
    h(
      "span",
      { class: first.flag ? "ratio flagged" : "ratio", title: "Highest score over its operating point" },
      number,
    ),
    h("span", { class: "marks" }, judged(item)),
  ];
}

/** @param {Item} item */
function judged({ feedback }) {
  return { none: "", unsent: "not sent", sending: "sending", sent: "sent", failed: "not sent" }[feedback.state];
}
