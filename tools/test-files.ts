/** Which files hold tests, and which run has them. */
import { listFiles } from "./gate.ts";

const folders: readonly string[] = ["packages", "tools", "examples", "benchmarks"];
const CONFORMANCE = ".conformance.test.ts";

/** What `npm test` runs, from the repository's root, sorted. */
export function listTests(root: string): readonly string[] {
  return listAll(root).filter((file) => !file.endsWith(CONFORMANCE));
}

/** What only `npm run conformance -- --clients` runs: tests whose tools take minutes to build. */
export function listConformanceTests(root: string): readonly string[] {
  return listAll(root).filter((file) => file.endsWith(CONFORMANCE));
}

function listAll(root: string): readonly string[] {
  return listFiles(
    root,
    folders.map((folder) => `${folder}/**/*.test.ts`),
  );
}
