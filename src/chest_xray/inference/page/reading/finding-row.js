/** One row of the findings: name, probability, bar, what the model says of it in a word, and the reader's word. */

import { h } from "../dom.js";
import { isWithheld, ratio } from "../ranking.js";
import { findingName, probability } from "../words.js";
import { judge } from "./judging.js";
import { mapOf } from "./maps.js";

/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").Score} Score */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */

const DIGITS = 9; // rows that a key chooses

/**
 * @param {Store} store
 * @param {Item} item
 * @param {Score} score
 * @param {number} index of the row
 */
export function findingRow(store, item, score, index) {
  const { finding, flag } = score;
  const digit = index < DIGITS ? String(index + 1) : "";
  const pick = h(
    "button",
    {
      type: "button",
      class: "pick",
      "aria-pressed": "false",
      "aria-describedby": "about-finding",
      ...(digit === "" ? {} : { "aria-keyshortcuts": digit }),
    },
    h("kbd", { class: "digit", "aria-hidden": "true" }, digit),
    h("span", { class: "name" }, findingName(finding)),
    h("span", { class: "value" }, probability(score.probability)),
    bar(score),
    h("span", { class: "flag" }, isWithheld(item) ? "withheld" : flagWord(flag)),
  );
  const row = h("li", { class: flag ? "finding flagged" : "finding", "data-finding": finding }, pick);
  row.append(...judgements(store, item, score));
  return row;
}

/**
 * Show what is chosen and what the reader said.
 * @param {HTMLElement} row
 * @param {string} finding
 * @param {Item} item
 * @param {State} state
 */
export function mark(row, finding, item, state) {
  row.classList.toggle("chosen", state.finding === finding);
  row.querySelector(".pick")?.setAttribute("aria-pressed", String(mapOf(state, item) === finding));
  const present = item.feedback.present[finding];
  for (const button of row.querySelectorAll("button[data-present]")) {
    const says = button instanceof HTMLElement && button.dataset.present === String(present);
    button.setAttribute("aria-pressed", String(says));
  }
}

/** @param {boolean | null} flag */
function flagWord(flag) {
  if (flag === null) return "no op. point";
  return flag ? "flagged" : "below";
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
        "aria-label": `${findingName(finding)}: ${word}`,
        title: `${word[0]?.toUpperCase()}${word.slice(1)}: the finding is ${present ? "present" : "absent"}`,
        "data-present": String(present),
        click: () => judge(store, item, finding, present),
      },
      sign,
    ),
  );
}
