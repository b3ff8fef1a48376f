/** The buttons above the film, and the menu of those that the mouse does better. */

import { byId, h } from "../dom.js";
import { PRESETS } from "../reading/presets.js";
import { COMPARE_ACTION, keyName, MAP_ACTION, MORE_ACTIONS, shortcuts, VIEWER_ACTIONS } from "./actions.js";
import { icon } from "./icons.js";

/** @typedef {import("./actions.js").Action} Action */

/**
 * @param {(action: string) => void} act
 * @param {(preset: string) => void} setPreset
 */
export function addToolbar(act, setPreset) {
  const more = /** @type {HTMLDetailsElement} */ (byId("more"));
  byId("tools").prepend(
    ...VIEWER_ACTIONS.map((action) => tool(action, act)),
    presetChoice(setPreset),
    tool(MAP_ACTION, act),
    tool(COMPARE_ACTION, act),
  );
  for (const name of ["map", "compare"]) byId(name).setAttribute("aria-pressed", "false");
  byId("more-tools").append(...MORE_ACTIONS.map((action) => wide(action, act)));
  more.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    more.open = false;
    more.querySelector("summary")?.focus();
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Node && !more.contains(target)) more.open = false;
  });
}

/**
 * @param {Action} action
 * @param {(action: string) => void} act
 */
function tool({ name, label, keys }, act) {
  return h(
    "button",
    {
      type: "button",
      id: name,
      class: "tool",
      title: `${label} (${keys.map(keyName).join(" or ")})`,
      "aria-label": label,
      "aria-keyshortcuts": shortcuts(keys),
      click: () => act(name),
    },
    name === "reset" ? "Reset" : icon(name),
  );
}

/**
 * @param {Action} action
 * @param {(action: string) => void} act
 */
function wide({ name, label, keys }, act) {
  return h(
    "button",
    { type: "button", id: name, "aria-keyshortcuts": shortcuts(keys), click: () => act(name) },
    label,
    " ",
    h("kbd", {}, keys.map(keyName).join(" ")),
  );
}

/** @param {(preset: string) => void} setPreset */
function presetChoice(setPreset) {
  const choice = h(
    "select",
    { id: "preset", "aria-label": "Window", title: "Window (P for the next one)", "aria-keyshortcuts": "P" },
    h("option", { value: "", hidden: true }, "Window of your own"),
    ...PRESETS.map(({ name, label }) => h("option", { value: name }, label)),
  );
  choice.addEventListener("change", () => setPreset(choice.value));
  choice.value = "file";
  return choice;
}
