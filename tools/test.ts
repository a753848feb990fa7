/**
 * What `npm test` runs: every test of the repository but those of `npm run conformance`, or the files given as arguments. With CI=true a skipped test is a failure.
 * `--no-install` leaves the machine's packages alone.
 */

import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { installTools } from "./install-tools.ts";
import { listTests } from "./test-files.ts";
import { TestReport } from "./test-report.ts";
import type { TestEvent } from "./test-report.ts";

/** Milliseconds for one file; the slowest, the fuzzer's, takes two minutes. A test that hangs must not hang the run. */
const FILE_TIMEOUT_MS = 600_000;

/** Milliseconds between notices of what is still running. */
const NOTICE_MS = 60_000;

const root = join(import.meta.dirname, "..");

/** By far the slowest file: begun last, it would run alone for minutes. */
const SLOWEST: string = join(root, "tools/fuzz/fuzz.test.ts");

const print = (line: string): void => console.log(line);
const files = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

if (!process.argv.includes("--no-install")) installTools(print);
const chosen =
  files.length > 0
    ? files.map((file) => resolve(file))
    : listTests(root)
        .map((file) => join(root, file))
        .sort((a, b) => Number(b === SLOWEST) - Number(a === SLOWEST));
print(`tests: ${chosen.length} files`);
const report = new TestReport(root, print);
const notices = setInterval(() => print(`     still running: ${report.running.join(", ")}`), NOTICE_MS);
const waiting = [...chosen];

/** Runs files one by one, each in a process of its own, until none is left. */
async function work(): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const events = run({ files: [file], timeout: FILE_TIMEOUT_MS, cwd: root });
    for await (const event of events as AsyncIterable<TestEvent>) report.read(file, event);
    report.end(file);
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
clearInterval(notices);
report.printSummary();
const skippedInCi = process.env["CI"] === "true" && report.skipped > 0;
if (report.failed > 0 || report.passed === 0 || skippedInCi) process.exitCode = 1;
