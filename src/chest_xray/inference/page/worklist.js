/** The worklist: a row for each file, the most urgent first. The selection stays with its film while rows move. */

import { byId, h, say } from "./dom.js";
import { ratio, top, worklist } from "./ranking.js";
import { counted, findingName, probability } from "./words.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */

export class Worklist {
  #list = byId("films");
  #count = byId("count");
  #bar = /** @type {HTMLProgressElement} */ (byId("progress"));
  #cancel = byId("cancel");
  /** @type {Map<number, HTMLElement>} */
  #rows = new Map();
  #shown = /** @type {number | null} */ (null);

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.#list.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("[data-item]") : null;
      if (row instanceof HTMLElement) choose(store, Number(row.dataset.item));
    });
    store.subscribe((state) => this.#render(state));
  }

  /** @param {State} state */
  #render(state) {
    const items = worklist(state.items);
    const rows = items.map((item) => this.#row(item, state));
    if (rows.length !== this.#list.children.length || rows.some((row, i) => this.#list.children[i] !== row)) {
      this.#list.replaceChildren(...rows);
    }
    this.#rows = new Map(items.map((item, i) => [item.id, /** @type {HTMLElement} */ (rows[i])]));
    this.#progress(items);
    const selected = state.selected === null ? null : this.#rows.get(state.selected);
    this.#list.setAttribute("aria-activedescendant", selected?.id ?? "");
    if (state.selected !== this.#shown) selected?.scrollIntoView({ block: "nearest" });
    this.#shown = state.selected;
  }

  /** @param {Item[]} items */
  #progress(items) {
    const done = items.filter((item) => item.status === "scored" || item.status === "refused").length;
    const refused = items.filter((item) => item.status === "refused").length;
    const running = done < items.length;
    this.#bar.max = Math.max(items.length, 1);
    this.#bar.value = done;
    this.#bar.hidden = !running;
    this.#cancel.hidden = !running;
    const all = running ? `${done} of ${counted(items.length, "film")}` : counted(items.length, "film");
    say(this.#count, items.length === 0 ? "" : `${all}${refused > 0 ? `, ${refused} refused` : ""}`);
  }

  /**
   * @param {Item} item
   * @param {State} state
   */
  #row(item, state) {
    const row = this.#rows.get(item.id) ?? newRow(item);
    const selected = item.id === state.selected;
    row.ariaSelected = String(selected);
    row.classList.toggle("compared", item.id === state.compared);
    const look = `${item.status} ${item.answer?.event_id ?? ""} ${item.feedback.state}`;
    if (row.dataset.look === look) return row;
    row.dataset.look = look;
    row.className = `film-row ${item.status}`;
    row.replaceChildren(h("span", { class: "name", title: item.file.name }, item.file.name), ...summary(item));
    return row;
  }
}

/**
 * Select a film, or put it beside the selected one where the reader is about to compare.
 * @param {Store} store
 * @param {number} id
 */
export function choose(store, id) {
  store.update((state) => {
    if (state.comparing && state.compared === null && id !== state.selected) state.compared = id;
    else state.selected = id;
    if (state.selected === state.compared) state.compared = null;
  });
}

/**
 * Select the film that stands `step` rows further down.
 * @param {Store} store
 * @param {number} step
 */
export function move(store, step) {
  const items = worklist(store.state.items);
  const now = items.findIndex((item) => item.id === store.state.selected);
  const next = items[Math.min(Math.max(now + step, 0), items.length - 1)];
  if (next === undefined) return;
  store.update((state) => {
    state.selected = next.id;
    if (state.compared === next.id) state.compared = null;
  });
}

/** @param {Item} item */
function newRow(item) {
  return h("li", { role: "option", id: `film-${item.id}`, "data-item": item.id, "aria-selected": "false" });
}

/**
 * @param {Item} item
 * @returns {Node[]}
 */
function summary(item) {
  const { answer } = item;
  if (answer === null) {
    const words = { waiting: "waiting", sending: "being scored", refused: item.reason, scored: "" };
    return [h("span", { class: "state" }, words[item.status])];
  }
  const first = top(answer);
  const over = ratio(first);
  const flags = answer.findings.filter((score) => score.flag).length;
  const told = flags > 1 ? ` and ${flags - 1} more` : "";
  const verdict = first.flag ? `${findingName(first.finding)}${told}` : "nothing flagged";
  return [
    h("span", { class: "state" }, answer.guard.in_distribution ? verdict : "unlike the training films"),
    h(
      "span",
      {
        class: first.flag && answer.guard.in_distribution ? "ratio flagged" : "ratio",
        title: "Highest score over its operating point",
      },
      over > 0 ? `${over.toFixed(1)}×` : probability(first.probability),
    ),
    h("span", { class: "marks" }, marks(item)),
  ];
}

/** @param {Item} item */
function marks({ answer, feedback }) {
  const warned = answer !== null && answer.quality.length > 0 ? "! quality" : "";
  const judged = {
    none: "",
    unsent: "feedback not sent",
    sending: "feedback on its way",
    sent: "feedback sent",
    failed: "feedback not sent",
  };
  return [warned, judged[feedback.state]].filter(Boolean).join(" · ");
}
