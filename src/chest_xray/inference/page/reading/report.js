/** One page on one film, to print or to keep as a PDF: the print style sheet shows this and nothing else. */

import { byId, h } from "../dom.js";
import { ordered } from "../ranking.js";
import { filmFacts, findingName, modelName, probability, warningsOf, withInterval } from "../words.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").ModelCard} ModelCard */
/** @typedef {import("../types.js").Score} Score */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../viewer/index.js").Viewer} Viewer */

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
    ...warningsOf(answer).map((text) => h("p", { class: "warning" }, text)),
    h("figure", {}, picture, h("figcaption", {}, caption)),
    table(answer, model, item),
    ...note(item),
    versions(answer),
  ];
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
    flag ? "flagged" : flag === null ? "" : "below",
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
  const lines = [
    `Model ${modelName(model)}, SHA-256 of its bundle ${model.digest}`,
    `Event ${event}; guard distance ${guard.distance.toFixed(2)}, at most ${guard.threshold.toFixed(2)} expected; ` +
      `printed ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
  ];
  return h("footer", {}, ...lines.map((line) => h("p", {}, line)));
}
