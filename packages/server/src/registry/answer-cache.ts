/** Answers that were made before and still hold. */
import { type ServedRepository, findServed } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import type { CompleteAnswer } from "./answer.ts";

/** Bytes of all bodies kept: tens of thousands of manifests. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Bytes of one body: a list of a thousand tags is smaller, and one large body must not displace all others. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Entries: each costs some hundred bytes besides its body. */
const MAX_ENTRIES = 50_000;
/** Paths whose state is kept. */
const MAX_PATHS = 10_000;

/**
 * Keeps answers under keys that name the state of a repository, so that they need never be withdrawn: after a change the key is another one, and what is not asked for
 * any more falls out.
 */
export class AnswerCache {
  readonly #answers = new Map<string, CompleteAnswer>();
  #bytes = 0;

  find(key: string): CompleteAnswer | undefined {
    const found = this.#answers.get(key);
    if (found === undefined) return undefined;
    // Asked for last, so that it goes last.
    this.#answers.delete(key);
    this.#answers.set(key, found);
    return found;
  }

  /** Keeps an answer, unless it is an error or large. */
  keep(key: string, made: CompleteAnswer): void {
    if (made.status !== 200 || made.body.length > MAX_BODY_BYTES || this.#answers.has(key)) return;
    this.#answers.set(key, made);
    this.#bytes += made.body.length;
    for (const [oldest, { body }] of this.#answers) {
      if (this.#bytes <= MAX_BYTES && this.#answers.size <= MAX_ENTRIES) break;
      this.#answers.delete(oldest);
      this.#bytes -= body.length;
    }
  }
}

/** Finds what is served under paths, asking the database again only when it may have changed. */
export class ServedPaths {
  readonly #database: Database;
  readonly #served = new Map<string, ServedRepository>();
  #mark: number | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(path: string): Promise<ServedRepository | undefined> {
    const mark = this.#database.mark();
    if (mark === undefined) return await findServed(this.#database.read, path);
    if (mark !== this.#mark || this.#served.size >= MAX_PATHS) {
      this.#served.clear();
      this.#mark = mark;
    }
    const known = this.#served.get(path);
    if (known !== undefined) return known;
    const served = await findServed(this.#database.read, path);
    // Read after the mark was: what was committed in between is in it, and the next request sees another mark.
    if (served !== undefined && this.#mark === mark) this.#served.set(path, served);
    return served;
  }
}

/** The beginning of every key about a repository: what is served under this path does not change as long as this is the same. */
export function stateKey(served: ServedRepository): string {
  return `${served.repositoryId}.${served.version}.${served.changeNumber} ${served.path}`;
}
