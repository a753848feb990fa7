/** The official conformance suite: a program in Go, built once from its pinned module. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { builtToolsFolder, run } from "@signet/testkit";
import { type GoProgram, buildGoProgram } from "../go-program.ts";
import { type SuiteReport, parseJunitReport } from "./junit-report.ts";
import type { RegistryForSuite } from "./served-registry.ts";

const version = "v0.0.0-20260831232431-97274622c111";

const suite: GoProgram = {
  path: "github.com/opencontainers/distribution-spec/conformance",
  version,
  sum: "h1:ppZPU0CrEPzyJhVggYwUIZrqh0w2lIT0esw+9ABNPA4=",
  go: "1.24",
  command: "",
  folder: join(builtToolsFolder(), `oci-conformance-${version}`),
};

/** Milliseconds: five seconds on an idle machine. */
const TIMEOUT_MS = 600_000;

/** What is off unless asked for. Sparse images stay off: docs/interop.md says why. */
const switches: Readonly<Record<string, string>> = {
  OCI_API_BLOBS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_UPLOAD_CANCEL: "true",
  OCI_API_MANIFESTS_DIGEST_HEADER: "true",
  OCI_API_MANIFESTS_TAG_PARAM: "true",
};

/** The suite's program, built when this machine has none yet. @throws Error that says what it takes */
export function findSuite(print: (line: string) => void): string {
  const program = join(suite.folder, "conformance");
  if (existsSync(program)) return program;
  print(`conformance: building ${suite.path} ${version} for the first time`);
  try {
    buildGoProgram(suite);
  } catch (error) {
    throw new Error(`the official suite could not be built: ${(error as Error).message}`, { cause: error });
  }
  return program;
}

/**
 * Runs it, whatever comes of that.
 * @param name of the folder in .cache/conformance that its reports go to
 * @returns all that it printed, and its report
 * @throws Error when it ended without a report
 */
export async function runSuite(
  program: string,
  name: string,
  { host, account }: RegistryForSuite,
): Promise<{ readonly output: string; readonly report: SuiteReport }> {
  const results = join(import.meta.dirname, "../../.cache/conformance", name);
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const env = {
    ...switches,
    OCI_REGISTRY: host,
    OCI_TLS: "disabled",
    OCI_REPO1: "conf/repo1",
    OCI_REPO2: "conf/repo2",
    ...(account && { OCI_USERNAME: account.user, OCI_PASSWORD: account.password }),
    OCI_RESULTS_DIR: results,
  };
  // It looks in the current folder for a configuration.
  const { stdout, stderr, status } = await run(program, [], { cwd: results, env, timeoutMs: TIMEOUT_MS });
  const file = join(results, "junit.xml");
  if (!existsSync(file)) throw new Error(`the suite ended with status ${status} and no report: ${stderr}`);
  return { output: stdout, report: parseJunitReport(readFileSync(file, "utf8")) };
}
