/** A user's machine with credential files and helpers, in a folder of its own. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { TestContext } from "node:test";
import { type CredentialSearch, findCredentials } from "@signet/images";
import { type TempDir, makeTempDir } from "./temp-dir.ts";

export interface CredentialsMachine {
  readonly dir: TempDir;
  readonly search: CredentialSearch;
  /** Writes a file below the machine's folder, text as it is and all else as JSON; returns its path. */
  write(path: string, content: unknown): string;
  /** Installs `docker-credential-NAME`, a shell script. */
  installHelper(name: string, script: string): void;
  /** What is found: `user:password in /PATH` or `token:… in …`, with paths as the machine sees them; undefined for nothing. */
  find(key: string, more?: Partial<CredentialSearch>): Promise<string | undefined>;
}

/** A user with a home (`home`) and a run-time folder (`run`), and nothing in them. */
export function makeCredentialsMachine(t: TestContext): CredentialsMachine {
  const dir = makeTempDir("signet-auth-");
  t.after(() => dir.dispose());
  const env = { XDG_RUNTIME_DIR: dir.join("run"), PATH: `${dir.join("bin")}:/usr/bin:/bin` };
  const search: CredentialSearch = { host: { env, uid: 1000, home: dir.join("home") }, platform: "linux" };
  const write = (path: string, content: unknown): string => {
    const full = dir.join(path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, typeof content === "string" ? content : JSON.stringify(content));
    return full;
  };
  return {
    dir,
    search,
    write,
    installHelper(name, script) {
      chmodSync(write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755);
    },
    async find(key, more = {}) {
      const found = await findCredentials(key, { ...search, ...more });
      if (found === undefined) return undefined;
      const { credentials } = found;
      const text =
        credentials.kind === "password"
          ? `${credentials.username}:${credentials.password}`
          : `token:${credentials.token}`;
      return `${text} in ${found.location.replace(dir.path, "")}`;
    },
  };
}

/** An entry of a credential file for `user:password`. */
export function authEntry(text: string): { readonly auth: string } {
  return { auth: Buffer.from(text).toString("base64") };
}
