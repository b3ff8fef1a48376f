/** What the reader says of a film: present or absent for each finding that they judged, and a note. */

import { sendFeedback } from "./api.js";
import { byId, say } from "./dom.js";
import { activeItem } from "./store.js";
import { counted } from "./words.js";

/** @typedef {import("./types.js").Feedback} Feedback */
/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./queue.js").Queue} Queue */

/** @returns {Feedback} */
export function noFeedback() {
  return { present: {}, note: "", state: "none", error: "" };
}

/**
 * Say that a finding is present or absent; said again, it is taken back.
 * @param {Store} store
 * @param {Item} item
 * @param {string} finding
 * @param {boolean} present
 */
export function judge(store, item, finding, present) {
  store.update(() => {
    const { feedback } = item;
    if (feedback.present[finding] === present) delete feedback.present[finding];
    else feedback.present[finding] = present;
    feedback.state = "unsent";
  });
}

/** The form below the findings. */
export class FeedbackForm {
  #form = /** @type {HTMLFormElement} */ (byId("feedback"));
  #note = /** @type {HTMLTextAreaElement} */ (byId("note"));
  #send = /** @type {HTMLButtonElement} */ (byId("send"));
  #said = byId("feedback-state");
  #item = /** @type {number | null} */ (null);

  /**
   * @param {Store} store
   * @param {Queue} queue is told when the server cannot be reached
   */
  constructor(store, queue) {
    this.store = store;
    this.queue = queue;
    this.#note.addEventListener("input", () => this.#noted());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    store.subscribe((state) => this.#render(state));
    window.addEventListener("beforeunload", (event) => {
      if (store.state.items.some(({ feedback }) => feedback.state === "unsent" || feedback.state === "failed")) {
        event.preventDefault();
      }
    });
  }

  #noted() {
    this.store.update((state) => {
      const item = activeItem(state);
      if (item === null) return;
      item.feedback.note = this.#note.value;
      item.feedback.state = "unsent";
    });
  }

  /** @param {State} state */
  #render(state) {
    const item = activeItem(state);
    this.#form.hidden = item === null || item.answer === null || !state.model?.feedback;
    if (item === null) return;
    if (this.#item !== item.id) this.#note.value = item.feedback.note;
    this.#item = item.id;
    const { feedback } = item;
    const judged = Object.keys(feedback.present).length;
    this.#send.disabled =
      (judged === 0 && feedback.note === "") || feedback.state === "sending" || feedback.state === "sent";
    say(this.#said, told(feedback, judged));
  }

  async #submit() {
    const item = activeItem(this.store.state);
    if (item === null || item.answer === null) return;
    const { feedback, answer } = item;
    this.store.update(() => {
      feedback.state = "sending";
    });
    try {
      const { event_id, model } = answer;
      await sendFeedback({
        event_id,
        model_digest: model.digest,
        findings: feedback.present,
        note: feedback.note.trim(),
      });
      // What was changed while it was on its way is not sent yet.
      if (feedback.state === "sending") feedback.state = "sent";
    } catch (error) {
      feedback.state = "failed";
      feedback.error = error instanceof Error ? error.message : String(error);
      this.queue.report(error);
    }
    this.store.update(() => {});
  }
}

/**
 * @param {Feedback} feedback
 * @param {number} judged
 */
function told({ state, error }, judged) {
  switch (state) {
    case "none":
      return "";
    case "unsent":
      return `${counted(judged, "finding")} judged, not sent yet.`;
    case "sending":
      return "Sending.";
    case "sent":
      return "Kept as ground truth. Thank you.";
    case "failed":
      return `Not kept: ${error} Nothing is lost; send it again.`;
  }
}
