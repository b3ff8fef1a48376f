/**
 * The pixels of one film as the server sends them, and their halves for the zoomed-out display.
 *
 * Pixels are rows from the top, at the full depth of the file. A grey level is shown as
 * (pixel - window.low) / (window.high - window.low), 0 black and 1 white, the other way round when inverted.
 */

/** @typedef {Uint8Array | Uint16Array} Pixels */
/** @typedef {{low: number, high: number}} Window */
/** @typedef {{width: number, height: number, pixels: Pixels}} Level */
/**
 * What the header X-Film says. `low` and `slope` give the file's own value of a pixel: low + slope * pixel.
 * @typedef {object} FilmFacts
 * @property {number} width
 * @property {number} height
 * @property {8 | 16} bits
 * @property {number} low
 * @property {number} slope
 * @property {Window} window
 * @property {boolean} inverted
 * @property {string} media_type
 * @property {"PA" | "AP" | null} view
 * @property {number | null} age
 * @property {"F" | "M" | null} sex
 */

/** The side below which halving a level further gains nothing. */
const SMALLEST_LEVEL = 64;

/** One film, ready to be shown. */
export class Film {
  /** @type {Level[] | null} */
  #levels = null;

  /**
   * @param {FilmFacts} facts
   * @param {Pixels} pixels width * height of them
   */
  constructor(facts, pixels) {
    if (pixels.length !== facts.width * facts.height) {
      throw new Error(`The film has ${pixels.length} pixels; ${facts.width} x ${facts.height} are expected.`);
    }
    this.facts = facts;
    this.pixels = pixels;
  }

  get width() {
    return this.facts.width;
  }

  get height() {
    return this.facts.height;
  }

  /** Bytes that the film and its halves keep in memory, at most. */
  get bytes() {
    return Math.ceil((this.pixels.byteLength * 4) / 3);
  }

  /** The film and its successive halves: a pixel of level n is the mean of 4^n pixels. Made when first asked for. */
  get levels() {
    this.#levels ??= halves({ width: this.width, height: this.height, pixels: this.pixels });
    return this.#levels;
  }

  /**
   * The file's own value of a pixel, null outside of the film.
   * @param {number} x
   * @param {number} y
   */
  valueAt(x, y) {
    const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    if (!inside) return null;
    const pixel = this.pixels[Math.floor(y) * this.width + Math.floor(x)] ?? 0;
    return this.facts.low + this.facts.slope * pixel;
  }
}

/**
 * Read the answer to POST /v1/films.
 * @param {Response} response
 * @returns {Promise<Film>}
 */
export async function loadFilm(response) {
  const header = response.headers.get("X-Film");
  if (header === null) throw new Error("The answer has no X-Film header: a proxy may have removed it.");
  /** @type {FilmFacts} */
  const facts = JSON.parse(header);
  const buffer = await response.arrayBuffer();
  return new Film(facts, facts.bits === 16 ? littleEndian(buffer) : new Uint8Array(buffer));
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Uint16Array}
 */
function littleEndian(buffer) {
  const native = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  if (native) return new Uint16Array(buffer);
  const view = new DataView(buffer);
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true));
}

/**
 * @param {Level} first
 * @returns {Level[]}
 */
function halves(first) {
  const levels = [first];
  let last = first;
  while (Math.min(last.width, last.height) >= 2 * SMALLEST_LEVEL) {
    last = half(last);
    levels.push(last);
  }
  return levels;
}

/**
 * Means of 2 x 2 pixels, rounded. A last odd row or column is left out, as WebGL's levels do.
 * @param {Level} level
 * @returns {Level}
 */
function half({ width, height, pixels }) {
  const w = width >> 1;
  const h = height >> 1;
  const means = pixels instanceof Uint8Array ? new Uint8Array(w * h) : new Uint16Array(w * h);
  for (let y = 0; y < h; y++) {
    let above = 2 * y * width;
    for (let x = 0; x < w; x++, above += 2) {
      const below = above + width;
      const sum =
        /** @type {number} */ (pixels[above]) +
        /** @type {number} */ (pixels[above + 1]) +
        /** @type {number} */ (pixels[below]) +
        /** @type {number} */ (pixels[below + 1]);
      means[y * w + x] = (sum + 2) >> 2;
    }
  }
  return { width: w, height: h, pixels: means };
}
