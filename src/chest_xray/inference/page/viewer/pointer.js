/**
 * What mouse, pen and fingers mean, as reading-room viewers have it.
 *
 *     drag                                   window and level
 *     middle, right or shift + drag          pan
 *     wheel, pinch on a trackpad             zoom to the pointer
 *     two fingers                            pan and zoom
 *     double click                           whole film
 */

/** @typedef {import("./geometry.js").Point} Point */
/**
 * @typedef {object} Gestures
 * @property {(way: Point) => void} onWindow CSS pixels since the last call
 * @property {(way: Point) => void} onPan
 * @property {(at: Point, factor: number) => void} onZoom
 * @property {() => void} onFit
 * @property {(at: Point | null) => void} onHover
 * @property {() => void} onEnd the last pointer was lifted
 */

const LINE = 16; // CSS pixels that a wheel's line stands for
const ZOOM_OF_PIXEL = 0.0015;
const ZOOM_OF_PINCHED_PIXEL = 0.01;

/**
 * @param {HTMLElement} host
 * @param {Gestures} gestures
 * @returns {() => void} stops listening
 */
export function listen(host, gestures) {
  const fingers = new Fingers(host, gestures);
  const stop = new AbortController();
  const { signal } = stop;
  host.addEventListener("pointerdown", (event) => fingers.down(event), { signal });
  host.addEventListener("pointermove", (event) => fingers.move(event), { signal });
  host.addEventListener("pointerup", (event) => fingers.up(event), { signal });
  host.addEventListener("pointercancel", (event) => fingers.up(event), { signal });
  host.addEventListener("pointerleave", () => gestures.onHover(null), { signal });
  host.addEventListener("dblclick", () => gestures.onFit(), { signal });
  // The middle button must not scroll.
  host.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault(), { signal });
  host.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  // Not passive: the page must not scroll, and a pinch must not enlarge the page.
  host.addEventListener("wheel", (event) => wheel(host, gestures, event), { signal, passive: false });
  return () => stop.abort();
}

/** The pointers that are down, and what their drag does. */
class Fingers {
  /** @type {Map<number, Point>} */
  #down = new Map();
  #pans = false;
  /** The finger that is left of two does nothing: it would change the window without being meant to. */
  #pinched = false;

  /**
   * @param {HTMLElement} host
   * @param {Gestures} gestures
   */
  constructor(host, gestures) {
    this.host = host;
    this.gestures = gestures;
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.host.setPointerCapture(event.pointerId);
    this.#down.set(event.pointerId, place(this.host, event));
    this.#pans = event.button !== 0 || event.shiftKey;
    this.#pinched = this.#down.size > 1;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const now = place(this.host, event);
    const before = this.#down.get(event.pointerId);
    this.gestures.onHover(now);
    if (before === undefined) return;
    const other = [...this.#down].find(([id]) => id !== event.pointerId)?.[1];
    this.#down.set(event.pointerId, now);
    const way = { x: now.x - before.x, y: now.y - before.y };
    if (other !== undefined) this.#pinch(before, now, other, way);
    else if (this.#pinched) return;
    else if (this.#pans) this.gestures.onPan(way);
    else this.gestures.onWindow(way);
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.#down.delete(event.pointerId);
    if (this.#down.size === 0) this.gestures.onEnd();
  }

  /**
   * One of two fingers moved: half of its way moves their middle.
   * @param {Point} before
   * @param {Point} now
   * @param {Point} other
   * @param {Point} way
   */
  #pinch(before, now, other, way) {
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    const factor = distance(now, other) / Math.max(distance(before, other), 1);
    this.gestures.onPan({ x: way.x / 2, y: way.y / 2 });
    this.gestures.onZoom(middle, factor);
  }
}

/**
 * @param {HTMLElement} host
 * @param {Gestures} gestures
 * @param {WheelEvent} event
 */
function wheel(host, gestures, event) {
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
  // Browsers report a trackpad's pinch as a wheel with the control key.
  const speed = event.ctrlKey ? ZOOM_OF_PINCHED_PIXEL : ZOOM_OF_PIXEL;
  gestures.onZoom(place(host, event), Math.exp(-pixels * speed));
}

/**
 * @param {HTMLElement} host
 * @param {MouseEvent} event
 * @returns {Point}
 */
function place(host, event) {
  const { left, top } = host.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

/**
 * @param {Point} a
 * @param {Point} b
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
