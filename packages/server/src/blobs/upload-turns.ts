import { busyUpload } from "./place-grammar.ts";

/** Lets one request of this process at a time work on an upload. */
export class UploadTurns {
  readonly #busy = new Set<string>();

  /** @throws StoreError `store-busy` when another request has its turn */
  async take<T>(upload: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(upload)) throw busyUpload(upload);
    this.#busy.add(upload);
    try {
      return await work();
    } finally {
      this.#busy.delete(upload);
    }
  }

  isBusy(upload: string): boolean {
    return this.#busy.has(upload);
  }
}
