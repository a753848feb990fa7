import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a gate looked at and what it found wrong. A gate that looked at nothing has failed. */
export interface GateReport {
  /** How many things were looked at. */
  readonly count: number;
  /** What they are: `files`, `links` … */
  readonly what: string;
  /** One line each, naming the place; empty when all is well. */
  readonly problems: readonly string[];
}

export interface Gate {
  readonly name: string;
  /** @param root the repository's root directory */
  run(root: string): Promise<GateReport> | GateReport;
}

/** True when the gate looked at something and found nothing wrong. */
export function hasPassed(report: GateReport): boolean {
  return report.count > 0 && report.problems.length === 0;
}

/** Files below `root` that match, sorted, with `/` between their parts; never in node_modules or dist. */
export function listFiles(root: string, patterns: readonly string[]): readonly string[] {
  const isOwn = (path: string): boolean => !/(^|\/)(node_modules|dist)(\/|$)/.test(path);
  const paths = globSync([...patterns], { cwd: root, exclude: (path) => !isOwn(path) });
  return paths
    .map((path) => path.replaceAll("\\", "/"))
    .filter(isOwn)
    .sort();
}

export function readText(root: string, path: string): string {
  return readFileSync(join(root, path), "utf8");
}
