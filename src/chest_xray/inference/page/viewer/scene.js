/**
 * What a renderer draws. Both renderers give the same picture: bilinear between pixels, trilinear between levels when
 * zoomed out, and plain squares from `NEAREST_FROM` device pixels for a film pixel on, where a reader looks at pixels.
 */

/** Device pixels for a film pixel from which pixels are drawn as squares. */
const NEAREST_FROM = 4;

/**
 * Whether pixels are drawn as they are, without anything between them: large ones, and at 1:1, where the film's pixels
 * and the screen's are the same (see `aligned`) and rounding must not mix in a neighbour.
 * @param {number} scale device pixels for a film pixel
 */
export function isPlain(scale) {
  return scale >= NEAREST_FROM || Math.abs(scale - 1) < 1e-6;
}

/**
 * Levels by which it is finer than the screen. On a real film of 1024 pixels shown on 400 to 640 the picture is 0.8 to
 * 0.9 grey levels (root mean square) from Lanczos' with a half, and 1.3 to 1.4, visibly softer, without.
 */
const FINER = 0.5;

/**
 * Which of the film's halves is read, 0 the film itself. Between two of them where it is not whole.
 * @param {Scene} scene
 */
export function detailOf({ film, pose, ratio, draft }) {
  const detail = Math.min(Math.max(0, -Math.log2(pose.zoom * ratio) - FINER), film.levels.length - 1);
  return draft ? Math.round(detail) : detail;
}

/**
 * @typedef {object} Scene
 * @property {import("./film.js").Film} film
 * @property {import("./geometry.js").Pose} pose
 * @property {number} ratio device pixels for a CSS pixel
 * @property {boolean} draft whether speed counts more than the last bit of smoothness
 * @property {import("./film.js").Window} window
 * @property {boolean} inverted
 * @property {import("./evidence.js").Evidence | null} map
 * @property {Uint8Array | null} table 256 colours, RGBA
 * @property {number} opacity of the map where it is full, 0..1
 */

/**
 * @typedef {object} Renderer
 * @property {"webgl2" | "canvas2d"} name
 * @property {HTMLCanvasElement} canvas whose size is the screen's in device pixels
 * @property {number} largest pixels that a side of a film may have
 * @property {(scene: Scene) => void} draw
 * @property {() => void} finish waits until it is drawn
 * @property {() => void} restore
 * @property {() => void} destroy
 */
