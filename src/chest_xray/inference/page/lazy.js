/** Modules that an empty page has no use for. */

let failures = 0;

/**
 * A module by its file. A browser never asks again for one that did not arrive, nor for one that imports it: after a
 * failure they have another address, which the server takes for the same.
 * @param {string} file
 */
export async function load(file) {
  try {
    return await import(failures === 0 ? `./${file}` : `./~${failures}/${file}`);
  } catch (error) {
    failures++;
    throw error;
  }
}

/** Have modules at hand before the server may go; one that fails now is loaded when it is needed. @param {string[]} files */
export function prepare(...files) {
  for (const file of files) void load(file).catch(() => {});
}
