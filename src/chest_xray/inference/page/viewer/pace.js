/**
 * How fine the picture is while it moves. Where drawing cannot keep up with the screen, a moving picture has fewer
 * pixels; as soon as it rests it is drawn in full.
 */

const SLOW = 19; // milliseconds between pictures above which 60 a second are missed
const STEPS = [1, 0.71, 0.5, 0.35];
const REST = 120; // milliseconds without a movement after which a picture rests

export class Pace {
  #step = 0;
  #moving = false;
  #last = 0;
  #slow = 0;
  #timer = 0;

  /** @param {() => void} redraw */
  constructor(redraw) {
    this.redraw = redraw;
  }

  /** Pixels of the picture for a pixel of the screen, in each direction. */
  get quality() {
    return this.#moving ? /** @type {number} */ (STEPS[this.#step]) : 1;
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
   * A picture is about to be drawn.
   * @param {number} now milliseconds
   */
  frame(now) {
    const passed = now - this.#last;
    const counts = this.#moving && this.#last !== 0 && passed < REST;
    this.#last = this.#moving ? now : 0;
    if (!counts) return;
    this.#slow = passed > SLOW ? this.#slow + 1 : 0;
    if (this.#slow < 3) return;
    this.#slow = 0;
    this.#step = Math.min(this.#step + 1, STEPS.length - 1);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
