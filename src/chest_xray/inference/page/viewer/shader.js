/**
 * The shader of a scene. The film is an integer texture with its halves as levels, so that the window is laid over the
 * values of the file and not over what 8 bits left of them; the shader does the interpolation itself.
 */

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
  ivec2 cells = textureSize(evidence, 0);
  float level = texelFetch(evidence, min(ivec2(point / size * vec2(cells)), cells - 1), 0).r;
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

/**
 * Compile the shaders and use them from now on.
 * @param {WebGL2RenderingContext} gl
 * @returns {Places}
 */
export function linked(gl) {
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
  return places;
}
