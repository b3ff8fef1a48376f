/** One page on one film, to print or to keep as a PDF: the print style sheet shows this and nothing else. */

import { byId, h } from "./dom.js";
import { ordered } from "./ranking.js";
import { filmFacts, findingName, modelName, probability, withInterval } from "./words.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").ModelCard} ModelCard */
/** @typedef {import("./types.js").Score} Score */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./viewer/index.js").Viewer} Viewer */

const PICTURE_WIDTH = 1200; // pixels: 300 dots per inch on a third of a page

/**
 * Make the report of the selected film and open the browser's print dialogue.
 * @param {State} state
 * @param {Item} item
 * @param {Viewer} viewer that shows it
 */
export async function printReport(state, item, viewer) {
  const { model } = state;
  const { answer } = item;
  if (answer === null || model === null) return;
  const url = URL.createObjectURL(await viewer.snapshot(PICTURE_WIDTH));
  const picture = h("img", { src: url, alt: "The film, with the heat map that was shown" });
  byId("report").replaceChildren(...sheet(state, item, answer, model, picture));
  await picture.decode();
  window.print();
  URL.revokeObjectURL(url);
}

/**
 * @param {State} state
 * @param {Item} item
 * @param {Answer} answer
 * @param {ModelCard} model
 * @param {HTMLImageElement} picture
 * @returns {Node[]}
 */
function sheet(state, item, answer, model, picture) {
  const map = state.finding !== null && state.mapShown ? state.finding : null;
  const caption =
    map === null ? "Without a heat map." : `Heat map: ${findingName(map)}, ${answer.locations[map] ?? "no evidence"}.`;
  return [
    h("header", {}, h("h1", {}, "Chest X-ray findings"), h("p", { class: "notice" }, answer.notice)),
    h("p", {}, `${item.file.name} · ${filmFacts(answer.film)}`),
    ...warnings(answer),
    h("div", { class: "columns" }, h("figure", {}, picture, h("figcaption", {}, caption)), table(answer, model, item)),
    ...note(item),
    versions(answer),
  ];
}

/**
 * @param {Answer} answer
 * @returns {Node[]}
 */
function warnings({ guard, quality }) {
  const list = quality.map(({ detail }) => h("p", { class: "warning" }, detail));
  if (!guard.in_distribution)
    list.unshift(h("p", { class: "warning" }, "Unlike the training films: these scores mean nothing."));
  return list;
}

/**
 * @param {Answer} answer
 * @param {ModelCard} model
 * @param {Item} item
 */
function table(answer, model, item) {
  const titles = ["Finding", "Probability", "Operating point", "Model", "Reader", "AUROC"];
  const rows = ordered(answer).map((score) => row(score, model, item.feedback.present[score.finding]));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, ...rows),
  );
}

/**
 * @param {Score} score
 * @param {ModelCard} model
 * @param {boolean | undefined} present
 */
function row({ finding, probability: value, operating_point: point, flag }, model, present) {
  const profile = model.findings[finding];
  const cells = [
    probability(value),
    point === null ? "none" : probability(point),
    flag ? "flagged" : flag === null ? "" : "not flagged",
    present === undefined ? "" : present ? "present" : "absent",
    profile === undefined ? "" : withInterval(profile.auroc, profile.auroc_ci95),
  ];
  const name = h("th", { scope: "row" }, findingName(finding));
  return h("tr", flag ? { class: "flagged" } : {}, name, ...cells.map((text) => h("td", {}, text)));
}

/**
 * @param {Item} item
 * @returns {Node[]}
 */
function note({ feedback }) {
  return feedback.note === "" ? [] : [h("p", {}, `Reader's note: ${feedback.note}`)];
}

/** @param {Answer} answer */
function versions({ model, event_id: event, guard }) {
  const likeness = `guard distance ${guard.distance.toFixed(2)} of at most ${guard.threshold.toFixed(2)}`;
  return h(
    "footer",
    {},
    `${modelName(model)} · ${model.digest} · event ${event} · ${likeness} · ${new Date().toISOString().slice(0, 16)}Z`,
  );
}
