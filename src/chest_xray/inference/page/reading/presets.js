/**
 * Windows that readers come back to. Radiographs have no units as CT has: a preset is a part of the greys that the
 * file's own window shows, 0 black and 1 white, so that it means the same on every film.
 */

/** @typedef {import("../viewer/index.js").Film} Film */
/** @typedef {{width: number, level: number}} ShownWindow in the file's own values */
/** @typedef {{name: string, label: string, from: number, to: number}} Preset */

/** @type {Preset[]} */
export const PRESETS = [
  { name: "file", label: "As the file says", from: 0, to: 1 },
  { name: "lungs", label: "Lungs: dark greys", from: 0, to: 0.65 },
  { name: "mediastinum", label: "Mediastinum: light greys", from: 0.4, to: 1 },
  { name: "contrast", label: "Middle greys", from: 0.25, to: 0.75 },
];

/**
 * @param {Preset} preset
 * @param {Film} film
 * @returns {ShownWindow}
 */
export function presetWindow({ from, to }, { facts }) {
  // Where the file shows its greys the other way round, its dark end is the upper one.
  const [low, high] = facts.inverted ? [1 - to, 1 - from] : [from, to];
  const span = facts.window.high - facts.window.low;
  const middle = facts.window.low + ((low + high) / 2) * span;
  return { width: (high - low) * span * facts.slope, level: facts.low + middle * facts.slope };
}

/**
 * The preset that a window is; null for one that the reader made.
 * @param {ShownWindow} window
 * @param {Film} film
 */
export function presetOf(window, film) {
  const same = PRESETS.find((preset) => {
    const { width, level } = presetWindow(preset, film);
    return Math.abs(width - window.width) < width / 200 && Math.abs(level - window.level) < width / 200;
  });
  return same ?? null;
}
