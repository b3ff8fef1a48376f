/** Two viewers that follow each other: zoom, place, rotation, window and inversion, each relative to its film. */

/** @typedef {import("./index.js").Viewer} Viewer */

/**
 * Let both follow whichever the reader moves. The second goes to where the first is at once, so that it does not jump
 * when something moves.
 * @param {Viewer} a
 * @param {Viewer} b
 * @returns {() => void} lets them go
 */
export function link(a, b) {
  a.follower = b;
  b.follower = a;
  a.lead();
  return () => {
    a.follower = null;
    b.follower = null;
  };
}
