/**
 * `npm run differential -- [--cases N] [--seed N]`: random images, signatures and policies judged by Signet and by skopeo side by side. Ends with status 1 when
 * they disagree in a way that docs/interop.md does not name.
 */
import { parseArgs } from "node:util";
import { runDifferential, saveUnexplained } from "./run.ts";

const { values } = parseArgs({
  options: { cases: { type: "string", default: "2000" }, seed: { type: "string", default: "1" } },
});
const report = await runDifferential({
  cases: Number(values.cases),
  seed: Number(values.seed),
  onProgress: (done) => {
    if (done % 100 === 0) console.error(`${done} of ${values.cases}`);
  },
});
console.log(
  `differential: ${report.cases} cases, seed ${values.seed}: ${report.accepted} accepted, ${report.refused} refused by Signet`,
);
for (const [name, count] of report.explained) console.log(`  ${count} explained: ${name}`);
console.log(`  ${report.unexplained.length} unexplained`);
for (const text of report.unexplained.slice(0, 20)) console.log(`\n${text}`);
if (report.unexplained.length > 0) {
  saveUnexplained(report, ".cache/differential");
  process.exitCode = 1;
}
