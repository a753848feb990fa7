/**
 * `npm run conformance -- [--storage sqlite-files|postgresql-s3]`: the official conformance suite of the OCI distribution specification, every switch on but the one that
 * docs/interop.md gives a reason for, against the registry's doors and then against `signet serve` with a password. Ends with status 1 when a case did not pass, or when the
 * suite's names are no longer those of our own cases. The last run's reports are in .cache/conformance.
 *
 * `npm run conformance -- --clients`: instead, cosign, notation, oras and regctl, built where they are missing (cosign: six minutes of processor time, 3 GB meanwhile, 100 MB
 * afterwards), against the registry with and without accounts. `npm test` has oras and regctl, too.
 */
import { parseArgs } from "node:util";
import { listConformanceCases } from "../../packages/server/src/registry/conformance-cases.testing.ts";
import { runClients } from "./clients.ts";
import { type SuiteReport, compareNames } from "./junit-report.ts";
import { findSuite, runSuite } from "./official-suite.ts";
import { type RegistryForSuite, serveDoorsForSuite, serveForSuite, storageNames } from "./served-registry.ts";

/**
 * The suite asks for tokens of one repository at a time, and such a token mounts nothing from another: the upload that the specification has in a mount's place begins, which the
 * suite calls skipped.
 */
const fallBacks: ReadonlySet<string> = new Set(
  ["sha256", "sha512"].flatMap((algorithm) => [
    `OCI Conformance Test/${algorithm} blobs/mount/blob-mount`,
    `OCI Conformance Test/${algorithm} blobs/mount anonymous/blob-mount-anonymous`,
  ]),
);

const { values } = parseArgs({
  options: { storage: { type: "string", default: "sqlite-files" }, clients: { type: "boolean", default: false } },
});
const storage = storageNames.find((name) => name === values.storage);
if (values.clients) {
  process.exitCode = runClients((line) => console.error(line));
} else if (storage === undefined) {
  console.error(`error: --storage is one of ${storageNames.join(", ")}`);
  process.exitCode = 64;
} else {
  try {
    const program = findSuite((line) => console.error(line));
    const doors = await judgeOn(program, "doors", await serveDoorsForSuite(), new Set());
    const served = await judgeOn(program, `serve-on-${storage}`, await serveForSuite(storage), fallBacks);
    const haveNames = haveOurNames(doors.report);
    process.exitCode = doors.isPassed && served.isPassed && haveNames ? 0 : 1;
  } catch (error) {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 2;
  }
}

interface Judged {
  readonly report: SuiteReport;
  /** Every case passed, but for those that may be skipped. */
  readonly isPassed: boolean;
}

async function judgeOn(
  program: string,
  name: string,
  started: RegistryForSuite & AsyncDisposable,
  mayBeSkipped: ReadonlySet<string>,
): Promise<Judged> {
  await using registry = started;
  const { output, report } = await runSuite(program, name, registry);
  const { tests, failures, errors, skipped, disabled } = report;
  const others = report.cases.filter((one) => one.status !== "passed");
  const surprises = others.filter((one) => one.status !== "skipped" || !mayBeSkipped.has(one.name));
  const isCounted = tests > 0 && failures + errors + disabled === 0 && skipped === others.length;
  const isPassed = isCounted && surprises.length === 0;
  // With failures, all that the suite has to say of them.
  console.log(isPassed ? output.slice(output.indexOf("OCI Conformance Result")).trimEnd() : output.trimEnd());
  for (const one of others) console.log(`${surprises.includes(one) ? "NOT PASSED" : "may be skipped"}: ${one.name}`);
  const counts = `${tests} results, ${failures} failed, ${errors} errors, ${skipped} skipped, ${disabled} disabled`;
  console.log(`conformance of ${name}: ${counts}\n`);
  return { report, isPassed };
}

function haveOurNames(report: SuiteReport): boolean {
  const ours = listConformanceCases().map(({ name }) => name);
  const theirs = report.cases.map(({ name }) => name);
  const { missing, surplus } = compareNames(ours, theirs);
  for (const name of missing) console.log(`our own cases lack: ${name}`);
  for (const name of surplus) console.log(`only our own cases have: ${name}`);
  return missing.length + surplus.length === 0;
}
