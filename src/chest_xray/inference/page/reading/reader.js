/** What is on the page once there is a film: the stage, its findings, the reader's word on them, and their actions. */

import { MORE_ACTIONS, VIEWER_ACTIONS } from "../controls/actions.js";
import { activeItem } from "../store.js";
import { FeedbackForm } from "./feedback.js";
import { Findings, moveFinding, pickRow } from "./findings.js";
import { judge } from "./judging.js";
import { toggleMap } from "./maps.js";
import { Stage } from "./stage.js";

/** @typedef {import("../viewer/index.js").ViewerAction} ViewerAction */
/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../worklist/queue.js").Queue} Queue */

export class Reader {
  /**
   * @param {Store} store
   * @param {Queue} queue
   */
  constructor(store, queue) {
    this.store = store;
    this.stage = new Stage(store, queue);
    new Findings(store, queue);
    new FeedbackForm(store, queue);
  }

  /** @type {Record<string, () => void>} */
  #actions = {
    "other-pane": () => this.stage.other?.focus(),
    "next-finding": () => moveFinding(this.store, 1),
    "previous-finding": () => moveFinding(this.store, -1),
    map: () => this.#map(),
    agree: () => this.#agree(true),
    disagree: () => this.#agree(false),
    preset: () => this.stage.setPreset(),
    ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`finding-${i + 1}`, () => pickRow(this.store, i + 1)])),
    ...Object.fromEntries(
      [...VIEWER_ACTIONS, ...MORE_ACTIONS].map(({ name }) => [
        name,
        () => this.stage.act(/** @type {ViewerAction} */ (name)),
      ]),
    ),
  };

  /** @param {string} action */
  act(action) {
    this.#actions[action]?.();
  }

  /** A map is of a finding: without one, that of the first row is meant. */
  #map() {
    if (this.store.state.finding === null) pickRow(this.store, 1);
    else this.store.update((state) => toggleMap(state, activeItem(state)));
  }

  /** @param {boolean} agrees */
  #agree(agrees) {
    const { state } = this.store;
    const item = activeItem(state);
    const flag = item?.answer?.findings.find(({ finding }) => finding === state.finding)?.flag;
    if (item === null || state.finding === null || typeof flag !== "boolean" || !state.model?.feedback) return;
    judge(this.store, item, state.finding, agrees ? flag : !flag);
  }
}
