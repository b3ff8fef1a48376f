/** Numbers and names as the page writes them. */

/** @param {string} finding */
export function findingName(finding) {
  return finding.replaceAll("_", " ");
}

/**
 * A probability with as many digits as tell it from 0.
 * @param {number} value
 */
export function probability(value) {
  if (value >= 0.0995) return value.toFixed(2);
  return value >= 0.00095 ? value.toFixed(3) : "< 0.001";
}

/**
 * @param {number | null} value
 * @param {[number, number] | null} interval
 */
export function withInterval(value, interval) {
  if (value === null) return "not measured";
  const measured = value.toFixed(2);
  return interval === null ? measured : `${measured} (95% ${interval[0].toFixed(2)} to ${interval[1].toFixed(2)})`;
}

/** @param {{name: string, version: number | null}} model */
export function modelName({ name, version }) {
  return version === null ? name : `${name} version ${version}`;
}

/** @param {{view: string | null, age: number | null, sex: string | null, width: number, height: number}} film */
export function filmFacts({ view, age, sex, width, height }) {
  const known = [view, age === null ? null : `${age} years`, sex, `${width} x ${height}`];
  return known.filter((fact) => fact !== null).join(" · ");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
