/** Everything that a key or a button does, once: the toolbar, the keyboard and the help are made of this table. */

/**
 * @typedef {object} Action
 * @property {string} name of the action, and of its button
 * @property {string} label
 * @property {string[]} keys as KeyboardEvent.key has them
 */
/** @typedef {{title: string, actions: Action[]}} Group */

/** Those that are at hand all the time. @type {Action[]} */
export const VIEWER_ACTIONS = [
  { name: "fit", label: "Whole film", keys: ["f"] },
  { name: "one-to-one", label: "One film pixel, one screen pixel", keys: ["o"] },
  { name: "zoom-in", label: "Zoom in", keys: ["+", "="] },
  { name: "zoom-out", label: "Zoom out", keys: ["-"] },
  { name: "invert", label: "Invert", keys: ["i"] },
  { name: "rotate-left", label: "Rotate left", keys: ["l"] },
  { name: "rotate-right", label: "Rotate right", keys: ["r"] },
  { name: "reset", label: "Reset: as the file says", keys: ["x"] },
];

/** Those that the mouse does better: behind one button. @type {Action[]} */
export const MORE_ACTIONS = [
  { name: "window-wider", label: "Wider window, less contrast", keys: ["w"] },
  { name: "window-narrower", label: "Narrower window, more contrast", keys: ["s"] },
  { name: "level-up", label: "Brighter", keys: ["d"] },
  { name: "level-down", label: "Darker", keys: ["a"] },
  { name: "pan-left", label: "Pan left", keys: ["Shift+ArrowLeft"] },
  { name: "pan-right", label: "Pan right", keys: ["Shift+ArrowRight"] },
  { name: "pan-up", label: "Pan up", keys: ["Shift+ArrowUp"] },
  { name: "pan-down", label: "Pan down", keys: ["Shift+ArrowDown"] },
];

/** @type {Action} */
export const PRESET_ACTION = { name: "preset", label: "Next window preset", keys: ["p"] };
/** @type {Action} */
export const MAP_ACTION = { name: "map", label: "Heat map on or off", keys: ["m"] };
/** @type {Action} */
export const COMPARE_ACTION = { name: "compare", label: "Side by side with another film", keys: ["c"] };

/** @type {Action[]} */
const LIST_ACTIONS = [
  { name: "next-film", label: "Next film", keys: ["ArrowDown", "j"] },
  { name: "previous-film", label: "Previous film", keys: ["ArrowUp", "k"] },
  { name: "sort", label: "Sort again by score", keys: ["u"] },
  COMPARE_ACTION,
  { name: "other-pane", label: "The other film, side by side", keys: ["b"] },
];

/** @type {Action[]} */
const FINDING_ACTIONS = [
  { name: "next-finding", label: "Next finding", keys: ["ArrowRight", "."] },
  { name: "previous-finding", label: "Previous finding", keys: ["ArrowLeft", ","] },
  MAP_ACTION,
  { name: "agree", label: "Agree on the chosen finding", keys: ["y"] },
  { name: "disagree", label: "Disagree on the chosen finding", keys: ["n"] },
];

/** @type {Action[]} */
const PAGE_ACTIONS = [
  { name: "theme", label: "Dark or light", keys: ["t"] },
  { name: "help", label: "This help", keys: ["?"] },
];

/** The rows of findings that a digit chooses. @type {Action[]} */
const DIGITS = Array.from({ length: 9 }, (_, i) => ({
  name: `finding-${i + 1}`,
  label: `The finding in row ${i + 1}`,
  keys: [String(i + 1)],
}));

/** @type {Group[]} */
export const GROUPS = [
  { title: "Films", actions: LIST_ACTIONS },
  { title: "Findings", actions: FINDING_ACTIONS },
  { title: "Picture", actions: [...VIEWER_ACTIONS, PRESET_ACTION, ...MORE_ACTIONS] },
  { title: "Page", actions: PAGE_ACTIONS },
];

/** @type {Map<string, string>} */
export const ACTION_OF_KEY = new Map(
  [...GROUPS.flatMap(({ actions }) => actions), ...DIGITS].flatMap(({ name, keys }) =>
    keys.map((key) => /** @type {[string, string]} */ ([key, name])),
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
    .join(" ");
}

/**
 * The keys of an action as `aria-keyshortcuts` has them.
 * @param {string[]} keys
 */
export function shortcuts(keys) {
  return keys.map((key) => (key === "+" ? "Plus" : key.length === 1 ? key.toUpperCase() : key)).join(" ");
}
