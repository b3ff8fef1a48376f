/** The page: its parts, and what each action does with them. */

import { keyName, LIST_ACTIONS, PAN_ACTIONS, VIEWER_ACTIONS } from "./actions.js";
import { byId, download, h } from "./dom.js";
import { FeedbackForm, judge, noFeedback } from "./feedback.js";
import { droppedFiles, sorted } from "./files.js";
import { Findings, moveFinding } from "./findings.js";
import { addHeader } from "./header.js";
import { listenToKeys } from "./keys.js";
import { Queue } from "./queue.js";
import { emptyState, itemOf, Store } from "./store.js";
import { applyTheme, switchTheme } from "./theme.js";
import { move, Worklist } from "./worklist.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./viewer/index.js").ViewerAction} ViewerAction */

applyTheme();
const store = new Store(emptyState());
const queue = new Queue(store);
new Worklist(store);
new Findings(store);
new FeedbackForm(store, queue);
addHeader(store, queue);

/** What an empty page has no use for is loaded with the first film. @type {Promise<import("./stage.js").Stage> | null} */
let staged = null;
let arrived = 0;

function openStage() {
  staged ??= import("./stage.js").then(({ Stage }) => new Stage(store, queue));
  return staged;
}

/** @param {File[]} files */
function add(files) {
  if (files.length > 0) void openStage();
  const items = files.map(
    (file) =>
      /** @type {Item} */ ({
        id: arrived++,
        file,
        status: "waiting",
        answer: null,
        reason: "",
        feedback: noFeedback(),
      }),
  );
  store.update((state) => {
    state.items.push(
      ...items.map((item) => withinLimits(item, state.model?.limits.max_bytes ?? Number.POSITIVE_INFINITY)),
    );
  });
  queue.added();
}

/**
 * A file that the server would refuse for its size is not sent first.
 * @param {Item} item
 * @param {number} most bytes
 */
function withinLimits(item, most) {
  if (item.file.size <= most) return item;
  const size = (item.file.size / 2 ** 20).toFixed(0);
  return {
    ...item,
    status: /** @type {const} */ ("refused"),
    reason: `The file has ${size} MiB; at most ${(most / 2 ** 20).toFixed(0)} MiB are taken.`,
  };
}

/** @param {boolean} agrees */
function agree(agrees) {
  const { state } = store;
  const item = itemOf(state, state.selected);
  const flag = item?.answer?.findings.find(({ finding }) => finding === state.finding)?.flag;
  if (item === null || state.finding === null || typeof flag !== "boolean" || !state.model?.feedback) return;
  judge(store, item, state.finding, agrees ? flag : !flag);
}

async function report() {
  const item = itemOf(store.state, store.state.selected);
  const { first } = await openStage();
  if (item === null || !first.isReady) return;
  const { printReport } = await import("./report.js");
  await printReport(store.state, item, first.viewer);
}

/** @param {"json" | "csv"} kind */
async function take(kind) {
  const { asCsv, asJson, exportName } = await import("./exports.js");
  const [text, type] = kind === "json" ? [asJson(store.state), "application/json"] : [asCsv(store.state), "text/csv"];
  download(exportName(kind), new Blob([text], { type }));
}

async function help() {
  const { openHelp } = await import("./help.js");
  openHelp();
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "next-film": () => move(store, 1),
  "previous-film": () => move(store, -1),
  compare: () => store.update((state) => Object.assign(state, { comparing: !state.comparing, compared: null })),
  "next-finding": () => moveFinding(store, 1),
  "previous-finding": () => moveFinding(store, -1),
  map: () => store.update((state) => Object.assign(state, { mapShown: !state.mapShown })),
  agree: () => agree(true),
  disagree: () => agree(false),
  theme: switchTheme,
  help: () => void help(),
  ...Object.fromEntries(
    [...VIEWER_ACTIONS, ...PAN_ACTIONS].map(({ name }) => [
      name,
      () => void staged?.then((stage) => stage.act(/** @type {ViewerAction} */ (name))),
    ]),
  ),
};

/** @param {string} name */
const act = (name) => ACTIONS[name]?.();

const compare = LIST_ACTIONS.filter(({ name }) => name === "compare");
byId("tools").prepend(
  ...[...VIEWER_ACTIONS, ...compare].map(({ name, label, icon, keys }) =>
    h(
      "button",
      {
        type: "button",
        id: name,
        class: "tool",
        title: `${label} (${keys.map(keyName).join(" or ")})`,
        "aria-label": label,
        "aria-keyshortcuts": keys.map((key) => (key === "+" ? "Plus" : key.toUpperCase())).join(" "),
        click: () => act(name),
      },
      icon,
    ),
  ),
);
byId("compare").setAttribute("aria-pressed", "false");
listenToKeys(act);

for (const id of ["choose", "choose-folder"]) {
  const field = /** @type {HTMLInputElement} */ (byId(id));
  field.addEventListener("change", () => {
    add(sorted([...(field.files ?? [])]));
    field.value = "";
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then(add);
});

/** @type {[string, () => void][]} */
const BUTTONS = [
  ["theme", switchTheme],
  ["open-help", () => void help()],
  ["cancel", () => queue.cancel()],
  ["take-json", () => void take("json")],
  ["take-csv", () => void take("csv")],
  ["print", () => void report()],
];
for (const [id, does] of BUTTONS) byId(id).addEventListener("click", does);
store.subscribe(({ items, selected }) => {
  byId("take").hidden = items.length === 0;
  /** @type {HTMLButtonElement} */ (byId("print")).disabled = !itemOf(store.state, selected)?.answer;
});
void queue.start();
