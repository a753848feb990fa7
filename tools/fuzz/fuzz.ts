/**
 * `npm run fuzz -- [--executions N] [--seed N] [TARGET …]`: mutates valid documents under coverage feedback and runs every parser on them. The same seed gives the
 * same run. Ends with status 1 at the first crash, hang or exhausted heap, and prints the input.
 */
import { parseArgs } from "node:util";
import { findTarget, targetNames } from "./targets.ts";
import { watchFuzz } from "./watcher.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    executions: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 1000)) },
  },
});
const chosen = positionals.length === 0 ? targetNames : positionals;
let findings = 0;
for (const name of chosen) {
  const started = performance.now();
  try {
    const executions = Math.ceil(Number(values.executions) / (findTarget(name).cost ?? 1));
    const report = await watchFuzz(name, executions, Number(values.seed));
    const seconds = (performance.now() - started) / 1000;
    console.log(
      `${name}: ${report.executions} executions in ${seconds.toFixed(1)} s, seed ${values.seed}, ${report.blocks} blocks, corpus ${report.corpus}, ${report.parsed} parsed`,
    );
  } catch (error) {
    findings++;
    console.error(`FINDING (seed ${values.seed}) ${error instanceof Error ? error.message : String(error)}`);
  }
}
console.log(`fuzz: ${chosen.length} targets, ${findings} findings`);
if (findings > 0 || chosen.length === 0) process.exitCode = 1;
