/** The page: its parts, and what each action does with them. */

import { Unreachable } from "./api.js";
import { addHeader } from "./controls/header.js";
import { listenToKeys } from "./controls/keys.js";
import { applyTheme, switchTheme } from "./controls/theme.js";
import { addToolbar } from "./controls/toolbar.js";
import { byId, download } from "./dom.js";
import { load, prepare } from "./lazy.js";
import { activeItem, emptyState, Store } from "./store.js";
import { addIntake } from "./worklist/intake.js";
import { Queue } from "./worklist/queue.js";
import { compare, move, sortAgain, Worklist } from "./worklist/worklist.js";

applyTheme();
const store = new Store(emptyState());
const queue = new Queue(store);

/** What an empty page has no use for is loaded with the first film. @type {Promise<import("./reading/reader.js").Reader> | null} */
let reading = null;

/** The modules may be asked for while the server is gone: they are asked for again when it is back. */
function openReading() {
  if (reading === null) {
    reading = load("reading/reader.js").then(({ Reader }) => new Reader(store, queue));
    reading.then(() => {
      prepare("worklist/exports.js", "controls/help.js");
      void prepareSheet().catch(() => {});
    }, lost);
    reading.catch(() => {
      reading = null;
    });
  }
  return reading;
}

/** A part of the page did not come. */
function lost() {
  queue.report(new Unreachable("The server does not answer."));
}

/** Makes the sheet of what is shown; there from the first film on. @type {(() => void) | null} */
let fillSheet = null;

async function prepareSheet() {
  const [{ fillReport, addStyle }, reader] = await Promise.all([load("reading/report.js"), openReading()]);
  await addStyle();
  fillSheet = () => fillReport(store.state, activeItem(store.state), reader.stage.active.viewer);
}

async function report() {
  await prepareSheet();
  fillSheet?.();
  window.print();
}

/** @param {"json" | "csv"} kind */
async function take(kind) {
  const { asCsv, asJson, exportName } = await load("worklist/exports.js");
  const [text, type] = kind === "json" ? [asJson(store.state), "application/json"] : [asCsv(store.state), "text/csv"];
  download(exportName(kind), new Blob([text], { type }));
}

async function help() {
  const { openHelp } = await load("controls/help.js");
  openHelp();
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "next-film": () => move(store, 1),
  "previous-film": () => move(store, -1),
  sort: () => sortAgain(store),
  compare: () => compare(store),
  theme: switchTheme,
  help: () => void help().catch(lost),
};

/** @param {string} name */
const act = (name) => (ACTIONS[name] ?? (() => void reading?.then((reader) => reader.act(name))))();

new Worklist(store);
addHeader(store, queue);
addToolbar(act, (preset) => void reading?.then((reader) => reader.stage.setPreset(preset)));
addIntake(store, queue, () => void openReading());
store.subscribe(({ connection, items }) => {
  if (connection === "ready" && items.length > 0 && reading === null) void openReading();
});
listenToKeys(act, () => store.state.items.length === 0);

/** @type {[string, () => void][]} */
const BUTTONS = [
  ["theme", switchTheme],
  ["open-help", () => void help().catch(lost)],
  ["cancel", () => queue.cancel()],
  ["take-json", () => void take("json").catch(lost)],
  ["take-csv", () => void take("csv").catch(lost)],
  ["print", () => void report().catch(lost)],
];
for (const [id, does] of BUTTONS) byId(id).addEventListener("click", does);
store.subscribe((state) => {
  const some = state.items.length > 0;
  document.body.classList.toggle("has-films", some);
  byId("take").hidden = !some;
  /** @type {HTMLButtonElement} */ (byId("print")).disabled = !activeItem(state)?.answer;
});
// Whoever asked for it: the sheet is of the film that is looked at now.
window.addEventListener("beforeprint", () => fillSheet?.());
void queue.start();
