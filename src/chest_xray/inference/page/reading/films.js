/** The pixels of the films that were looked at last, and of the one that is next. */

import { fetchFilm } from "../api.js";
import { loadFilm } from "../viewer/index.js";

/** @typedef {import("../viewer/index.js").Film} Film */
/** @typedef {import("../types.js").Item} Item */

const KEPT = 5;

export class Films {
  /** Oldest first. @type {Map<number, Promise<Film>>} */
  #held = new Map();

  /**
   * @param {Item} item
   * @returns {Promise<Film>}
   */
  load(item) {
    const film = this.#held.get(item.id) ?? fetchFilm(item.file).then(loadFilm);
    this.#held.delete(item.id);
    this.#held.set(item.id, film);
    film.catch(() => this.#held.delete(item.id));
    for (const id of [...this.#held.keys()].slice(0, -KEPT)) this.#held.delete(id);
    return film;
  }
}
