/** Whether a heat map is laid over a film, and of which finding. */

import { readable } from "../ranking.js";

/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../types.js").State} State */

/**
 * The finding whose map is laid over a film: the chosen one where it is flagged; another only when it was asked for.
 * @param {State} state
 * @param {Item | null} item
 */
export function mapOf({ finding, mapShown, anyway }, item) {
  const score = readable(item)?.findings.find((one) => one.finding === finding);
  if (score === undefined || !mapShown) return null;
  return score.flag || anyway === `${item?.id} ${finding}` ? score.finding : null;
}

/**
 * Take the map of the chosen finding away, or show it whatever the model says of it.
 * @param {State} state
 * @param {Item | null} item
 */
export function toggleMap(state, item) {
  const shown = mapOf(state, item) !== null;
  Object.assign(state, { mapShown: !shown, anyway: shown ? "" : `${item?.id} ${state.finding}` });
}
