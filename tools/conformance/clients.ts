/** The registry as clients of the field see it, those that take long to build included. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildTools } from "../install-tools.ts";
import { listConformanceTests } from "../test-files.ts";

const root = join(import.meta.dirname, "../..");

/** Where oras and regctl are tried, by `npm test` as well. */
const tests: readonly string[] = [
  "packages/server/src/registry/artifact-clients.test.ts",
  "packages/cli/src/server/registry-clients-page.test.ts",
];

/**
 * Builds oras, regctl, cosign and notation, each where it is missing, and runs their tests.
 * @returns the exit status: 0 passed, 1 failed, 2 something could not be built
 */
export function runClients(print: (line: string) => void): number {
  const missing = buildTools((name) => name !== "versitygw", print);
  if (missing.length > 0) {
    print(`error: not built: ${missing.join(", ")}`);
    return 2;
  }
  const args = [
    "--conditions=@signet/source",
    join(root, "tools/test.ts"),
    "--no-install",
    ...[...tests, ...listConformanceTests(root)].map((file) => join(root, file)),
  ];
  // Where a test was skipped, a client was not tried.
  const env = { ...process.env, CI: "true" };
  return spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;
}
