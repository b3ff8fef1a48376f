/** Draws a scene with WebGL2. */

import { opposed } from "./geometry.js";
import { detailOf, isPlain } from "./scene.js";
import { linked } from "./shader.js";
import { blank, image, integers } from "./textures.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./film.js").Film} Film */

/** Names that drivers without a graphics processor have: Chromium's, Mesa's and Windows'. */
const IMITATED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** A renderer on the graphics processor, on a canvas of its own. */
export class WebglRenderer {
  name = /** @type {const} */ ("webgl2");
  /** @type {Film | null} */
  #film = null;
  /** @type {import("./evidence.js").Evidence | null} */
  #map = null;
  /** @type {Uint8Array | null} */
  #table = null;

  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.canvas = /** @type {HTMLCanvasElement} */ (gl.canvas);
    this.#gl = gl;
    this.#places = linked(gl);
    blank(gl);
    this.largest = /** @type {number} */ (gl.getParameter(gl.MAX_TEXTURE_SIZE));
  }

  #gl;
  #places;

  /**
   * A renderer; null where the browser has no WebGL2, or one that the processor imitates: several times as slow as the
   * other renderer, which shows the same.
   * @param {boolean} imitated whether such a one will do
   * @returns {WebglRenderer | null}
   */
  static open(imitated) {
    const gl = document.createElement("canvas").getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (gl === null) return null;
    const renderer = new WebglRenderer(gl);
    if (imitated || !isImitated(gl)) return renderer;
    renderer.destroy();
    return null;
  }

  /** After the context was lost and restored: everything that it held is gone. */
  restore() {
    this.#places = linked(this.#gl);
    blank(this.#gl);
    const [film, map, table] = [this.#film, this.#map, this.#table];
    this.#film = null;
    this.#map = null;
    this.#table = null;
    this.#hold(film, map, table);
  }

  /** @param {Scene} scene */
  draw(scene) {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    this.#hold(scene.film, scene.map, scene.table);
    this.#place(scene, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Wait until everything that was drawn is there. */
  finish() {
    this.#gl.readPixels(0, 0, 1, 1, this.#gl.RGBA, this.#gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  destroy() {
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /**
   * Hand the graphics processor what it does not hold yet.
   * @param {Film | null} film
   * @param {import("./evidence.js").Evidence | null} map
   * @param {Uint8Array | null} table
   */
  #hold(film, map, table) {
    const gl = this.#gl;
    if (film !== this.#film && film !== null) integers(gl, film.levels);
    if (map !== this.#map && map !== null) image(gl, 1, gl.R8, gl.RED, map.width, map.height, map.levels);
    if (table !== this.#table && table !== null) image(gl, 2, gl.RGBA8, gl.RGBA, 256, 1, table);
    this.#film = film;
    this.#map = map;
    this.#table = table;
  }

  /**
   * @param {Scene} scene
   * @param {number} width
   * @param {number} height
   */
  #place(scene, width, height) {
    const gl = this.#gl;
    const at = this.#places;
    const { pose, film, ratio } = scene;
    const scale = pose.zoom * ratio;
    const { a, b, c, d } = opposed(pose.rotation);
    const step = 1 / scale;
    gl.uniform2f(at.size, film.width, film.height);
    gl.uniform2f(at.center, pose.center.x, pose.center.y);
    gl.uniformMatrix2fv(at.toFilm, false, [a * step, c * step, b * step, d * step]);
    gl.uniform2f(at.screen, width, height);
    gl.uniform2f(at.window, scene.window.low, scene.window.high);
    gl.uniform1i(at.inverted, Number(scene.inverted));
    gl.uniform1f(at.detail, detailOf(scene));
    gl.uniform1i(at.nearest, Number(isPlain(scale)));
    gl.uniform1f(at.opacity, scene.map === null ? 0 : scene.opacity);
  }
}

/**
 * `failIfMajorPerformanceCaveat` was made for this question; Chromium answers it with no wherever SwiftShader is allowed.
 * @param {WebGL2RenderingContext} gl
 */
function isImitated(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  return IMITATED.test(gl.getParameter(info === null ? gl.RENDERER : info.UNMASKED_RENDERER_WEBGL));
}
