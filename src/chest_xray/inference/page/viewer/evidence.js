/** A finding's class activation map, enlarged as the server does it: bicubic (a = -0.5), negative shares left out. */

/** @typedef {{size: number, levels: Uint8Array}} Evidence size x size levels, 0 none and 255 full colour */

/** Side of the enlarged map. It is smooth: the renderers may enlarge it further linearly. */
export const SIZE = 256;

/**
 * @param {number[][]} rows the map, h rows of w shares of the logit
 * @param {number} scale the share that is drawn in full colour
 * @returns {Evidence}
 */
export function enlarge(rows, scale) {
  const height = rows.length;
  const width = rows[0]?.length ?? 0;
  const across = weights(width);
  const down = weights(height);
  const wide = rows.map((row) => Float32Array.from(across, (taps) => sum(taps, (i) => row[i] ?? 0)));
  const levels = new Uint8Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    const taps = /** @type {Tap[]} */ (down[y]);
    for (let x = 0; x < SIZE; x++) {
      const share = sum(taps, (i) => wide[i]?.[x] ?? 0);
      levels[y * SIZE + x] = Math.round(255 * Math.min(Math.max(share / scale, 0), 1));
    }
  }
  return { size: SIZE, levels };
}

/** @typedef {{index: number, weight: number}} Tap */

/**
 * Each enlarged pixel's cells and their weights; cells beyond the border do not count, and the others' weights make 1.
 * @param {number} count cells of the map in this direction
 * @returns {Tap[][]}
 */
function weights(count) {
  const scale = count / SIZE;
  return Array.from({ length: SIZE }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - 2 + 0.5));
    const end = Math.min(count, Math.floor(center + 2 + 0.5));
    const taps = Array.from({ length: end - first }, (_, k) => ({
      index: first + k,
      weight: cubic(first + k - center + 0.5),
    }));
    const total = taps.reduce((all, tap) => all + tap.weight, 0);
    return taps.map(({ index, weight }) => ({ index, weight: weight / total }));
  });
}

/**
 * Keys' cubic convolution kernel (1981) with a = -0.5.
 * @param {number} distance in cells
 */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

/**
 * @param {Tap[]} taps
 * @param {(index: number) => number} at
 */
function sum(taps, at) {
  let total = 0;
  for (const { index, weight } of taps) total += weight * at(index);
  return total;
}
