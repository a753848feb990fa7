/** A mark of the database (see `Database.mark`) that all requests of one turn of the event loop share. */

/** Reads the mark at most once a turn, unless told otherwise. */
export class TurnMark {
  readonly #read: () => number;
  #mark: number | undefined;

  /** @param read the mark as it is at this moment */
  constructor(read: () => number) {
    this.#read = read;
  }

  /**
   * The mark as it was at a moment of this turn. Requests that a turn finds when it polls its sockets were sent before that moment, so that an answer by this mark shows
   * all that was committed before them; for the two kinds that may be younger see {@link renew}.
   */
  get(): number {
    return this.#mark ?? this.renew();
  }

  /**
   * The mark as it is at this moment, also for the rest of the turn. For a request that may have been sent after the turn began: behind another one on its connection, or
   * where a turn polls several times.
   */
  renew(): number {
    // Runs before the loop polls again.
    if (this.#mark === undefined) setImmediate(() => this.forget());
    this.#mark = this.#read();
    return this.#mark;
  }

  /** The next to ask gets the mark of its own moment: after a commit of this process. */
  forget(): void {
    this.#mark = undefined;
  }
}
