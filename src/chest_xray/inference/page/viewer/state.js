/** What a viewer says of itself, in the units of the file and of the screen. */

import { toFilm } from "./geometry.js";

/** @typedef {import("./film.js").Film} Film */
/**
 * @typedef {object} ViewState
 * @property {number} zoom device pixels for a film pixel: 1 shows each as it is
 * @property {import("./geometry.js").Rotation} rotation
 * @property {{width: number, level: number}} window in the file's own values
 * @property {boolean} inverted
 * @property {{x: number, y: number, value: number} | null} pixel under the pointer, in the file's own values
 * @property {"webgl2" | "canvas2d"} renderer
 */

/**
 * @param {Film} film
 * @param {import("./display.js").Display} display
 * @param {import("./surface.js").Surface} surface
 * @param {import("./geometry.js").Point | null} pointer
 * @returns {ViewState}
 */
export function stateOf(film, { pose, window, inverted }, surface, pointer) {
  const { low, slope } = film.facts;
  const place = pointer === null ? null : toFilm(pose, surface.screen, pointer);
  const value = place === null ? null : film.valueAt(place.x, place.y);
  return {
    zoom: pose.zoom * devicePixelRatio,
    rotation: pose.rotation,
    window: { width: (window.high - window.low) * slope, level: low + ((window.low + window.high) / 2) * slope },
    inverted,
    pixel: place === null || value === null ? null : { x: Math.floor(place.x), y: Math.floor(place.y), value },
    renderer: surface.kind,
  };
}

/**
 * A window in the file's own values as one in pixels.
 * @param {Film} film
 * @param {{width: number, level: number}} window
 * @returns {import("./film.js").Window}
 */
export function inPixels(film, { width, level }) {
  const { low, slope } = film.facts;
  const middle = (level - low) / slope;
  const half = width / slope / 2;
  return { low: middle - half, high: middle + half };
}
