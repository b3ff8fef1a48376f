/**
 * Draws the same scene without WebGL2, as on a virtual desktop without a graphics processor.
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

const BLACK = 0xff000000;

/** A renderer of any film, on a canvas of its own. */
export class CanvasRenderer {
  name = /** @type {const} */ ("canvas2d");
  largest = Number.POSITIVE_INFINITY;

  canvas = document.createElement("canvas");

  constructor() {
    const context = this.canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("This browser draws no pictures: it has neither WebGL2 nor Canvas 2D.");
    this.#context = context;
  }

  #context;
  /** @type {ImageData | null} */
  #image = null;

  /** @param {Scene} scene */
  draw(scene) {
    const { width, height } = this.canvas;
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = this.#context.createImageData(width, height);
    }
    paint(new Uint32Array(this.#image.data.buffer), width, height, scene);
    this.#context.putImageData(this.#image, 0, 0);
  }

  finish() {} // it is when `draw` returns

  restore() {}

  destroy() {}
}

/**
 * @param {Uint32Array} out RGBA of little-endian machines, which all browsers run on
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 */
function paint(out, width, height, scene) {
  const { columns, rows } = coordinates(width, height, scene);
  const { fine, coarse, share } = filmLayers(scene, columns, rows);
  const evidence = scene.map === null || scene.opacity === 0 ? null : mapLayer(scene, columns, rows);
  const shade = evidence === null ? greys(scene) : tints(scene);
  const { from, end } = columns;
  const values = new Float32Array(width);
  const others = new Float32Array(width);
  out.fill(BLACK);
  for (let j = rows.from; j < rows.end; j++) {
    readLine(fine, j, from, end, values);
    if (coarse !== null) {
      readLine(coarse, j, from, end, others);
      blend(values, others, share, from, end);
    }
    if (evidence !== null) readLine(evidence, j, from, end, others);
    shade(values, others, from, end, out, j * width);
  }
}

/**
 * The film's coordinate at the middle of each of the screen's columns, and of each of its rows.
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 * @returns {{columns: Places, rows: Places}}
 */
function coordinates(width, height, { film, pose, ratio }) {
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
function filmLayers(scene, columns, rows) {
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
function mapLayer({ film, pose, map }, columns, rows) {
  const { size, levels } = /** @type {import("./evidence.js").Evidence} */ (map);
  const scales = { across: size / film.width, down: size / film.height };
  const upright = pose.rotation % 180 === 0;
  return layer({ pixels: levels, width: size, height: size, ...scales, upright, plain: false }, columns, rows);
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
function readLine({ pixels, across: { first, second, part }, down }, row, from, end, values) {
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
function blend(values, others, share, from, end) {
  for (let i = from; i < end; i++) {
    const value = values[i] ?? 0;
    values[i] = value + ((others[i] ?? 0) - value) * share;
  }
}

/**
 * @typedef {(values: Float32Array, levels: Float32Array, from: number, end: number, out: Uint32Array, start: number)
 *   => void} Shade
 */

/**
 * @param {Scene} scene
 * @returns {Shade} values to greys
 */
function greys(scene) {
  const grey = greyOf(scene);
  return (values, _levels, from, end, out, start) => {
    for (let i = from; i < end; i++) out[start + i] = BLACK | (((grey(values[i] ?? 0) + 0.5) | 0) * 0x010101);
  };
}

/**
 * @param {Scene} scene
 * @returns {Shade} values to greys, below the colours of the map
 */
function tints(scene) {
  const grey = greyOf(scene);
  const table = scene.table ?? new Uint8Array(256 * 4);
  const opacity = scene.opacity / 255;
  return (values, levels, from, end, out, start) => {
    for (let i = from; i < end; i++) {
      const under = grey(values[i] ?? 0);
      const level = levels[i] ?? 0;
      const entry = 4 * ((level + 0.5) | 0);
      const part = opacity * level;
      const red = (under + ((table[entry] ?? 0) - under) * part + 0.5) | 0;
      const green = (under + ((table[entry + 1] ?? 0) - under) * part + 0.5) | 0;
      const blue = (under + ((table[entry + 2] ?? 0) - under) * part + 0.5) | 0;
      out[start + i] = BLACK | (blue << 16) | (green << 8) | red;
    }
  };
}

/**
 * @param {Scene} scene
 * @returns {(value: number) => number} the grey level of a value, 0..255
 */
function greyOf({ window: { low, high }, inverted }) {
  const gain = (inverted ? -255 : 255) / (high - low);
  const base = inverted ? 255 : 0;
  return (value) => {
    const grey = base + (value - low) * gain;
    return grey < 0 ? 0 : Math.min(grey, 255);
  };
}
