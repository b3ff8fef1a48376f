/** The worklist as files to take away. */

import { worklist } from "../ranking.js";
import { modelName } from "../words.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").State} State */

/**
 * All of the worklist, as the server answered; heat maps are left out.
 * @param {State} state
 */
export function asJson({ items, model }) {
  const films = worklist(items).map(({ file, status, answer, reason, feedback }) => {
    const { heat_maps: _, ...scores } = answer ?? { heat_maps: {} };
    return {
      file: file.name,
      status,
      ...(answer === null ? { reason } : scores),
      feedback: { present: feedback.present, note: feedback.note },
    };
  });
  return JSON.stringify({ notice: model?.notice ?? "", made: new Date().toISOString(), films }, null, 2);
}

/**
 * A line for each film: probabilities and flags by finding, empty where the film was not scored; no flags where the
 * scores are withheld.
 * @param {State} state
 */
export function asCsv({ items, model }) {
  const findings = Object.keys(model?.findings ?? {});
  // biome-ignore format: a header reads best as one
  const head = [
    "file", "status", "reason", "event_id", "model", "digest", "in_distribution", "quality", "withheld",
    ...findings.map((finding) => `${finding} probability`),
    ...findings.map((finding) => `${finding} flag`),
    "notice",
  ];
  const lines = worklist(items).map((item) => line(item, findings, model?.notice ?? ""));
  return `${[head, ...lines].map((cells) => cells.map(cell).join(",")).join("\r\n")}\r\n`;
}

/**
 * @param {Item} item
 * @param {string[]} findings
 * @param {string} notice
 */
function line({ file, status, reason, answer }, findings, notice) {
  if (answer === null) return [file.name, status, reason, ...Array(6 + 2 * findings.length).fill(""), notice];
  const scores = new Map(answer.findings.map((score) => [score.finding, score]));
  return [
    file.name,
    status,
    "",
    answer.event_id,
    modelName(answer.model),
    answer.model.digest,
    String(answer.guard.in_distribution),
    answer.quality.map(({ check }) => check).join(" "),
    answer.withheld ?? "",
    ...findings.map((finding) => String(scores.get(finding)?.probability ?? "")),
    ...findings.map((finding) => String(scores.get(finding)?.flag ?? "")),
    notice,
  ];
}

/**
 * A cell of a CSV file (RFC 4180). A file's name may begin like a formula: a quote keeps spreadsheets from running it.
 * @param {string} value
 */
export function cell(value) {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A name for a file that is taken away. @param {string} kind */
export function exportName(kind) {
  return `chest-xray-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${kind}`;
}
