/** Everything that a key or a button does, once: the toolbar, the keyboard and the help are made of this table. */

/** @typedef {import("./viewer/index.js").ViewerAction} ViewerAction */
/**
 * @typedef {object} Action
 * @property {string} name of the action, and of its button
 * @property {string} label
 * @property {string} icon a character or two
 * @property {string[]} keys as KeyboardEvent.key has them
 */
/** @typedef {{title: string, actions: Action[]}} Group */

/** @type {Action[]} */
export const VIEWER_ACTIONS = [
  { name: "fit", label: "Whole film", icon: "⤢", keys: ["f"] },
  { name: "one-to-one", label: "One film pixel, one screen pixel", icon: "1:1", keys: ["o"] },
  { name: "zoom-in", label: "Zoom in", icon: "+", keys: ["+", "="] },
  { name: "zoom-out", label: "Zoom out", icon: "−", keys: ["-"] },
  { name: "window-wider", label: "Wider window, less contrast", icon: "◐", keys: ["w"] },
  { name: "window-narrower", label: "Narrower window, more contrast", icon: "◑", keys: ["s"] },
  { name: "level-up", label: "Brighter", icon: "☼", keys: ["d"] },
  { name: "level-down", label: "Darker", icon: "☾", keys: ["a"] },
  { name: "invert", label: "Invert", icon: "◩", keys: ["i"] },
  { name: "rotate-left", label: "Rotate left", icon: "↺", keys: ["l"] },
  { name: "rotate-right", label: "Rotate right", icon: "↻", keys: ["r"] },
  { name: "reset", label: "As the file says", icon: "⟲", keys: ["x"] },
];

/** @type {Action[]} */
export const PAN_ACTIONS = [
  { name: "pan-left", label: "Pan left", icon: "", keys: ["Shift+ArrowLeft"] },
  { name: "pan-right", label: "Pan right", icon: "", keys: ["Shift+ArrowRight"] },
  { name: "pan-up", label: "Pan up", icon: "", keys: ["Shift+ArrowUp"] },
  { name: "pan-down", label: "Pan down", icon: "", keys: ["Shift+ArrowDown"] },
];

/** @type {Action[]} */
export const LIST_ACTIONS = [
  { name: "next-film", label: "Next film", icon: "", keys: ["ArrowDown", "j"] },
  { name: "previous-film", label: "Previous film", icon: "", keys: ["ArrowUp", "k"] },
  { name: "compare", label: "Side by side", icon: "◫", keys: ["c"] },
];

/** @type {Action[]} */
export const FINDING_ACTIONS = [
  { name: "next-finding", label: "Next finding", icon: "", keys: ["."] },
  { name: "previous-finding", label: "Previous finding", icon: "", keys: [","] },
  { name: "map", label: "Heat map on or off", icon: "", keys: ["m"] },
  { name: "agree", label: "Agree on the chosen finding", icon: "", keys: ["y"] },
  { name: "disagree", label: "Disagree on the chosen finding", icon: "", keys: ["n"] },
];

/** @type {Action[]} */
export const PAGE_ACTIONS = [
  { name: "theme", label: "Dark or light", icon: "", keys: ["t"] },
  { name: "help", label: "This help", icon: "", keys: ["?"] },
];

/** @type {Group[]} */
export const GROUPS = [
  { title: "Films", actions: LIST_ACTIONS },
  { title: "Findings", actions: FINDING_ACTIONS },
  { title: "Picture", actions: [...VIEWER_ACTIONS, ...PAN_ACTIONS] },
  { title: "Page", actions: PAGE_ACTIONS },
];

/** @type {Map<string, string>} */
export const ACTION_OF_KEY = new Map(
  GROUPS.flatMap(({ actions }) =>
    actions.flatMap(({ name, keys }) => keys.map((key) => /** @type {[string, string]} */ ([key, name]))),
  ),
);

const NAMES = new Map([
  ["ArrowUp", "↑"],
  ["ArrowDown", "↓"],
  ["ArrowLeft", "←"],
  ["ArrowRight", "→"],
]);

/** @param {string} key as KeyboardEvent.key has it */
export function keyName(key) {
  return key
    .split(/(?<=Shift)\+/)
    .map((part) => NAMES.get(part) ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(" + ");
}
