/**
 * Draws the same scene without WebGL2, as on a virtual desktop without a graphics processor.
 *
 * A film is turned by quarters only, so that each of its coordinates depends on the screen's row or on its column alone:
 * where to read and how much of it is worked out once for each, not for each pixel.
 */

import { opposed } from "./geometry.js";
import { NEAREST_FROM } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./film.js").Level} Level */
/** @typedef {{first: Int32Array, second: Int32Array, part: Float32Array}} Axis the two pixels and the second's share */
/** @typedef {(x: number, y: number) => number} Sampler from places on the axes to a value */

const BLACK = 0xff000000;

/** A renderer that owns one canvas. */
export class CanvasRenderer {
  name = /** @type {const} */ ("canvas2d");

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("This browser draws no pictures: it has neither WebGL2 nor Canvas 2D.");
    this.#context = context;
  }

  #context;

  /** @param {Scene} scene */
  draw(scene) {
    const { width, height } = this.canvas;
    const image = this.#context.createImageData(width, height);
    paint(new Uint32Array(image.data.buffer), width, height, scene);
    this.#context.putImageData(image, 0, 0);
  }

  finish() {}

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
  const { film, pose } = scene;
  const upright = pose.rotation % 180 === 0;
  const { xs, ys } = coordinates(width, height, scene);
  const value = filmSampler(scene, xs, ys);
  const level = scene.map === null || scene.opacity === 0 ? null : mapSampler(scene.map, film, xs, ys);
  const table = scene.table ?? new Uint8Array(256 * 4);
  const { low, high } = scene.window;
  const [dark, span] = scene.inverted ? [255, -255] : [0, 255];
  /** @type {Sampler} */
  const shown = (x, y) => {
    const share = Math.min(Math.max((value(x, y) - low) / (high - low), 0), 1);
    const grey = dark + span * share;
    return level === null ? opaque(grey, grey, grey) : mixed(grey, level(x, y), table, scene.opacity);
  };
  /** @type {Sampler} */
  const drawn = (x, y) => (isOn(film, at(xs, x), at(ys, y)) ? shown(x, y) : BLACK);
  for (let j = 0, place = 0; j < height; j++) {
    for (let i = 0; i < width; i++, place++) out[place] = upright ? drawn(i, j) : drawn(j, i);
  }
}

/**
 * @param {import("./geometry.js").Size} film
 * @param {number} x
 * @param {number} y
 */
function isOn(film, x, y) {
  return x >= 0 && x < film.width && y >= 0 && y < film.height;
}

/**
 * The film's x at each place of its axis on the screen, and its y.
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 */
function coordinates(width, height, { pose, ratio }) {
  const { a, b, c, d } = opposed(pose.rotation);
  const step = 1 / (pose.zoom * ratio);
  const columns = Float64Array.from({ length: width }, (_, i) => (i + 0.5 - width / 2) * step);
  const rows = Float64Array.from({ length: height }, (_, j) => (j + 0.5 - height / 2) * step);
  const xs = a !== 0 ? columns.map((way) => pose.center.x + a * way) : rows.map((way) => pose.center.x + b * way);
  const ys = d !== 0 ? rows.map((way) => pose.center.y + d * way) : columns.map((way) => pose.center.y + c * way);
  return { xs, ys };
}

/**
 * @param {Scene} scene
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @returns {Sampler}
 */
function filmSampler({ film, pose, ratio }, xs, ys) {
  const scale = pose.zoom * ratio;
  if (scale >= NEAREST_FROM) {
    const { pixels, width } = film;
    return (x, y) => pixels[Math.floor(at(ys, y)) * width + Math.floor(at(xs, x))] ?? 0;
  }
  const detail = Math.min(Math.max(0, -Math.log2(scale)), film.levels.length - 1);
  const level = Math.floor(detail);
  const part = detail - level;
  const fine = smoothly(/** @type {Level} */ (film.levels[level]), 2 ** -level, 2 ** -level, xs, ys);
  if (part === 0) return fine;
  const coarse = smoothly(/** @type {Level} */ (film.levels[level + 1]), 2 ** -(level + 1), 2 ** -(level + 1), xs, ys);
  return (x, y) => {
    const value = fine(x, y);
    return value + (coarse(x, y) - value) * part;
  };
}

/**
 * @param {import("./evidence.js").Evidence} map
 * @param {import("./geometry.js").Size} film
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @returns {Sampler} of levels 0..255
 */
function mapSampler({ size, levels }, film, xs, ys) {
  return smoothly({ width: size, height: size, pixels: levels }, size / film.width, size / film.height, xs, ys);
}

/**
 * Bilinear between the pixels of a level; `across` and `down` are its pixels for a film pixel.
 * @param {Level} level
 * @param {number} across
 * @param {number} down
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @returns {Sampler}
 */
function smoothly({ width, height, pixels }, across, down, xs, ys) {
  const h = axis(xs, across, width);
  const v = axis(ys, down, height);
  return (x, y) => {
    const part = at(h.part, x);
    const above = at(v.first, y) * width;
    const below = at(v.second, y) * width;
    const left = at(h.first, x);
    const right = at(h.second, x);
    const top = at(pixels, above + left) * (1 - part) + at(pixels, above + right) * part;
    const bottom = at(pixels, below + left) * (1 - part) + at(pixels, below + right) * part;
    return top + (bottom - top) * at(v.part, y);
  };
}

/**
 * @param {Float64Array} places
 * @param {number} scale
 * @param {number} count
 * @returns {Axis}
 */
function axis(places, scale, count) {
  const first = new Int32Array(places.length);
  const second = new Int32Array(places.length);
  const part = new Float32Array(places.length);
  for (const [i, place] of places.entries()) {
    const point = place * scale - 0.5;
    const floor = Math.floor(point);
    part[i] = point - floor;
    first[i] = Math.min(Math.max(floor, 0), count - 1);
    second[i] = Math.min(Math.max(floor + 1, 0), count - 1);
  }
  return { first, second, part };
}

/**
 * @param {number} grey
 * @param {number} level
 * @param {Uint8Array} table
 * @param {number} opacity
 */
function mixed(grey, level, table, opacity) {
  const entry = 4 * Math.round(level);
  const part = (opacity * level) / 255;
  return opaque(
    grey + (at(table, entry) - grey) * part,
    grey + (at(table, entry + 1) - grey) * part,
    grey + (at(table, entry + 2) - grey) * part,
  );
}

/**
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 */
function opaque(red, green, blue) {
  return (0xff000000 | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}

/**
 * An element that is there.
 * @param {ArrayLike<number>} values
 * @param {number} index
 */
function at(values, index) {
  return /** @type {number} */ (values[index]);
}
