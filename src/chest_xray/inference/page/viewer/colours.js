/** The colours of heat maps: the server's anchors, so that page and server draw alike. */

/** @typedef {[number, number, number]} Colour 0..255 */

/**
 * A function from a level 0..1 to its colour, linear between anchors at equal distances.
 * @param {Colour[]} anchors
 * @returns {(level: number) => Colour}
 */
export function colourScale(anchors) {
  const last = anchors.length - 1;
  return (level) => {
    const place = Math.min(Math.max(level, 0), 1) * last;
    const index = Math.min(Math.floor(place), last - 1);
    const [low, high] = [anchors[index], anchors[index + 1]];
    if (low === undefined || high === undefined) throw new Error("A colour scale needs two anchors at least.");
    const part = place - index;
    /** @param {0 | 1 | 2} channel */
    const mixed = (channel) => Math.round(low[channel] + (high[channel] - low[channel]) * part);
    return [mixed(0), mixed(1), mixed(2)];
  };
}

/**
 * The scale's 256 colours as RGBA bytes.
 * @param {Colour[]} anchors
 */
export function colourTable(anchors) {
  const scale = colourScale(anchors);
  const table = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i++) table.set([...scale(i / 255), 255], 4 * i);
  return table;
}

/**
 * Draw the scale into a canvas, from nothing at the left to full at the right, as it looks over black.
 * @param {HTMLCanvasElement} canvas
 * @param {Colour[]} anchors
 */
export function drawLegend(canvas, anchors) {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const scale = colourScale(anchors);
  const { width, height } = canvas;
  for (let x = 0; x < width; x++) {
    const [red, green, blue] = scale(x / (width - 1));
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(x, 0, 1, height);
  }
}
