/** Which model answers, and what stands in the way when none does. */

import { key } from "../api.js";
import { byId, h, say } from "../dom.js";
import { codeParts, modelName } from "../words.js";

/** @typedef {import("../types.js").Connection} Connection */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

const SOURCES = /** @type {Record<string, string>} */ ({ phantom: "phantom films" });

/**
 * @param {Store} store
 * @param {Queue} queue
 */
export function addHeader(store, queue) {
  store.subscribe((state) => {
    describeModel(state);
    describeTrouble(state);
  });
  const form = /** @type {HTMLFormElement} */ (byId("key-form"));
  form.addEventListener("submit", () => {
    const field = /** @type {HTMLInputElement} */ (byId("key"));
    key.set(field.value.trim());
    field.value = "";
    // So that a key that is wrong too is asked for again.
    store.update((state) => {
      state.connection = "starting";
    });
    void queue.start();
  });
  byId("give-key").addEventListener("click", askForKey);
  byId("digest").addEventListener("click", () => void copyDigest(store.state.model?.model.digest ?? ""));
}

/**
 * Copy it; where the browser does not let the page (plain HTTP from another machine), show all of it.
 * @param {string} digest
 */
async function copyDigest(digest) {
  const button = byId("digest");
  try {
    await navigator.clipboard.writeText(digest);
  } catch {
    say(button, digest);
    return;
  }
  say(button, "copied");
  setTimeout(() => say(button, digest.slice(0, 12)), 1500);
}

function askForKey() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  if (!dialog.open) dialog.showModal();
}

/** @param {State} state */
function describeModel({ model }) {
  byId("model").hidden = model === null;
  if (model === null) return;
  const source = model.provenance.label_version;
  const auroc =
    model.mean_auroc === null
      ? ""
      : ` · mean AUROC ${model.mean_auroc.toFixed(3)} on ${SOURCES[source] ?? `NIH films, labels ${source}`}`;
  say(byId("model-name"), `${modelName(model.model)}${auroc}`);
  const { digest } = model.model;
  if (byId("digest").title.includes(digest)) return;
  say(byId("digest"), digest.slice(0, 12));
  byId("digest").title = `SHA-256 of the model's bundle: ${digest}. Click to copy it.`;
}

/** @type {Connection} */
let told = "starting";

/** @param {State} state */
function describeTrouble({ connection, trouble, items }) {
  // Asked for once: a reader who closes the dialogue finds a button in the banner.
  if (connection === "key" && told !== "key") {
    say(byId("key-trouble"), trouble);
    askForKey();
  }
  told = connection;
  const waiting = items.some((item) => item.status === "waiting");
  const words = bannerWords(connection, trouble, waiting);
  byId("banner").hidden = words === "";
  if (byId("banner-words").dataset.words !== words) {
    byId("banner-words").dataset.words = words;
    const parts = codeParts(words).map(({ text, isCode }) => (isCode ? h("code", {}, text) : text));
    byId("banner-words").replaceChildren(...parts);
  }
  byId("give-key").hidden = connection !== "key";
  byId("empty").hidden = items.length > 0;
}

/**
 * @param {Connection} connection
 * @param {string} trouble
 * @param {boolean} waiting
 */
function bannerWords(connection, trouble, waiting) {
  const kept = waiting ? " What waits is kept and goes on by itself." : " The page goes on by itself.";
  switch (connection) {
    case "gone":
      return `The server does not answer.${kept}`;
    case "no-model":
      return `${trouble}${kept}`;
    case "busy":
      return waiting ? `${trouble}${kept}` : "";
    case "key":
      return "An API key is needed.";
    default:
      return "";
  }
}
