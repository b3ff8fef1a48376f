/** How a film is shown: its place, its window, and what each of the viewer's actions makes of them. */

import { fitted, fitZoom, panned, zoomedAt } from "./geometry.js";

/** @typedef {import("./film.js").Film} Film */
/** @typedef {import("./film.js").Window} Window */
/** @typedef {import("./geometry.js").Pose} Pose */
/** @typedef {import("./geometry.js").Rotation} Rotation */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {{pose: Pose, window: Window, inverted: boolean, whole: boolean}} Display `whole`: the film is to fit */
/**
 * @typedef {"fit" | "one-to-one" | "zoom-in" | "zoom-out" | "invert" | "rotate-left" | "rotate-right" | "reset"
 *   | "pan-left" | "pan-right" | "pan-up" | "pan-down"
 *   | "window-wider" | "window-narrower" | "level-up" | "level-down"} ViewerAction
 */

const ZOOM_STEP = 1.25;
const PAN_STEP = 60; // CSS pixels
const WINDOW_STEP = 32; // CSS pixels of a drag
const DRAG_FOR_SPAN = 512; // CSS pixels that widen the window by the film's first window

/**
 * A film as it is shown first: whole, with the window of its file.
 * @param {Film} film
 * @param {Size} screen
 * @returns {Display}
 */
export function initial(film, screen) {
  return { pose: fitted(film, screen, 0), window: film.facts.window, inverted: film.facts.inverted, whole: true };
}

/**
 * @param {Display} display
 * @param {Film} film
 * @param {Size} screen
 * @param {ViewerAction} action
 * @returns {Display}
 */
export function acted(display, film, screen, action) {
  const middle = { x: screen.width / 2, y: screen.height / 2 };
  switch (action) {
    case "reset":
      return initial(film, screen);
    case "fit":
      return { ...display, pose: fitted(film, screen, display.pose.rotation), whole: true };
    case "one-to-one":
      return zoomed(display, film, screen, middle, 1 / (display.pose.zoom * devicePixelRatio));
    case "zoom-in":
      return zoomed(display, film, screen, middle, ZOOM_STEP);
    case "zoom-out":
      return zoomed(display, film, screen, middle, 1 / ZOOM_STEP);
    case "invert":
      return { ...display, inverted: !display.inverted };
    case "rotate-left":
      return rotated(display, film, screen, 270);
    case "rotate-right":
      return rotated(display, film, screen, 90);
    case "pan-left":
      return moved(display, film, { x: PAN_STEP, y: 0 });
    case "pan-right":
      return moved(display, film, { x: -PAN_STEP, y: 0 });
    case "pan-up":
      return moved(display, film, { x: 0, y: PAN_STEP });
    case "pan-down":
      return moved(display, film, { x: 0, y: -PAN_STEP });
    case "window-wider":
      return windowed(display, film, { x: WINDOW_STEP, y: 0 });
    case "window-narrower":
      return windowed(display, film, { x: -WINDOW_STEP, y: 0 });
    case "level-up":
      return windowed(display, film, { x: 0, y: -WINDOW_STEP });
    case "level-down":
      return windowed(display, film, { x: 0, y: WINDOW_STEP });
  }
}

/**
 * @param {Display} display
 * @param {Film} film
 * @param {Size} screen
 * @param {Point} at
 * @param {number} factor
 * @returns {Display}
 */
export function zoomed(display, film, screen, at, factor) {
  return { ...display, pose: zoomedAt(display.pose, film, screen, at, factor), whole: false };
}

/**
 * @param {Display} display
 * @param {Film} film
 * @param {Point} way on the screen
 * @returns {Display}
 */
export function moved(display, film, way) {
  return { ...display, pose: panned(display.pose, film, way), whole: false };
}

/**
 * Drag the window: to the right wider, up brighter, whichever way round the greys are.
 * @param {Display} display
 * @param {Film} film
 * @param {Point} way on the screen
 * @returns {Display}
 */
export function windowed(display, film, way) {
  const first = film.facts.window;
  const step = Math.max(first.high - first.low, 1) / DRAG_FOR_SPAN;
  const { low, high } = display.window;
  const width = Math.max(high - low + way.x * step, 1);
  // Darker values of the window's middle make a film brighter; inverted, lighter ones do.
  const level = (low + high) / 2 + (display.inverted ? -1 : 1) * way.y * step;
  return { ...display, window: { low: level - width / 2, high: level + width / 2 } };
}

/**
 * Turn the film by a quarter, about what is in the middle of the screen.
 * @param {Display} display
 * @param {Film} film
 * @param {Size} screen
 * @param {90 | 270} by
 * @returns {Display}
 */
function rotated(display, film, screen, by) {
  const rotation = /** @type {Rotation} */ ((display.pose.rotation + by) % 360);
  const pose = display.whole ? fitted(film, screen, rotation) : { ...display.pose, rotation };
  return { ...display, pose };
}

/**
 * The same display on a screen of another size.
 * @param {Display} display
 * @param {Film} film
 * @param {Size} screen
 * @returns {Display}
 */
export function resized(display, film, screen) {
  return display.whole ? { ...display, pose: fitted(film, screen, display.pose.rotation) } : display;
}

/**
 * What another film has to do to be looked at in the same way: zoom relative to the whole film, place as a share of its
 * sides, window relative to its own first window.
 * @param {Display} display
 * @param {Film} film
 * @param {Size} screen
 * @param {Film} other
 * @param {Size} otherScreen
 * @returns {Display}
 */
export function alike(display, film, screen, other, otherScreen) {
  const { pose, window } = display;
  const zoom = (pose.zoom / fitZoom(film, screen, pose.rotation)) * fitZoom(other, otherScreen, pose.rotation);
  const center = {
    x: (pose.center.x / film.width) * other.width,
    y: (pose.center.y / film.height) * other.height,
  };
  const [from, to] = [film.facts.window, other.facts.window];
  const stretch = (to.high - to.low) / Math.max(from.high - from.low, 1);
  return {
    pose: { ...pose, zoom, center },
    window: { low: to.low + (window.low - from.low) * stretch, high: to.low + (window.high - from.low) * stretch },
    inverted: display.inverted !== film.facts.inverted ? !other.facts.inverted : other.facts.inverted,
    whole: display.whole,
  };
}
