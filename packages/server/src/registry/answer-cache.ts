/** Answers that were made before and still hold. */
import { LRUCache } from "lru-cache";
import { type ServedRepository, findServed } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import type { CompleteAnswer } from "./answer.ts";

/** Bytes of all that is kept: tens of thousands of manifests. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Bytes of one body: a list of a thousand tags is smaller, and one large body must not displace all others. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Bytes that an entry costs besides its body: its key, headers and the objects around them. */
const ENTRY_BYTES = 1024;
/** Paths whose state is kept. */
const MAX_PATHS = 10_000;

interface KeptAnswer {
  readonly version: number;
  readonly changeNumber: number;
  readonly answer: CompleteAnswer;
}

/**
 * Keeps answers with the state of the repository that they are about, so that they need never be withdrawn: after a change they are found no more, and the next answer to the
 * same question takes the place. What is not asked for any more falls out.
 */
export class AnswerCache {
  readonly #kept = new LRUCache<string, KeptAnswer>({
    maxSize: MAX_BYTES,
    maxEntrySize: ENTRY_BYTES + MAX_BODY_BYTES,
    sizeCalculation: ({ answer }) => ENTRY_BYTES + answer.body.length,
  });

  /** What was answered to this question about this very state. */
  find(served: ServedRepository, what: string): CompleteAnswer | undefined {
    const kept = this.#kept.get(keyOf(served, what));
    const isSame = kept?.version === served.version && kept.changeNumber === served.changeNumber;
    return isSame ? kept.answer : undefined;
  }

  /** Keeps an answer, unless it is an error, large, or about an older state than the one that is kept. */
  keep(served: ServedRepository, what: string, answer: CompleteAnswer): void {
    if (answer.status !== 200) return;
    const key = keyOf(served, what);
    const { version, changeNumber } = served;
    if ((this.#kept.peek(key)?.changeNumber ?? changeNumber) > changeNumber) return;
    this.#kept.set(key, { version, changeNumber, answer });
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

  /** What a request begins with: committed before it was sent. */
  async find(path: string): Promise<ServedRepository | undefined> {
    return await this.#find(path, this.#database.turnMark());
  }

  /** What is served at this moment. */
  async findAnew(path: string): Promise<ServedRepository | undefined> {
    return await this.#find(path, this.#database.mark());
  }

  async #find(path: string, mark: number | undefined): Promise<ServedRepository | undefined> {
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

/** A path of a later repository of that name asks other questions. */
function keyOf(served: ServedRepository, what: string): string {
  return `${served.repositoryId} ${served.path} ${what}`;
}
