/** The page: its parts, and what each action does with them. */

import { Unreachable } from "./api.js";
import { MORE_ACTIONS, VIEWER_ACTIONS } from "./controls/actions.js";
import { addHeader } from "./controls/header.js";
import { listenToKeys } from "./controls/keys.js";
import { applyTheme, switchTheme } from "./controls/theme.js";
import { addToolbar } from "./controls/toolbar.js";
import { byId, download } from "./dom.js";
import { load, prepare } from "./lazy.js";
import { FeedbackForm, judge } from "./reading/feedback.js";
import { Findings, moveFinding, pickRow } from "./reading/findings.js";
import { activeItem, emptyState, Store } from "./store.js";
import { addIntake } from "./worklist/intake.js";
import { Queue } from "./worklist/queue.js";
import { compare, move, sortAgain, Worklist } from "./worklist/worklist.js";

/** @typedef {import("./viewer/index.js").ViewerAction} ViewerAction */

applyTheme();
const store = new Store(emptyState());
const queue = new Queue(store);

/** What an empty page has no use for is loaded with the first film. @type {Promise<import("./reading/stage.js").Stage> | null} */
let staged = null;

/** The modules may be asked for while the server is gone: they are asked for again when it is back. */
function openStage() {
  if (staged === null) {
    staged = load("reading/stage.js").then(({ Stage }) => new Stage(store, queue));
    staged.then(() => {
      prepare("worklist/exports.js", "controls/help.js");
      void prepareSheet().catch(() => {});
    }, lost);
    staged.catch(() => {
      staged = null;
    });
  }
  return staged;
}

/** A part of the page did not come. */
function lost() {
  queue.report(new Unreachable("The server does not answer."));
}

/** @param {boolean} agrees */
function agree(agrees) {
  const { state } = store;
  const item = activeItem(state);
  const flag = item?.answer?.findings.find(({ finding }) => finding === state.finding)?.flag;
  if (item === null || state.finding === null || typeof flag !== "boolean" || !state.model?.feedback) return;
  judge(store, item, state.finding, agrees ? flag : !flag);
}

/** Makes the sheet of what is shown; there from the first film on. @type {(() => void) | null} */
let fillSheet = null;

async function prepareSheet() {
  const [{ fillReport, addStyle }, stage] = await Promise.all([load("reading/report.js"), openStage()]);
  await addStyle();
  fillSheet = () => fillReport(store.state, activeItem(store.state), stage.active.viewer);
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

async function otherPane() {
  const stage = await staged;
  stage?.other?.focus();
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "next-film": () => move(store, 1),
  "previous-film": () => move(store, -1),
  sort: () => sortAgain(store),
  compare: () => compare(store),
  "other-pane": () => void otherPane(),
  "next-finding": () => moveFinding(store, 1),
  "previous-finding": () => moveFinding(store, -1),
  map: () => toggleMap(),
  agree: () => agree(true),
  disagree: () => agree(false),
  preset: () => void staged?.then((stage) => stage.setPreset()),
  theme: switchTheme,
  help: () => void help().catch(lost),
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`finding-${i + 1}`, () => pickRow(store, i + 1)])),
  ...Object.fromEntries(
    [...VIEWER_ACTIONS, ...MORE_ACTIONS].map(({ name }) => [
      name,
      () => void staged?.then((stage) => stage.act(/** @type {ViewerAction} */ (name))),
    ]),
  ),
};

/** A map is of a finding: without one, that of the first row is meant. */
function toggleMap() {
  if (store.state.finding === null) pickRow(store, 1);
  else store.update((state) => Object.assign(state, { mapShown: !state.mapShown }));
}

/** @param {string} name */
const act = (name) => ACTIONS[name]?.();

new Worklist(store);
new Findings(store, queue);
new FeedbackForm(store, queue);
addHeader(store, queue);
addToolbar(act, (preset) => void staged?.then((stage) => stage.setPreset(preset)));
addIntake(store, queue, () => void openStage());
store.subscribe(({ connection, items }) => {
  if (connection === "ready" && items.length > 0 && staged === null) void openStage();
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
