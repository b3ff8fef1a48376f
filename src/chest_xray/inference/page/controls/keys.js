/** The keyboard. Letters can be switched off, for readers whose software types for them (WCAG 2.1.4). */

import { ACTION_OF_KEY } from "./actions.js";

const SETTING = "cxr-letters";

export const letters = {
  areOn: () => localStorage.getItem(SETTING) !== "off",
  /** @param {boolean} on */
  set: (on) => localStorage.setItem(SETTING, on ? "on" : "off"),
};

/**
 * @param {(action: string) => void} act
 * @param {() => boolean} isEmpty an empty page needs no keys but those for help and theme; arrows scroll it
 */
export function listenToKeys(act, isEmpty) {
  document.addEventListener("keydown", (event) => {
    const action = ACTION_OF_KEY.get(pressed(event));
    if (action === undefined || isElsewhere(event) || (isEmpty() && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    act(action);
  });
}

/** @param {KeyboardEvent} event */
function pressed({ key, shiftKey }) {
  return shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key.length === 1 ? key.toLowerCase() : key;
}

/**
 * Whether the key belongs to something else: a field, a dialog, the browser.
 * @param {KeyboardEvent} event
 */
function isElsewhere({ key, ctrlKey, metaKey, altKey, target, defaultPrevented }) {
  if (ctrlKey || metaKey || altKey || defaultPrevented) return true;
  if (key.length === 1 && key !== "?" && !letters.areOn()) return true;
  if (!(target instanceof Element)) return false;
  return target.closest("input:not([type=checkbox]), textarea, select, dialog") !== null;
}
