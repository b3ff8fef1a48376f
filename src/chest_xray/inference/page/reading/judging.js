/** What the reader says of a film: present or absent for each finding that they judged, and a note. */

/** @typedef {import("../types.js").Feedback} Feedback */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../store.js").Store} Store */

/** @returns {Feedback} */
export function noFeedback() {
  return { present: {}, note: "", state: "none", kept: false, error: "" };
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
    changed(feedback);
  });
}

/**
 * The reader changed it. What was kept cannot be made undone, only replaced: with nothing left to send it stands.
 * @param {Feedback} feedback
 */
export function changed(feedback) {
  feedback.state = !isEmpty(feedback) ? "unsent" : feedback.kept ? "sent" : "none";
}

/**
 * What was sent belongs to an answer that another replaces: for that one it waits to be sent.
 * @param {Feedback} feedback
 */
export function keepAnew(feedback) {
  feedback.kept = false;
  changed(feedback);
}

/** @param {Feedback} feedback */
export function isEmpty({ present, note }) {
  return Object.keys(present).length === 0 && note.trim() === "";
}
