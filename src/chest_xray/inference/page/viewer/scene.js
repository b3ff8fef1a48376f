/**
 * What a renderer draws. Both renderers give the same picture: bilinear between pixels, trilinear between levels when
 * zoomed out, and plain squares from `NEAREST_FROM` device pixels for a film pixel on, where a reader looks at pixels.
 */

/** Device pixels for a film pixel from which pixels are drawn as squares. */
export const NEAREST_FROM = 4;

/**
 * @typedef {object} Scene
 * @property {import("./film.js").Film} film
 * @property {import("./geometry.js").Pose} pose
 * @property {number} ratio device pixels for a CSS pixel
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
 * @property {(scene: Scene) => void} draw
 * @property {() => void} finish waits until it is drawn
 * @property {() => void} restore
 * @property {() => void} destroy
 */
