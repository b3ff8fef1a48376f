/** Two viewers that follow each other: zoom, place, rotation, window and inversion. */

/** @typedef {import("./index.js").Viewer} Viewer */

/**
 * Let both follow whichever the reader moves.
 * @param {Viewer} a
 * @param {Viewer} b
 * @returns {() => void} lets them go
 */
export function link(a, b) {
  a.follower = b;
  b.follower = a;
  return () => {
    a.follower = null;
    b.follower = null;
  };
}
