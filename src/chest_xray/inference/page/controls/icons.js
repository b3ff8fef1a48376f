/** Line drawings for the toolbar: the characters for these are missing from many systems' fonts. */

const SVG = "http://www.w3.org/2000/svg";
const GLASS = "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14M4.8 7h4.4";

/** Lines on a square of 16. @type {Record<string, string>} */
const LINES = {
  fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  "one-to-one": "M2 5l1.5-1.3V12M12 5l1.5-1.3V12M8 6v.3M8 10v.3",
  "zoom-in": `${GLASS}M7 4.8v4.4`,
  "zoom-out": GLASS,
  "rotate-left": "M3 2.5v4h4M3.3 6.2A5.4 5.4 0 1 1 2.8 10",
  "rotate-right": "M13 2.5v4H9M12.7 6.2A5.4 5.4 0 1 0 13.2 10",
  invert: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2",
  map: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6",
  compare: "M1.5 3h13v10h-13zM8 3v10",
};
/** Filled parts. @type {Record<string, string>} */
const FILLED = { invert: "M8 2.2a5.8 5.8 0 0 0 0 11.6z", map: "M8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2" };

/** @param {string} name of the action */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  for (const [kind, shapes] of /** @type {const} */ ([
    ["line", LINES],
    ["filled", FILLED],
  ])) {
    const shape = shapes[name];
    if (shape === undefined) continue;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    path.setAttribute("class", kind);
    drawing.append(path);
  }
  return drawing;
}
