/** Numbers and names as the page writes them. */

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").FindingProfile} FindingProfile */

/** @param {string} finding */
export function findingName(finding) {
  return finding.replaceAll("_", " ");
}

/**
 * A probability with as many digits as tell it from 0.
 * @param {number} value
 */
export function probability(value) {
  if (value >= 0.0995) return value.toFixed(2);
  return value >= 0.00095 ? value.toFixed(3) : "< 0.001";
}

/**
 * @param {number | null} value
 * @param {[number, number] | null} interval
 */
export function withInterval(value, interval) {
  if (value === null) return "not measured";
  const measured = value.toFixed(2);
  return interval === null ? measured : `${measured} (95% ${interval[0].toFixed(2)} to ${interval[1].toFixed(2)})`;
}

/** @param {{name: string, version: number | null}} model */
export function modelName({ name, version }) {
  return version === null ? name : `${name} version ${version}`;
}

/** @param {{view: string | null, age: number | null, sex: string | null, width: number, height: number}} film */
export function filmFacts({ view, age, sex, width, height }) {
  const known = [view, age === null ? null : `${age} years`, sex, `${width} x ${height}`];
  return known.filter((fact) => fact !== null).join(" · ");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** @type {Record<string, string>} */
const METHODS = {
  platt: "Platt scaling",
  temperature: "temperature scaling",
  loss_weight: "the loss's weight undone, too few cases to fit more",
};

/**
 * What was measured of a finding.
 * @param {FindingProfile} profile
 */
export function profileWords({ auroc, auroc_ci95: interval, operating_point: point, calibration }) {
  const measured = auroc === null ? "AUROC not measured" : `AUROC ${withInterval(auroc, interval)} on the test list`;
  return `${measured}. ${pointWords(point)} Calibration: ${METHODS[calibration.method] ?? calibration.method}.`;
}

/** @param {FindingProfile["operating_point"]} point */
function pointWords(point) {
  if (point === null) return "No operating point: too few validation films show it, so it is never flagged.";
  const { threshold, aim, sensitivity, specificity } = point;
  const aimed = aim === "youden" ? "Youden" : aim;
  const gave = `sensitivity ${sensitivity.toFixed(2)}, specificity ${specificity.toFixed(2)} on validation films`;
  return `Operating point ${probability(threshold)} (${aimed}): ${gave}.`;
}

/**
 * What speaks against the scores of a film, the gravest first.
 * @param {Answer} answer
 */
export function warningsOf({ guard, quality }) {
  const list = quality.map(({ detail }) => detail);
  if (guard.in_distribution) return list;
  const { distance, threshold } = guard;
  const far = `distance ${distance.toFixed(1)}, at most ${threshold.toFixed(1)} expected`;
  return [`This film is unlike the training films (${far}). Its scores mean nothing.`, ...list];
}

/**
 * Parts of a text that are code, in backticks as the server's answers have them, and those that are not.
 * @param {string} text
 * @returns {{text: string, isCode: boolean}[]}
 */
export function codeParts(text) {
  return text.split("`").map((part, i) => ({ text: part, isCode: i % 2 === 1 }));
}
