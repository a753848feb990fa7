/** What the tests of trust edits share: a file tree to edit, the changes, and the same edits in a process of its own. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { JsonValue } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import { fileTreeHost } from "./host-environment.ts";
import type { TrustChange, TrustFiles } from "./trust-edit.ts";

export const reject: readonly JsonValue[] = [{ type: "reject" }];
export const accept: readonly JsonValue[] = [{ type: "insecureAcceptAnything" }];
export const signed: readonly JsonValue[] = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/pki/k.gpg" }];
export const setScope = (
  scope: string,
  requirements: readonly JsonValue[] = signed,
  lookaside?: string,
): TrustChange => ({
  kind: "set",
  transport: "docker",
  scope,
  requirements,
  ...(lookaside === undefined ? {} : { store: { lookaside } }),
});
export const remove = (scope: string, withStore = true): TrustChange => ({
  kind: "remove",
  transport: "docker",
  scope,
  withStore,
});
export const rejectAll: TrustChange = { kind: "default", requirements: reject };

/** A file tree of its own, edited as a node's would be. */
export interface Tree {
  readonly dir: TempDir;
  readonly files: TrustFiles;
  write(path: string, text: string): void;
  read(path: string): string;
  /** Names in a folder, sorted. */
  list(path: string): string[];
}

export function makeTree(t: TestContext): Tree {
  const dir = makeTempDir("signet-trust-");
  t.after(() => dir.dispose());
  mkdirSync(dir.join("etc/containers/registries.d"), { recursive: true });
  return {
    dir,
    files: { host: fileTreeHost(dir.path) },
    write(path, text) {
      mkdirSync(dirname(dir.join(path)), { recursive: true });
      writeFileSync(dir.join(path), text);
    },
    read: (path) => readFileSync(dir.join(path), "utf8"),
    list: (path) => readdirSync(dir.join(path)).sort(),
  };
}

export const policyPath = "etc/containers/policy.json";
export const storeFolder = "etc/containers/registries.d";
export const policyText = '{\n    "default": [\n        {\n            "type": "reject"\n        }\n    ]\n}\n';

/** Compiled code is kept from one process to the next, or each would compile everything anew. */
export const compileCache: string = join(import.meta.dirname, "../../../../.cache/trust-edit-test");

/** A module of this folder, as a literal in a script. */
export const moduleUrl = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Arguments for Node to run `body` with `files` (a tree) and `changes`. */
export function script(body: string): string[] {
  const head = `
    import { makeTrustEdit } from ${moduleUrl("./trust-edit.ts")};
    import { fileTreeHost } from ${moduleUrl("./host-environment.ts")};
    const [root, json] = process.argv.slice(1);
    const files = { host: fileTreeHost(root) };
    const changes = JSON.parse(json);`;
  return ["--conditions=@signet/source", "--input-type=module", "--eval", `${head}${body}`];
}
