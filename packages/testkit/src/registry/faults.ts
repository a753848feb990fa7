/** Scripted misbehaviour: what the registry does wrong, on which request, how often. */

/** Where a fault applies and what it does. Several effects may stand together; `hang`, `disconnect`, `status` and `redirect` replace the answer. */
export interface Fault {
  /** Default any method. */
  readonly method?: string;
  /** The exact path without its query, or a pattern for it. Default any. */
  readonly path?: string | RegExp;
  /** Which matching request is the first to suffer, counted from 1. Default 1. */
  readonly from?: number;
  /** How many matching requests suffer. Default 1; `Infinity` for all. */
  readonly times?: number;

  /** Milliseconds before anything is answered. */
  readonly delayMs?: number;
  /** Accepts the request and never answers. */
  readonly hang?: true;
  /** Closes the connection without an answer. */
  readonly disconnect?: true;
  /** Answers with this status; the request is not carried out. */
  readonly status?: number;
  /** Sends the client elsewhere with 307; the request is not carried out. */
  readonly redirect?: string;
  /** Set on the answer; an empty text removes the header. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body that goes with `status`, or that replaces the true one. */
  readonly body?: string | Uint8Array;
  /** Alters the true body. Digest headers stay as they were; Content-Length follows. */
  readonly alterBody?: (body: Uint8Array) => Uint8Array;
  /** Announces the whole length, sends this many bytes of the body and closes the connection. */
  readonly truncateAt?: number;
  /** Sends the body in pieces of `bytes`, waiting `everyMs` milliseconds after each. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number };
  /** After the body sends zeros without end, chunked, until the client goes away. */
  readonly endless?: true;
}

/** The faults in force and how often each was matched. */
export class FaultScript {
  readonly #entries: { readonly fault: Fault; matched: number }[] = [];

  add(...faults: readonly Fault[]): void {
    for (const fault of faults) this.#entries.push({ fault, matched: 0 });
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** The first fault that applies to this request. Every fault that matches counts it, applied or not. */
  next(method: string, path: string): Fault | undefined {
    let chosen: Fault | undefined;
    for (const entry of this.#entries) {
      if (!matches(entry.fault, method, path)) continue;
      entry.matched += 1;
      const from = entry.fault.from ?? 1;
      const until = from + (entry.fault.times ?? 1);
      if (chosen === undefined && entry.matched >= from && entry.matched < until) chosen = entry.fault;
    }
    return chosen;
  }
}

function matches(fault: Fault, method: string, path: string): boolean {
  if (fault.method !== undefined && fault.method !== method) return false;
  if (fault.path === undefined) return true;
  return typeof fault.path === "string" ? fault.path === path : fault.path.test(path);
}
