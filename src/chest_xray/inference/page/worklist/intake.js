/** Where files come in: two choosers, and a drop anywhere on the page. */

import { byId } from "../dom.js";
import { noFeedback } from "../reading/judging.js";
import { droppedFiles, sorted } from "./files.js";

/** @typedef {import("../types.js").Item} Item */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("./queue.js").Queue} Queue */

let arrived = 0;

/**
 * @param {Store} store
 * @param {Queue} queue
 * @param {() => void} onFirst called before files are taken in
 */
export function addIntake(store, queue, onFirst) {
  /** @param {File[]} files */
  const take = (files) => {
    if (files.length === 0) return;
    onFirst();
    takeIn(store, files);
    queue.added();
  };
  listenToChoosers(take);
  listenToDrops(take);
}

/**
 * @param {Store} store
 * @param {File[]} files
 */
function takeIn(store, files) {
  store.update((state) => {
    const most = state.model?.limits.max_bytes ?? Number.POSITIVE_INFINITY;
    state.items.push(...files.map((file) => newItem(file, most)));
  });
}

/**
 * A file that the server would refuse for its size is not sent first.
 * @param {File} file
 * @param {number} most bytes
 * @returns {Item}
 */
function newItem(file, most) {
  const fits = file.size <= most;
  const [size, limit] = [file.size, most].map((bytes) => (bytes / 2 ** 20).toFixed(0));
  return {
    id: arrived++,
    file,
    status: fits ? "waiting" : "refused",
    answer: null,
    revealed: false,
    reason: fits ? "" : `The file has ${size} MiB; at most ${limit} MiB are taken.`,
    feedback: noFeedback(),
  };
}

/** @param {(files: File[]) => void} take */
function listenToChoosers(take) {
  for (const id of ["choose", "choose-first", "choose-folder"]) {
    const field = /** @type {HTMLInputElement} */ (byId(id));
    field.addEventListener("change", () => {
      take(sorted([...(field.files ?? [])]));
      field.value = "";
    });
  }
}

/** @param {(files: File[]) => void} take */
function listenToDrops(take) {
  const mark = document.body.classList;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) mark.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark.remove("dropping");
    if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then(take);
  });
}
