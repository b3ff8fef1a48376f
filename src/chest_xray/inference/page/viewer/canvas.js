/** Draws the same scene without WebGL2, as on a virtual desktop without a graphics processor. */

import { blend, coordinates, filmLayers, mapLayer, readLine } from "./sampling.js";

/** @typedef {import("./scene.js").Scene} Scene */
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
