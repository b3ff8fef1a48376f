/** Scores that are withheld: what stands in their place, and the click that shows them all the same. */

import { ask } from "../api.js";
import { h, say } from "../dom.js";

/** @typedef {import("../types.js").Answer} Answer */
/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

/**
 * What stands in the place of withheld scores, and later above them.
 * @param {Store} store
 * @param {Queue} queue is told when the server cannot be reached
 * @param {Item} item
 * @param {Answer} answer
 * @returns {Node[]}
 */
export function withheldWords(store, queue, item, answer) {
  if (item.revealed) return ["The scores below are withheld: read this film yourself."].map(text);
  const trouble = h("span", { role: "status" });
  const click = () => void reveal(store, queue, item, answer, trouble);
  const show = h("button", { type: "button", id: "reveal", click }, "Show the scores all the same");
  return [text("The scores are withheld: read this film yourself. It is recorded who has them shown. "), show, trouble];
}

/**
 * Scores are shown once it is recorded that they are.
 * @param {Store} store
 * @param {Queue} queue
 * @param {Item} item
 * @param {Answer} answer
 * @param {HTMLElement} trouble where it is said why not
 */
async function reveal(store, queue, item, answer, trouble) {
  try {
    await ask(`/v1/events/${answer.event_id}/shown`, { method: "POST" });
  } catch (error) {
    say(trouble, ` ${error instanceof Error ? error.message : String(error)}`);
    queue.report(error);
    return;
  }
  store.update(() => {
    // The film may have been scored anew meanwhile.
    item.revealed = item.answer === answer;
  });
}

/** @param {string} words */
function text(words) {
  return document.createTextNode(words);
}
