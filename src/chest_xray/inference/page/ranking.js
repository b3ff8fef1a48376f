/** Which film is looked at first, and which finding. */

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Score} Score */
/** @typedef {import("./types.js").State} State */

const [WITHHELD, SCORED, WAITING, REFUSED] = [0, 1, 2, 3];

/** A worklist is put in order for each answer that comes in: each answer's own order is found once. */
const ORDERED = /** @type {WeakMap<Answer, Score[]>} */ (new WeakMap());

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
  const known = ORDERED.get(answer);
  if (known !== undefined) return known;
  const scores = answer.findings.toSorted(
    (a, b) => Number(b.flag) - Number(a.flag) || ratio(b) - ratio(a) || b.probability - a.probability,
  );
  ORDERED.set(answer, scores);
  return scores;
}

/**
 * The answer of a film whose scores are shown: withheld ones only once the reader asked for them.
 * @param {Item | null} item
 * @returns {Answer | null}
 */
export function readable(item) {
  if (item === null || item.answer === null) return null;
  return isWithheld(item) && !item.revealed ? null : item.answer;
}

/** @param {Item} item */
export function isWithheld({ answer }) {
  return answer !== null && answer.withheld !== null;
}

/**
 * Films by urgency: first those whose scores are withheld, because nothing has looked at them for the reader, then
 * scored ones by their highest ratio, then those that still wait, refused ones last. The order of arrival decides ties.
 * @param {Item[]} items
 * @returns {Item[]}
 */
export function worklist(items) {
  return items.toSorted((a, b) => group(a) - group(b) || urgency(b) - urgency(a) || a.id - b.id);
}

/**
 * Films as they are listed.
 *
 * Until the reader chooses a film, the list sorts itself while scores come in. From then on every row keeps its place:
 * a row that moves away under the pointer, or a film that was read and turns up again further down, costs more than an
 * order that is not up to date. What came in since is counted on a button, and pressing it sorts again.
 * @param {State} state
 * @returns {Item[]}
 */
export function listed({ items, order }) {
  if (order === null) return worklist(items);
  const place = new Map(order.map((id, i) => [id, i]));
  return items.toSorted((a, b) => (place.get(a.id) ?? order.length + a.id) - (place.get(b.id) ?? order.length + b.id));
}

/**
 * Scored films that an order by urgency would put above one that now stands before them.
 * @param {State} state
 */
export function misplaced(state) {
  if (state.order === null) return 0;
  let count = 0;
  let least = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const item of listed(state)) {
    const scored = group(item) === SCORED;
    if (item.answer !== null && (group(item) < last || (scored && urgency(item) > least))) count++;
    last = Math.max(last, group(item));
    if (scored) least = Math.min(least, urgency(item));
  }
  return count;
}

/** @param {Item} item */
function urgency(item) {
  return item.answer === null || isWithheld(item) ? 0 : ratio(top(item.answer));
}

/** @param {Item} item */
function group(item) {
  if (item.answer !== null) return isWithheld(item) ? WITHHELD : SCORED;
  return item.status === "refused" ? REFUSED : WAITING;
}
