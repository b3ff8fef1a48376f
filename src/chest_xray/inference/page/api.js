/** The server's routes, and what its refusals mean for the page. */

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").ModelCard} ModelCard */
/** @typedef {import("./types.js").Connection} Connection */
/** @typedef {import("./types.js").Problem} Problem */

const KEY = "cxr-key";

/** The server answered with a problem. */
export class Refused extends Error {
  /**
   * @param {Problem} problem
   * @param {number} retryAfter seconds, 0 where the server names none
   */
  constructor(problem, retryAfter) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer. */
export class Unreachable extends Error {
  name = "Unreachable";
}

/** The key lives as long as the tab; it is not written anywhere else. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(KEY, value),
};

/** @returns {Promise<ModelCard>} */
export async function fetchModel() {
  return (await ask("/v1/model")).json();
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function predict(file, signal) {
  return (await sendFilm("/v1/predictions?explain=all", file, signal)).json();
}

/**
 * The pixels of a film.
 * @param {File} file
 * @returns {Promise<Response>}
 */
export function fetchFilm(file) {
  return sendFilm("/v1/films", file);
}

/** @param {{event_id: string, model_digest: string, findings: Record<string, boolean>, note: string}} feedback */
export async function sendFeedback(feedback) {
  await ask("/v1/feedback", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(feedback),
  });
}

/**
 * What an error says of the server as a whole; null where it is about the one request.
 * @param {unknown} error
 * @returns {Connection | null}
 */
export function blocks(error) {
  // By what they are, not by their class: modules that were loaded again have classes of their own.
  if (!(error instanceof Error)) return null;
  if (error.name === "Unreachable") return "gone";
  if (!("problem" in error)) return null;
  const { status, code } = /** @type {Refused} */ (error).problem;
  if (status === 401) return "key";
  if (code === "no_model") return "no-model";
  return [429, 502, 503, 504].includes(status) ? "busy" : null;
}

/** Whether the server answers at all. */
export async function isAlive() {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<Response>}
 */
export async function ask(path, request = {}) {
  const headers = new Headers(request.headers);
  const held = key.get();
  if (held !== null) headers.set("Authorization", `Bearer ${held}`);
  const response = await reach(path, { ...request, headers, cache: "no-store" });
  if (response.ok) return response;
  // A proxy may give a date instead of seconds: not a number, and as good as none.
  throw new Refused(await problemOf(response), Number(response.headers.get("Retry-After")) || 0);
}

/**
 * @param {string} path
 * @param {RequestInit} request
 */
async function reach(path, request) {
  try {
    return await fetch(path, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Unreachable("The server does not answer.", { cause: error });
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function problemOf(response) {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) return response.json();
  const { status, statusText } = response;
  const detail = `The answer is ${status} ${statusText} and not the service's own: a proxy may have given it.`;
  return { type: "about:blank", title: statusText, status, code: "foreign", detail, request_id: "" };
}

/**
 * @param {string} path
 * @param {File} file
 * @param {AbortSignal} [signal]
 */
async function sendFilm(path, file, signal) {
  try {
    return await ask(path, { ...filmBody(file), ...(signal ? { signal } : {}) });
  } catch (error) {
    // A browser says the same of a server that does not answer and of a file that is no longer there.
    if (!(error instanceof Unreachable) || (await isReadable(file))) throw error;
    throw new Error("The file can no longer be read: it was moved or changed since it was chosen. Add it again.", {
      cause: error,
    });
  }
}

/** @param {File} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/**
 * The server looks at the bytes, whatever type they come under; most DICOM files have no type that a browser knows.
 * @param {File} file
 * @returns {RequestInit}
 */
function filmBody(file) {
  const known = file.type === "image/png" || file.type === "image/jpeg";
  return { method: "POST", headers: { "Content-Type": known ? file.type : "application/dicom" }, body: file };
}
