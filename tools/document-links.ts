/** Links inside the repository's Markdown pages lead to files and headings that exist. */

import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { listFiles, readText } from "./gate.ts";
import type { GateReport } from "./gate.ts";

const linkForm = /\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;

export function checkDocumentLinks(root: string): GateReport {
  const pages = listFiles(root, [
    "*.md",
    "docs/**/*.md",
    "packages/*/*.md",
    "vectors/**/*.md",
    "benchmarks/**/*.md",
    "examples/**/*.md",
  ]);
  let count = 0;
  const problems: string[] = [];
  for (const page of pages) {
    for (const [, target = ""] of withoutCode(readText(root, page)).matchAll(linkForm)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue; // Another host; not looked up, so that the gate needs no network.
      count += 1;
      const [path = "", heading] = target.split("#");
      const file = path === "" ? page : posix.join(posix.dirname(page), decodeURIComponent(path));
      if (!existsSync(join(root, file))) problems.push(`${page}: ${target} does not exist`);
      else if (heading !== undefined && file.endsWith(".md") && !headingsOf(readText(root, file)).has(heading))
        problems.push(`${page}: ${file} has no heading #${heading}`);
    }
  }
  return { count, what: `links in ${pages.length} pages`, problems };
}

/** Headings as the hosting sites turn them into anchors. */
function headingsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutFences(text).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    let unique = anchor;
    for (let number = 1; anchors.has(unique); number += 1) unique = `${anchor}-${number}`;
    anchors.add(unique);
  }
  return anchors;
}

function withoutFences(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
}

function withoutCode(text: string): string {
  return withoutFences(text).replace(/`[^`\n]*`/g, "");
}
