/** The page's one state. Views are told of a change once a frame, however many there were. */

/** @typedef {import("./types.js").State} State */

export class Store {
  /** @type {Set<(state: State) => void>} */
  #views = new Set();
  #frame = 0;

  /** @param {State} state */
  constructor(state) {
    this.state = state;
  }

  /** @param {(state: State) => void} change */
  update(change) {
    change(this.state);
    if (this.#frame !== 0) return;
    // A hidden page gets no frames: what comes in meanwhile must not wait for the reader to look.
    this.#frame = document.hidden ? setTimeout(() => this.#tell()) : requestAnimationFrame(() => this.#tell());
  }

  /** @param {(state: State) => void} view called now and after each change */
  subscribe(view) {
    this.#views.add(view);
    view(this.state);
  }

  #tell() {
    this.#frame = 0;
    for (const view of this.#views) view(this.state);
  }
}

/** @returns {State} */
export function emptyState() {
  return {
    connection: "starting",
    trouble: "",
    model: null,
    items: [],
    order: null,
    selected: null,
    compared: null,
    comparing: false,
    active: "selected",
    finding: null,
    mapShown: true,
    anyway: "",
    opacity: 0.6,
  };
}

/**
 * @param {State} state
 * @param {number | null} id
 */
export function itemOf(state, id) {
  return id === null ? null : (state.items.find((item) => item.id === id) ?? null);
}

/**
 * The film that findings, feedback and report are about.
 * @param {State} state
 */
export function activeItem(state) {
  return itemOf(state, state[state.active]);
}
