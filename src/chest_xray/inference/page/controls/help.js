/** The overlay with all keys. */

import { byId, h } from "../dom.js";
import { GROUPS, keyName } from "./actions.js";
import { letters } from "./keys.js";

/** Keys of the findings that are nine, or whose meaning hangs on where the focus is. */
const FURTHER = [
  ["1 to 9", "The finding in that row"],
  ["↓ or ↑", "Next or previous finding, where the findings have the focus"],
];
const MOUSE = [
  ["Drag", "Window and level: right is wider, up is brighter"],
  ["Shift, middle or right drag", "Pan"],
  ["Wheel, pinch", "Zoom to the pointer"],
  ["Double click", "Whole film"],
];

export function openHelp() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help"));
  const list = byId("help-keys");
  if (list.childElementCount === 0) {
    list.append(
      ...GROUPS.map(({ title, actions }) =>
        section(title, [
          ...actions.map(({ keys, label }) => [keys.map(keyName).join(" or "), label]),
          ...(title === "Findings" ? FURTHER : []),
        ]),
      ),
    );
    list.append(section("Mouse and fingers", MOUSE));
    const box = /** @type {HTMLInputElement} */ (byId("letters"));
    box.checked = letters.areOn();
    box.addEventListener("change", () => letters.set(box.checked));
  }
  if (!dialog.open) dialog.showModal();
}

/**
 * @param {string} title
 * @param {string[][]} rows
 */
function section(title, rows) {
  const entries = rows.flatMap(([keys, meaning]) => [
    h("dt", {}, h("kbd", {}, keys ?? "")),
    h("dd", {}, meaning ?? ""),
  ]);
  return h("section", {}, h("h3", {}, title), h("dl", {}, ...entries));
}
