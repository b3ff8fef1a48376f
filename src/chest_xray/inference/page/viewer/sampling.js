/**
 * The film's values at the pixels of the screen, worked out by the processor.
 *
 * A film is turned by quarters only, so that one of its coordinates depends on the screen's column alone and the other
 * on its row: where to read, and how much of it, is worked out once for each of them, not for each pixel. (`?? 0` stands
 * for an element that is always there: the types cannot know, and a function for it would be slow in these loops.)
 */

import { opposed } from "./geometry.js";
import { detailOf, isPlain } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./film.js").Pixels} Pixels */
/**
 * What each column, or each row, of the screen reads: the two neighbours' parts of the index into the pixels, and the
 * second one's share.
 * @typedef {{first: Int32Array, second: Int32Array, part: Float32Array}} Axis
 */
/** @typedef {{pixels: Pixels, across: Axis, down: Axis}} Layer */
/** @typedef {{places: Float64Array, from: number, end: number}} Places film coordinates; those in from..end are inside */

/**
 * The film's coordinate at the middle of each of the screen's columns, and of each of its rows.
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 * @returns {{columns: Places, rows: Places}}
 */
export function coordinates(width, height, { film, pose, ratio }) {
  const { a, b, c, d } = opposed(pose.rotation);
  const step = 1 / (pose.zoom * ratio);
  const upright = a !== 0;
  const { x, y } = pose.center;
  return upright
    ? { columns: along(width, x, a * step, film.width), rows: along(height, y, d * step, film.height) }
    : { columns: along(width, y, c * step, film.height), rows: along(height, x, b * step, film.width) };
}

/**
 * @param {number} count
 * @param {number} center
 * @param {number} step
 * @param {number} side of the film in this direction
 * @returns {Places}
 */
function along(count, center, step, side) {
  const places = Float64Array.from({ length: count }, (_, i) => center + (i + 0.5 - count / 2) * step);
  const from = places.findIndex((place) => place >= 0 && place < side);
  const end = places.findLastIndex((place) => place >= 0 && place < side) + 1;
  return { places, from: Math.max(from, 0), end };
}

/**
 * The level that is fine enough, and the next one with its share where the zoom lies between them.
 * @param {Scene} scene
 * @param {Places} columns
 * @param {Places} rows
 * @returns {{fine: Layer, coarse: Layer | null, share: number}}
 */
export function filmLayers(scene, columns, rows) {
  const { film, pose, ratio } = scene;
  const upright = pose.rotation % 180 === 0;
  const plain = isPlain(pose.zoom * ratio);
  const detail = detailOf(scene);
  /** @param {number} n */
  const level = (n) => {
    const { width, height, pixels } = /** @type {import("./film.js").Level} */ (film.levels[n]);
    const scales = { across: 2 ** -n, down: 2 ** -n };
    return layer({ pixels, width, height, ...scales, upright, plain }, columns, rows);
  };
  const finer = Math.floor(detail);
  const share = detail - finer;
  return { fine: level(finer), coarse: share > 0 ? level(finer + 1) : null, share };
}

/**
 * @param {Scene} scene with a map
 * @param {Places} columns
 * @param {Places} rows
 */
export function mapLayer({ film, pose, map }, columns, rows) {
  const { width, height, levels } = /** @type {import("./evidence.js").Evidence} */ (map);
  const scales = { across: width / film.width, down: height / film.height };
  const upright = pose.rotation % 180 === 0;
  return layer({ pixels: levels, width, height, ...scales, upright, plain: true }, columns, rows);
}

/**
 * @typedef {object} Source
 * @property {Pixels} pixels
 * @property {number} width
 * @property {number} height
 * @property {number} across pixels for a film pixel
 * @property {number} down
 * @property {boolean} upright whether the screen's columns are the film's
 * @property {boolean} plain whether nothing is mixed in
 */

/**
 * @param {Source} source
 * @param {Places} columns
 * @param {Places} rows
 * @returns {Layer}
 */
function layer({ pixels, width, height, across, down, upright, plain }, columns, rows) {
  const [xs, ys] = upright ? [columns, rows] : [rows, columns];
  const x = axis(xs.places, across, width, 1, plain);
  const y = axis(ys.places, down, height, width, plain);
  return upright ? { pixels, across: x, down: y } : { pixels, across: y, down: x };
}

/**
 * @param {Float64Array} places
 * @param {number} scale
 * @param {number} count pixels in this direction
 * @param {number} stride from one to the next
 * @param {boolean} plain
 * @returns {Axis}
 */
function axis(places, scale, count, stride, plain) {
  const first = new Int32Array(places.length);
  const second = new Int32Array(places.length);
  const part = new Float32Array(places.length);
  for (let i = 0; i < places.length; i++) {
    const point = (places[i] ?? 0) * scale - (plain ? 0 : 0.5);
    const floor = Math.floor(point);
    first[i] = Math.min(Math.max(floor, 0), count - 1) * stride;
    second[i] = plain ? (first[i] ?? 0) : Math.min(Math.max(floor + 1, 0), count - 1) * stride;
    part[i] = plain ? 0 : point - floor;
  }
  return { first, second, part };
}

/**
 * Read a row of the screen, bilinear between a layer's pixels.
 * @param {Layer} layer
 * @param {number} row
 * @param {number} from
 * @param {number} end
 * @param {Float32Array} values
 */
export function readLine({ pixels, across: { first, second, part }, down }, row, from, end, values) {
  const above = down.first[row] ?? 0;
  const below = down.second[row] ?? 0;
  const lower = down.part[row] ?? 0;
  for (let i = from; i < end; i++) {
    const a = first[i] ?? 0;
    const b = second[i] ?? 0;
    const share = part[i] ?? 0;
    const left = pixels[above + a] ?? 0;
    const top = left + ((pixels[above + b] ?? 0) - left) * share;
    const start = pixels[below + a] ?? 0;
    const bottom = start + ((pixels[below + b] ?? 0) - start) * share;
    values[i] = top + (bottom - top) * lower;
  }
}

/**
 * @param {Float32Array} values
 * @param {Float32Array} others
 * @param {number} share of the others
 * @param {number} from
 * @param {number} end
 */
export function blend(values, others, share, from, end) {
  for (let i = from; i < end; i++) {
    const value = values[i] ?? 0;
    values[i] = value + ((others[i] ?? 0) - value) * share;
  }
}
