/**
 * Draws a scene with WebGL2. The film is an integer texture with its halves as levels, so that the window is laid over
 * the values of the file and not over what 8 bits left of them; the shader does the interpolation itself.
 */

import { opposed } from "./geometry.js";
import { detailOf, isPlain } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./film.js").Film} Film */
/** @typedef {import("./film.js").Level} Level */

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D film;
uniform sampler2D evidence;
uniform sampler2D colours;
uniform vec2 size;        // of the film, in film pixels
uniform vec2 center;      // the film's point in the middle of the screen
uniform mat2 toFilm;      // from device pixels to film pixels
uniform vec2 screen;      // in device pixels
uniform vec2 window;      // low, high
uniform bool inverted;
uniform float detail;     // the level; between two of them where it is not whole
uniform bool nearest;
uniform float opacity;    // 0 without a map
out vec4 colour;

float pixel(ivec2 place, int level) {
  ivec2 last = textureSize(film, level) - 1;
  return float(texelFetch(film, clamp(place, ivec2(0), last), level).r);
}

float smoothly(vec2 point, int level) {
  vec2 place = point / float(1 << level) - 0.5;
  ivec2 first = ivec2(floor(place));
  vec2 part = place - vec2(first);
  float above = mix(pixel(first, level), pixel(first + ivec2(1, 0), level), part.x);
  float below = mix(pixel(first + ivec2(0, 1), level), pixel(first + ivec2(1, 1), level), part.x);
  return mix(above, below, part.y);
}

float value(vec2 point) {
  if (nearest) return pixel(ivec2(floor(point)), 0);
  int level = int(detail);
  float part = detail - float(level);
  float fine = smoothly(point, level);
  return part > 0.0 ? mix(fine, smoothly(point, level + 1), part) : fine;
}

void main() {
  vec2 away = vec2(gl_FragCoord.x, screen.y - gl_FragCoord.y) - screen / 2.0;
  vec2 point = center + toFilm * away;
  colour = vec4(0.0, 0.0, 0.0, 1.0);
  if (any(lessThan(point, vec2(0.0))) || any(greaterThanEqual(point, size))) return;
  float grey = clamp((value(point) - window.x) / (window.y - window.x), 0.0, 1.0);
  if (inverted) grey = 1.0 - grey;
  colour.rgb = vec3(grey);
  if (opacity == 0.0) return;
  float level = texture(evidence, point / size).r;
  vec3 tint = texelFetch(colours, ivec2(int(level * 255.0 + 0.5), 0), 0).rgb;
  colour.rgb = mix(colour.rgb, tint, opacity * level);
}`;

const NAMES = /** @type {const} */ ([
  "film",
  "evidence",
  "colours",
  "size",
  "center",
  "toFilm",
  "screen",
  "window",
  "inverted",
  "detail",
  "nearest",
  "opacity",
]);

/** @typedef {Record<(typeof NAMES)[number], WebGLUniformLocation | null>} Places */

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
    this.#places = prepare(gl);
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
    this.#places = prepare(this.#gl);
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
    if (map !== this.#map && map !== null) image(gl, 1, gl.R8, gl.RED, map.size, map.size, map.levels);
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

/**
 * @param {WebGL2RenderingContext} gl
 * @returns {Places}
 */
function prepare(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {[number, string][]} */ ([
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The viewer's shader does not link: ${gl.getProgramInfoLog(program)}`);
  }
  gl.useProgram(program);
  const places = /** @type {Places} */ (
    Object.fromEntries(NAMES.map((name) => [name, gl.getUniformLocation(program, name)]))
  );
  for (const [unit, name] of /** @type {const} */ (["film", "evidence", "colours"]).entries()) {
    gl.uniform1i(places[name], unit);
  }
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  // A sampler without a texture of its kind is an error, drawn or not.
  integers(gl, [{ width: 1, height: 1, pixels: new Uint8Array(1) }]);
  image(gl, 1, gl.R8, gl.RED, 1, 1, new Uint8Array(1));
  image(gl, 2, gl.RGBA8, gl.RGBA, 1, 1, new Uint8Array(4));
  return places;
}

/**
 * Put a film's levels into texture unit 0.
 * @param {WebGL2RenderingContext} gl
 * @param {Level[]} levels
 */
function integers(gl, levels) {
  const first = /** @type {Level} */ (levels[0]);
  const deep = first.pixels instanceof Uint16Array;
  const type = deep ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE;
  fresh(gl, 0);
  gl.texStorage2D(gl.TEXTURE_2D, levels.length, deep ? gl.R16UI : gl.R8UI, first.width, first.height);
  for (const [n, { width, height, pixels }] of levels.entries()) {
    gl.texSubImage2D(gl.TEXTURE_2D, n, 0, 0, width, height, gl.RED_INTEGER, type, pixels);
  }
  filter(gl, gl.NEAREST_MIPMAP_NEAREST, gl.NEAREST);
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {number} unit
 * @param {number} inner
 * @param {number} format
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} bytes
 */
function image(gl, unit, inner, format, width, height, bytes) {
  fresh(gl, unit);
  gl.texStorage2D(gl.TEXTURE_2D, 1, inner, width, height);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, format, gl.UNSIGNED_BYTE, bytes);
  filter(gl, gl.LINEAR, gl.LINEAR);
}

/**
 * A new texture in a unit, instead of the one that is there: the size of storage cannot be changed.
 * @param {WebGL2RenderingContext} gl
 * @param {number} unit
 */
function fresh(gl, unit) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.deleteTexture(gl.getParameter(gl.TEXTURE_BINDING_2D));
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {number} smaller
 * @param {number} larger
 */
function filter(gl, smaller, larger) {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, smaller);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, larger);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}
