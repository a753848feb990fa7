import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory that is removed, with all in it, when disposed: `using dir = makeTempDir()` or `t.after(() => dir.dispose())`. */
export interface TempDir extends Disposable {
  readonly path: string;
  /** The absolute path of `parts` inside the directory. */
  join(...parts: readonly string[]): string;
  dispose(): void;
}

/** Makes an empty directory, mode 0700, below the system's temporary directory. */
export function makeTempDir(prefix = "signet-"): TempDir {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const dispose = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  return { path, join: (...parts) => join(path, ...parts), dispose, [Symbol.dispose]: dispose };
}
