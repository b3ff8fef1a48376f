/**
 * How fine the picture is while it moves. Where drawing cannot keep up with the screen, a moving picture has fewer
 * pixels; as soon as it rests it is drawn in full.
 */

const FRAME = 1000 / 60; // milliseconds
const SLOW = 19; // milliseconds between pictures above which 60 a second are missed
const LEAST_STEP = 0.85;
const COARSEST = 0.4; // below, what is slow is not the drawing
const RECENT = 12; // pictures
const REST = 120; // milliseconds without a movement after which a picture rests

export class Pace {
  #moving = false;
  #quality = 1;
  #last = 0;
  /** Milliseconds that the last pictures took. @type {number[]} */
  #recent = [];
  #timer = 0;

  /** @param {() => void} redraw */
  constructor(redraw) {
    this.redraw = redraw;
  }

  /** Pixels of the picture for a pixel of the screen, in each direction. */
  get quality() {
    return this.#moving ? this.#quality : 1;
  }

  /** What is drawn, or how much of it, has changed: how fine it can be is found out anew. */
  restart() {
    this.#quality = 1;
    this.#recent = [];
  }

  /** The reader moves something. */
  move() {
    this.#moving = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.settle(), REST);
  }

  /** The movement ended. */
  settle() {
    clearTimeout(this.#timer);
    const coarse = this.quality !== 1;
    this.#moving = false;
    this.#last = 0;
    if (coarse) this.redraw();
  }

  /**
   * A picture is about to be drawn. Three slow ones of the last make the next ones coarser, by as much as they are slow.
   * @param {number} now milliseconds
   */
  frame(now) {
    const passed = now - this.#last;
    const counts = this.#moving && this.#last !== 0 && passed < 4 * REST;
    this.#last = this.#moving ? now : 0;
    if (!counts) return;
    this.#recent = [...this.#recent.slice(1 - RECENT), passed];
    if (this.#recent.filter((time) => time > SLOW).length < 3) return;
    const mean = this.#recent.reduce((sum, time) => sum + time, 0) / this.#recent.length;
    // The time goes with the number of pixels, which goes with the square.
    this.#quality = Math.max(this.#quality * Math.min(Math.sqrt(FRAME / mean), LEAST_STEP), COARSEST);
    this.#recent = [];
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
