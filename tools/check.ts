/** `npm run check`: every gate, each with what it looked at. Names given as arguments run those gates alone. */

import { join } from "node:path";
import { checkDocumentLinks } from "./document-links.ts";
import { checkErrorsDocument } from "./errors-doc.ts";
import { hasPassed } from "./gate.ts";
import type { Gate, GateReport } from "./gate.ts";
import { checkImportLaw } from "./import-law.ts";
import { checkLintsDocument } from "./lints-doc.ts";
import { checkLockFile } from "./lock-file.ts";
import { checkBrowserBundle, checkCommandLine, checkPackages } from "./package-gates.ts";
import { checkFormat, checkLint, checkPureTypes, checkTypes, checkUnused } from "./source-gates.ts";

const gates: readonly Gate[] = [
  { name: "format", run: checkFormat },
  { name: "lint", run: checkLint },
  { name: "types", run: checkTypes },
  { name: "pure-types", run: checkPureTypes },
  { name: "import-law", run: checkImportLaw },
  { name: "unused", run: checkUnused },
  { name: "lock-file", run: checkLockFile },
  { name: "error-codes", run: checkErrorsDocument },
  { name: "policy-lints", run: checkLintsDocument },
  { name: "links", run: checkDocumentLinks },
  { name: "browser-bundle", run: checkBrowserBundle },
  { name: "packages", run: checkPackages },
  { name: "command-line", run: checkCommandLine },
];

/** Runs one gate; one that breaks has failed. */
async function report(gate: Gate, root: string): Promise<GateReport> {
  try {
    return await gate.run(root);
  } catch (error) {
    return { count: 0, what: "things", problems: [error instanceof Error ? error.message : String(error)] };
  }
}

const root = join(import.meta.dirname, "..");
const names = process.argv.slice(2);
const unknown = names.filter((name) => !gates.some((gate) => gate.name === name));
if (unknown.length > 0) {
  console.error(`error: no gate ${unknown.join(", ")}\nhint: gates are ${gates.map((gate) => gate.name).join(", ")}`);
  process.exit(64);
}
let passed = 0;
let failed = 0;
for (const gate of gates.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const started = performance.now();
  const { count, what, problems } = await report(gate, root);
  const isPassed = hasPassed({ count, what, problems });
  if (isPassed) passed += 1;
  else failed += 1;
  const time = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${isPassed ? "ok  " : "FAIL"} ${gate.name}: ${count} ${what} (${time} s)`);
  if (count === 0) console.log("     looked at nothing");
  for (const problem of problems) console.log(`     ${problem}`);
}
console.log(`\n${passed} gates passed, ${failed} failed`);
if (failed > 0 || passed === 0) process.exitCode = 1;
