/**
 * Where a film lies on the screen: which of its points is in the middle, how large, and turned by how much.
 *
 * Film coordinates are film pixels, x to the right and y down from the upper left corner; pixel (0, 0) covers 0..1.
 * Screen coordinates are CSS pixels within the viewer, likewise.
 */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {0 | 90 | 180 | 270} Rotation clockwise, in degrees */
/** @typedef {{center: Point, zoom: number, rotation: Rotation}} Pose zoom is CSS pixels for a film pixel */

const MAX_ZOOM = 32;

/**
 * The film's size as it lies on the screen.
 * @param {Size} film
 * @param {Rotation} rotation
 * @returns {Size}
 */
export function turnedSize(film, rotation) {
  return rotation % 180 === 0 ? film : { width: film.height, height: film.width };
}

/**
 * The zoom at which the whole film is seen.
 * @param {Size} film
 * @param {Size} screen
 * @param {Rotation} rotation
 */
export function fitZoom(film, screen, rotation) {
  const { width, height } = turnedSize(film, rotation);
  return Math.min(screen.width / width, screen.height / height);
}

/**
 * The whole film, in the middle.
 * @param {Size} film
 * @param {Size} screen
 * @param {Rotation} rotation
 * @returns {Pose}
 */
export function fitted(film, screen, rotation) {
  return {
    center: { x: film.width / 2, y: film.height / 2 },
    zoom: fitZoom(film, screen, rotation),
    rotation,
  };
}

/**
 * A vector of the film, as it points on the screen.
 * @param {Point} vector
 * @param {Rotation} rotation
 * @returns {Point}
 */
export function turned({ x, y }, rotation) {
  switch (rotation) {
    case 0:
      return { x, y };
    case 90:
      return { x: -y, y: x };
    case 180:
      return { x: -x, y: -y };
    default:
      return { x: y, y: -x };
  }
}

/**
 * @param {Rotation} rotation
 * @returns {Rotation}
 */
function opposite(rotation) {
  return /** @type {Rotation} */ ((360 - rotation) % 360);
}

/**
 * The film's point that lies at a point of the screen.
 * @param {Pose} pose
 * @param {Size} screen
 * @param {Point} point
 * @returns {Point}
 */
export function toFilm(pose, screen, point) {
  const away = turned({ x: point.x - screen.width / 2, y: point.y - screen.height / 2 }, opposite(pose.rotation));
  return { x: pose.center.x + away.x / pose.zoom, y: pose.center.y + away.y / pose.zoom };
}

/**
 * Where a point of the film lies on the screen.
 * @param {Pose} pose
 * @param {Size} screen
 * @param {Point} point
 * @returns {Point}
 */
export function toScreen(pose, screen, point) {
  const away = turned({ x: point.x - pose.center.x, y: point.y - pose.center.y }, pose.rotation);
  return { x: screen.width / 2 + away.x * pose.zoom, y: screen.height / 2 + away.y * pose.zoom };
}

/**
 * Zoom by a factor; the film's point under `point` stays there. Between half of the whole film and `MAX_ZOOM`.
 * @param {Pose} pose
 * @param {Size} film
 * @param {Size} screen
 * @param {Point} point
 * @param {number} factor
 * @returns {Pose}
 */
export function zoomedAt(pose, film, screen, point, factor) {
  const least = Math.min(fitZoom(film, screen, pose.rotation) / 2, 1);
  const zoom = Math.min(Math.max(pose.zoom * factor, least), MAX_ZOOM);
  const held = toFilm(pose, screen, point);
  const away = turned({ x: point.x - screen.width / 2, y: point.y - screen.height / 2 }, opposite(pose.rotation));
  const center = { x: held.x - away.x / zoom, y: held.y - away.y / zoom };
  return { ...pose, zoom, center: within(center, film) };
}

/**
 * Move the film by a way on the screen. Its middle of the screen stays on the film, so that it is never lost.
 * @param {Pose} pose
 * @param {Size} film
 * @param {Point} way
 * @returns {Pose}
 */
export function panned(pose, film, way) {
  const back = turned(way, opposite(pose.rotation));
  const center = { x: pose.center.x - back.x / pose.zoom, y: pose.center.y - back.y / pose.zoom };
  return { ...pose, center: within(center, film) };
}

/**
 * @param {Point} point
 * @param {Size} film
 * @returns {Point}
 */
function within(point, film) {
  return {
    x: Math.min(Math.max(point.x, 0), film.width),
    y: Math.min(Math.max(point.y, 0), film.height),
  };
}

/**
 * Move the film by less than a device pixel so that its pixels meet the screen's where one covers whole ones: at 1:1
 * each is then shown as it is, not as a mean of its neighbours.
 * @param {Pose} pose
 * @param {Size} screen
 * @param {number} ratio device pixels for a CSS pixel
 * @returns {Pose}
 */
export function aligned(pose, screen, ratio) {
  const scale = pose.zoom * ratio;
  if (Math.abs(scale - Math.round(scale)) > 1e-6 || scale < 1) return pose;
  const corner = toScreen(pose, screen, { x: 0, y: 0 });
  const way = {
    x: Math.round(corner.x * ratio) / ratio - corner.x,
    y: Math.round(corner.y * ratio) / ratio - corner.y,
  };
  const back = turned(way, opposite(pose.rotation));
  return {
    ...pose,
    center: { x: pose.center.x - back.x / pose.zoom, y: pose.center.y - back.y / pose.zoom },
  };
}

/**
 * The matrix [[a, b], [c, d]] that turns the screen's vectors back into the film's.
 * @param {Rotation} rotation
 */
export function opposed(rotation) {
  const x = turned({ x: 1, y: 0 }, opposite(rotation));
  const y = turned({ x: 0, y: 1 }, opposite(rotation));
  return { a: x.x, b: y.x, c: x.y, d: y.y };
}
