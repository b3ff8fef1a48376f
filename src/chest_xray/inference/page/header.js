/** Which model answers, and what stands in the way when none does. */

import { key } from "./api.js";
import { byId, say } from "./dom.js";
import { modelName } from "./words.js";

/** @typedef {import("./types.js").Connection} Connection */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./queue.js").Queue} Queue */

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
    void queue.start();
  });
  byId("digest").addEventListener(
    "click",
    () => void navigator.clipboard.writeText(store.state.model?.model.digest ?? ""),
  );
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
  say(byId("digest"), model.model.digest.slice(0, 12));
}

/** @param {State} state */
function describeTrouble({ connection, trouble, items }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  if (connection === "key" && !dialog.open) {
    say(byId("key-trouble"), trouble);
    dialog.showModal();
  }
  const banner = byId("banner");
  const words = bannerWords(
    connection,
    trouble,
    items.some((item) => item.status === "waiting"),
  );
  banner.hidden = words === "";
  say(byId("banner-words"), words);
  const empty = byId("empty");
  empty.hidden = items.length > 0;
  empty.classList.toggle("no-model", connection === "no-model");
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
