/** The form below the findings: a note, and what the reader said of each finding, sent together. */

import { sendFeedback } from "../api.js";
import { byId, say } from "../dom.js";
import { activeItem } from "../store.js";
import { counted } from "../words.js";
import { changed, isEmpty } from "./judging.js";

/** @typedef {import("../types.js").Feedback} Feedback */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

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
      changed(item.feedback);
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
    this.#send.disabled = isEmpty(feedback) || feedback.state === "sending" || feedback.state === "sent";
    say(this.#said, told(feedback));
    const failed = feedback.state === "failed";
    const isNew = failed && !this.#said.classList.contains("trouble");
    this.#said.classList.toggle("trouble", failed);
    if (isNew) this.#said.scrollIntoView({ block: "nearest" });
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
      feedback.kept = true;
    } catch (error) {
      feedback.state = "failed";
      feedback.error = error instanceof Error ? error.message : String(error);
      this.queue.report(error);
    }
    this.store.update(() => {});
  }
}

/** @param {Feedback} feedback */
function told(feedback) {
  const { present, state, error } = feedback;
  switch (state) {
    case "none":
      return "";
    case "unsent":
      return `${counted(Object.keys(present).length, "finding")} judged, not sent yet.`;
    case "sending":
      return "Sending.";
    case "sent":
      return isEmpty(feedback)
        ? "What was sent stays kept as ground truth; send another judgement to replace it."
        : "Kept as ground truth. Thank you.";
    case "failed":
      return `Not kept: ${error} Nothing is lost; send it again.`;
  }
}
