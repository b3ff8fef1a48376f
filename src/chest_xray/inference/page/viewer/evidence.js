/** A finding's class activation map as it is drawn: each of its cells as the square that it is, negative shares left out. */

/** @typedef {{width: number, height: number, levels: Uint8Array}} Evidence rows of levels, 0 none and 255 full colour */

/**
 * @param {number[][]} rows the map, h rows of w shares of the logit
 * @param {number} scale the share that is drawn in full colour
 * @returns {Evidence}
 */
export function evidenceOf(rows, scale) {
  const levels = rows.flat().map((share) => Math.round(255 * Math.min(Math.max(share / scale, 0), 1)));
  return { width: rows[0]?.length ?? 0, height: rows.length, levels: Uint8Array.from(levels) };
}
