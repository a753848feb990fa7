/**
 * What comes back for one request, as undici hands it over piece by piece. It takes the place of undici's own `request`, which makes a stream, an async resource and
 * listeners for each answer: of a small one that is most of the work.
 */
import type { Dispatcher } from "undici";

/** Bytes held for a reader who is slower than the server; with more the connection is not read from. */
const MAX_HELD_BYTES: number = 64 * 1024;

/** An answer whose head has come. */
export interface WireAnswer {
  readonly status: number;
  /** By lower-case name; a list where a header came more than once. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /**
   * The next piece of the body, should it be here; `ended` behind the last one; undefined while more may come.
   * @throws what broke the body off, or the reason for which it was given up
   */
  take(): Uint8Array | "ended" | undefined;
  /** Resolves when `take` has something to say. For one reader. */
  wait(): Promise<void>;
  /** Wants nothing more: unless all has come, the connection is closed, and `take` throws `reason`. */
  giveUp(reason: Error): void;
}

/** Receives one answer. */
export class IncomingAnswer implements Dispatcher.DispatchHandler, WireAnswer {
  status = 0;
  headers: WireAnswer["headers"] = {};
  /** Resolves with this when the head is here. */
  readonly head: Promise<WireAnswer>;
  readonly #resolve: (answer: WireAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: (() => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  #failure: Error | undefined;
  #isWhole = false;
  #wake: (() => void) | undefined;

  /** @param signal gives the answer up when it aborts */
  constructor(signal: AbortSignal | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
    this.head = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    if (signal === undefined) return;
    this.#abort = () => this.giveUp(signal.reason as Error);
    if (signal.aborted) this.#abort();
    else signal.addEventListener("abort", this.#abort, { once: true });
  }

  take(): Uint8Array | "ended" | undefined {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#heldBytes -= piece.length;
      if (this.#heldBytes < MAX_HELD_BYTES) this.#controller?.resume();
      return piece;
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#isWhole ? "ended" : undefined;
  }

  wait(): Promise<void> {
    if (this.#pieces.length > 0 || this.#failure !== undefined || this.#isWhole) return Promise.resolve();
    return new Promise((resolve) => (this.#wake = resolve));
  }

  giveUp(reason: Error): void {
    if (this.#isWhole || this.#failure !== undefined) return;
    this.#fail(reason);
    this.#pieces = [];
    // Not there yet while the request waits for a connection; it is aborted as soon as it gets one.
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#failure === undefined) this.#controller = controller;
    else controller.abort(this.#failure);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: WireAnswer["headers"]): void {
    // What is said before the answer, such as 103, is not the answer.
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#pieces.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes >= MAX_HELD_BYTES) controller.pause();
    this.#wakeReader();
  }

  onResponseEnd(): void {
    this.#isWhole = true;
    this.#settle();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#failure === undefined) this.#fail(error);
  }

  #fail(error: Error): void {
    this.#failure = error;
    // Means nothing when the head is here already.
    this.#reject(error);
    this.#settle();
  }

  #settle(): void {
    if (this.#abort !== undefined) this.#signal?.removeEventListener("abort", this.#abort);
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
