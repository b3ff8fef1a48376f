/** The shapes that the server answers with, and those that the page keeps. Nothing runs here. */

/** @typedef {{type: string, title: string, status: number, code: string, detail: string, request_id: string}} Problem */
/** @typedef {{name: string, version: number | null, digest: string}} Model */
/** @typedef {{finding: string, probability: number, operating_point: number | null, flag: boolean | null}} Score */
/**
 * @typedef {object} Answer to POST /v1/predictions
 * @property {string} request_id
 * @property {string} event_id
 * @property {Model} model
 * @property {string} notice
 * @property {{media_type: string, width: number, height: number, view: string | null, age: number | null, sex: string | null}} film
 * @property {Score[]} findings
 * @property {{in_distribution: boolean, distance: number, threshold: number, false_refusal_rate: number}} guard
 * @property {{check: string, detail: string}[]} quality
 * @property {string | null} withheld why the scores are not to be read
 * @property {Record<string, number[][]>} heat_maps
 * @property {Record<string, string | null>} locations
 * @property {Record<string, number>} timings_ms
 */
/**
 * @typedef {object} FindingProfile
 * @property {{method: string, slope: number, intercept: number}} calibration
 * @property {{threshold: number, aim: string, sensitivity: number, specificity: number} | null} operating_point
 * @property {number | null} auroc
 * @property {[number, number] | null} auroc_ci95
 */
/**
 * @typedef {object} ModelCard the answer to GET /v1/model
 * @property {Model} model
 * @property {number} image_size
 * @property {Record<string, FindingProfile>} findings
 * @property {number | null} mean_auroc
 * @property {{label_version: string, created: string}} provenance
 * @property {import("./viewer/colours.js").Colour[]} colours
 * @property {number} faint
 * @property {number} opacity
 * @property {{max_bytes: number, max_pixels: number}} limits
 * @property {boolean} feedback
 * @property {string} notice
 */
/**
 * @typedef {object} Feedback what the reader says of one film
 * @property {Record<string, boolean>} present by finding, those judged only
 * @property {string} note
 * @property {"none" | "unsent" | "sending" | "sent" | "failed"} state
 * @property {boolean} kept the server has something of it, as it is or as it was
 * @property {string} error
 */
/**
 * @typedef {object} Item one file of the worklist
 * @property {number} id
 * @property {File} file
 * @property {"waiting" | "sending" | "scored" | "refused"} status
 * @property {Answer | null} answer
 * @property {string} reason why it was refused
 * @property {boolean} revealed the reader asked for its withheld scores
 * @property {Feedback} feedback
 */
/** @typedef {"starting" | "ready" | "gone" | "no-model" | "key" | "busy"} Connection */
/**
 * @typedef {object} State
 * @property {Connection} connection
 * @property {string} trouble what the server says of it
 * @property {ModelCard | null} model
 * @property {Item[]} items in the order of their arrival
 * @property {number[] | null} order in which films stay listed since the reader chose one, by their ids
 * @property {number | null} selected shown in the first pane
 * @property {number | null} compared shown in the second pane
 * @property {boolean} comparing there is a second pane
 * @property {"selected" | "compared"} active the pane that choices, findings and tools are about
 * @property {string | null} finding whose map is shown
 * @property {boolean} mapShown the reader wants maps
 * @property {string} anyway the film and the finding below its operating point whose map the reader asked for
 * @property {number} opacity
 */

export {};
