/** Two versions of a text as a unified diff, as `diff -u` and `git` print and `patch` reads it. */
import { structuredPatch } from "diff";
import type { Painted } from "./terminal.ts";

/** Unchanged lines shown around a change. */
const CONTEXT_LINES = 3;

/** @returns lines without line ends; none when the texts are equal */
export function unifiedDiff(before: string, after: string, beforeName: string, afterName: string): readonly string[] {
  if (before === after) return [];
  const { hunks } = structuredPatch(beforeName, afterName, before, after, "", "", { context: CONTEXT_LINES });
  const lines = [`--- ${beforeName}`, `+++ ${afterName}`];
  for (const { oldStart, oldLines, newStart, newLines, lines: changed } of hunks) {
    // Where a side is empty its line is the one before (POSIX, diff, "Diff Unified Output Format").
    const from = oldLines === 0 ? oldStart - 1 : oldStart;
    const to = newLines === 0 ? newStart - 1 : newStart;
    lines.push(`@@ -${Math.max(0, from)},${oldLines} +${Math.max(0, to)},${newLines} @@`, ...changed);
  }
  return lines;
}

/** One of its lines in the colours that people know. */
export function paintDiffLine(line: string): string | Painted {
  if (line.startsWith("--- ") || line.startsWith("+++ ")) return { colour: "bold", text: line };
  if (line.startsWith("@@")) return { colour: "dim", text: line };
  if (line.startsWith("+")) return { colour: "green", text: line };
  return line.startsWith("-") ? { colour: "red", text: line } : line;
}
