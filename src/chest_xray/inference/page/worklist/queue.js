/** Sends the worklist's files to the server, a few at a time, and waits where the server asks it to. */

import { blocks, fetchModel, isAlive, predict, Refused, Unreachable } from "../api.js";
import { worklist } from "../ranking.js";
import { keepAnew } from "../reading/judging.js";
import { itemOf } from "../store.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../types.js").State} State */

const AT_ONCE = 2;
const LOOK_AGAIN = 2000; // milliseconds

/**
 * Once all are in, the worklist's first is shown, unless the reader chose one: which answer came first means nothing.
 * @param {State} state
 */
function openFirst(state) {
  if (state.selected !== null || state.items.some(({ status }) => status === "waiting" || status === "sending")) return;
  state.selected = worklist(state.items)[0]?.id ?? null;
}

export class Queue {
  #running = 0;
  #paused = true;
  #timer = 0;
  /** @type {Map<number, AbortController>} */
  #sent = new Map();

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
  }

  /** Get to know the model, then send what waits. Called again when anything changed that stood in the way. */
  async start() {
    try {
      const model = await fetchModel();
      this.store.update((state) => {
        if (state.model === null) state.opacity = model.opacity;
        Object.assign(state, { model, connection: "ready", trouble: "" });
      });
      this.#paused = false;
      this.#fill();
    } catch (error) {
      this.#halt(error);
    }
  }

  /** Send what waits, if the server takes it. */
  added() {
    this.#fill();
  }

  /** Give up all that is under way or waits. */
  cancel() {
    for (const request of this.#sent.values()) request.abort();
    this.store.update((state) => {
      state.items = state.items.filter((item) => item.status === "scored" || item.status === "refused");
      for (const pane of /** @type {const} */ (["selected", "compared"])) {
        if (itemOf(state, state[pane]) === null) state[pane] = null;
      }
      openFirst(state);
    });
  }

  /**
   * Score a film again, by the model that the server has now.
   * @param {Item} item
   */
  again(item) {
    this.store.update(() => {
      Object.assign(item, { answer: null, status: "waiting", revealed: false });
      keepAnew(item.feedback);
    });
    this.#fill();
  }

  /** @param {unknown} error what a request outside of the queue met */
  report(error) {
    if (blocks(error) !== null) this.#halt(error);
    else if (error instanceof Refused && error.problem.code === "model_changed") void this.start();
  }

  #fill() {
    while (!this.#paused && this.#running < AT_ONCE) {
      const next = this.store.state.items.find((item) => item.status === "waiting");
      if (next === undefined) return;
      void this.#send(next);
    }
  }

  /** @param {Item} item */
  async #send(item) {
    const request = new AbortController();
    this.#sent.set(item.id, request);
    this.#running++;
    this.store.update(() => {
      item.status = "sending";
    });
    try {
      this.#scored(item, await predict(item.file, request.signal));
    } catch (error) {
      if (!request.signal.aborted) this.#failed(item, error);
    }
    this.#sent.delete(item.id);
    this.#running--;
    this.#fill();
  }

  /**
   * @param {Item} item
   * @param {Answer} answer
   */
  #scored(item, answer) {
    this.store.update((state) => {
      Object.assign(item, { answer, status: "scored" });
      openFirst(state);
    });
    // Another model was deployed meanwhile: what the page says of the model must be of the one that answers.
    if (answer.model.digest !== this.store.state.model?.model.digest) void this.start();
  }

  /**
   * @param {Item} item
   * @param {unknown} error
   */
  #failed(item, error) {
    const waits = blocks(error) !== null;
    this.store.update((state) => {
      item.status = waits ? "waiting" : "refused";
      item.reason = error instanceof Error ? error.message : String(error);
      openFirst(state);
    });
    if (waits) this.#halt(error);
  }

  /**
   * Nothing can be sent now: say why, and try again when that may have passed.
   * @param {unknown} error
   */
  #halt(error) {
    const connection = blocks(error) ?? "gone";
    this.#paused = true;
    this.store.update((state) => {
      state.connection = connection;
      state.trouble = error instanceof Error ? error.message : String(error);
    });
    if (connection === "key" || this.#timer !== 0) return;
    const seconds = error instanceof Refused ? error.retryAfter : 0;
    this.#timer = setTimeout(() => this.#lookAgain(), Math.max(seconds * 1000, LOOK_AGAIN));
  }

  async #lookAgain() {
    this.#timer = 0;
    if (await isAlive()) await this.start();
    else this.#halt(new Unreachable("The server does not answer."));
  }
}
