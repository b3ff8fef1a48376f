/** One page on the film that is looked at, to print or to keep as a PDF: the print style sheet shows nothing else. */

import { byId, h } from "../dom.js";
import { isWithheld, ordered, readable } from "../ranking.js";
import { filmFacts, findingName, modelName, probability, warningsOf, withInterval } from "../words.js";
import { mapOf } from "./maps.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").ModelCard} ModelCard */
/** @typedef {import("../types.js").Score} Score */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../viewer/index.js").Viewer} Viewer */

const PICTURE_WIDTH = 1200; // pixels: 300 dots per inch on a third of a page

/** The style sheet that hides all but the sheet on paper; without one, paper shows the page as it is. */
let styled = /** @type {Promise<void> | null} */ (null);

export function addStyle() {
  styled ??= new Promise((resolve, reject) => {
    const failed = () => {
      styled = null;
      reject(new Error("The style sheet for printing did not arrive."));
    };
    const link = h("link", { rel: "stylesheet", href: "/page/print.css", load: () => resolve(), error: failed });
    link.setAttribute("media", "print");
    document.head.append(link);
  });
  return styled;
}

/**
 * Make the sheet of the film that is shown now. It is made at once, because a browser that prints waits for nothing.
 * @param {State} state
 * @param {Item | null} item that is looked at
 * @param {Viewer} viewer that shows it
 */
export function fillReport(state, item, viewer) {
  byId("report").replaceChildren(...sheet(state, item, viewer));
}

/**
 * @param {State} state
 * @param {Item | null} item
 * @param {Viewer} viewer
 * @returns {Node[]}
 */
function sheet(state, item, viewer) {
  const { model } = state;
  const head = h("header", {}, h("h1", {}, "Chest X-ray findings"), h("p", { class: "notice" }, model?.notice ?? ""));
  if (item === null) return [head, h("p", {}, "No film is shown: choose one in the worklist, then print.")];
  const { answer } = item;
  if (answer === null || model === null) return [head, h("p", {}, `${item.file.name}: not scored. ${item.reason}`)];
  return [
    head,
    h("p", {}, `${item.file.name} · ${filmFacts(answer.film)}`),
    ...warningsOf(answer).map((text) => h("p", { class: "warning" }, text)),
    figure(state, item, answer, viewer),
    ...scores(answer, model, item),
    ...note(item),
    versions(answer),
  ];
}

/**
 * @param {State} state
 * @param {Item} item
 * @param {Answer} answer
 * @param {Viewer} viewer
 */
function figure(state, item, answer, viewer) {
  const picture = viewer.snapshot(PICTURE_WIDTH);
  if (picture === null) return h("p", { class: "warning" }, "The film's picture is not here yet: print again.");
  const map = mapOf(state, item);
  const caption =
    map === null ? "Without a heat map." : `Heat map: ${findingName(map)}, ${answer.locations[map] ?? "no evidence"}.`;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "The film, with the heat map that was shown");
  return h("figure", {}, picture, h("figcaption", {}, caption));
}

/**
 * @param {Answer} answer
 * @param {ModelCard} model
 * @param {Item} item
 * @returns {Node[]}
 */
function scores(answer, model, item) {
  if (!isWithheld(item)) return [table(answer, model, item)];
  const words = "The scores are withheld: read this film yourself.";
  const shown = readable(item) === null ? [] : [table(answer, model, item)];
  return [h("p", { class: "warning" }, words), ...shown];
}

/**
 * @param {Answer} answer
 * @param {ModelCard} model
 * @param {Item} item
 */
function table(answer, model, item) {
  const titles = ["Finding", "Probability", "Operating point", "Model", "Reader", "AUROC"];
  const withheld = isWithheld(item);
  const rows = ordered(answer).map((score) => row(score, model, withheld, item.feedback.present[score.finding]));
  return h(
    "table",
    withheld ? { class: "withheld" } : {},
    h("thead", {}, h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, ...rows),
  );
}

/**
 * @param {Score} score
 * @param {ModelCard} model
 * @param {boolean} withheld
 * @param {boolean | undefined} present
 */
function row({ finding, probability: value, operating_point: point, flag }, model, withheld, present) {
  const profile = model.findings[finding];
  const cells = [
    probability(value),
    point === null ? "none" : probability(point),
    withheld ? "withheld" : flag ? "flagged" : flag === null ? "" : "below",
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
