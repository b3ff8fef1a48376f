/** Which film is looked at first, and which finding. */

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Score} Score */

/**
 * How far a score is over its operating point: the ratio of both. 0 where there is no operating point.
 * @param {Score} score
 */
export function ratio({ probability, operating_point: point }) {
  return point === null ? 0 : probability / Math.max(point, 1e-9);
}

/**
 * The finding that most asks for attention.
 * @param {Answer} answer
 * @returns {Score}
 */
export function top(answer) {
  return /** @type {Score} */ (ordered(answer)[0]);
}

/**
 * Findings as they are listed: flagged ones first, then by their ratio, then by probability.
 * @param {Answer} answer
 * @returns {Score[]}
 */
export function ordered(answer) {
  return answer.findings.toSorted(
    (a, b) => Number(b.flag) - Number(a.flag) || ratio(b) - ratio(a) || b.probability - a.probability,
  );
}

/**
 * Films as they are listed: scored ones by their highest ratio, those unlike the training films after them, because
 * their scores mean nothing, then those that still wait, refused ones last. The order of arrival decides ties, so that
 * a film that waits keeps its place.
 * @param {Item[]} items
 * @returns {Item[]}
 */
export function worklist(items) {
  return items.toSorted((a, b) => group(a) - group(b) || urgency(b) - urgency(a) || a.id - b.id);
}

/** @param {Item} item */
function urgency({ answer }) {
  return answer === null ? 0 : ratio(top(answer));
}

/** @param {Item} item */
function group({ status, answer }) {
  if (answer !== null) return answer.guard.in_distribution ? 0 : 1;
  return status === "refused" ? 3 : 2;
}
