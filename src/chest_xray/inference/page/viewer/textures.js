/** The textures of a scene: unit 0 the film and its halves, unit 1 the map's evidence, unit 2 its colours. */

/** @typedef {import("./film.js").Level} Level */

/**
 * Black textures in all units: a sampler without a texture of its kind is an error, drawn or not.
 * @param {WebGL2RenderingContext} gl
 */
export function blank(gl) {
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  integers(gl, [{ width: 1, height: 1, pixels: new Uint8Array(1) }]);
  image(gl, 1, gl.R8, gl.RED, 1, 1, new Uint8Array(1));
  image(gl, 2, gl.RGBA8, gl.RGBA, 1, 1, new Uint8Array(4));
}

/**
 * Put a film's levels into texture unit 0.
 * @param {WebGL2RenderingContext} gl
 * @param {Level[]} levels
 */
export function integers(gl, levels) {
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
export function image(gl, unit, inner, format, width, height, bytes) {
  fresh(gl, unit);
  gl.texStorage2D(gl.TEXTURE_2D, 1, inner, width, height);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, format, gl.UNSIGNED_BYTE, bytes);
  filter(gl, gl.NEAREST, gl.NEAREST);
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
