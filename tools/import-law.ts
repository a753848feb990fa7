/** The import law of docs/architecture.md: imports point down only, core touches no platform, and what is imported is declared. */

import { posix } from "node:path";
import { listFiles, readText } from "./gate.ts";
import type { GateReport } from "./gate.ts";

/** Which workspace packages each one may import. Tests, and what only tests share (`*.testing.ts`), may import testkit as well. */
const packageLaw: Readonly<Record<string, readonly string[]>> = {
  core: [],
  images: ["core"],
  openshift: ["images", "core"],
  server: ["images", "core"],
  cli: ["server", "openshift", "images", "core"],
  testkit: ["images", "core"],
};

/** Layers of core, lowest first. A file may import its own folder and lower layers; `verify` and `sign` do not know each other. */
const coreLayers: readonly (readonly string[])[] = [
  ["errors.ts"],
  ["bytes"],
  ["reference"],
  ["formats"],
  ["keys"],
  ["policy"],
  ["verify", "sign"],
  ["node-engine.ts", "index.ts"],
];

/** Static imports and re-exports, imports for effect, and `import("…")` with a constant. */
const importForm =
  /^\s*(?:import|export)\b[^"'`;()]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
/** Not `export const option = {name: "from"}`. */
const reExportForm = /^export\s+(?:type\s+)?[{*][^;]*?\bfrom\s*["']/m;
/** What only some platforms have, and what makes a result depend on when it was asked for. */
const platformForm =
  /\b(?:Buffer|process|fetch|globalThis|setTimeout|require)\b\s*[.([]|\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b/;

/** Reads every TypeScript file of every package and says which ones break the law. */
export function checkImportLaw(root: string): GateReport {
  const files = listFiles(root, ["packages/*/src/**/*.ts", "packages/*/bin/**/*.{ts,js}"]);
  const rootDependencies = declared(root, "package.json");
  const problems = files.flatMap((file) => {
    const [, name = "", ...inside] = file.split("/");
    const isTest = /\.test(?:ing)?\.ts$/.test(file);
    const text = withoutComments(readText(root, file));
    const allowed = packageLaw[name];
    if (allowed === undefined) return [`${file}: package ${name} has no place in the law`];
    const isEntry = inside.join("/") === "src/index.ts";
    const found: string[] = [];
    if (!isEntry && reExportForm.test(text)) found.push("re-exports: only src/index.ts may");
    const isPure = name === "core" && !isTest && inside.join("/") !== "src/node-engine.ts";
    const platform = isPure ? platformForm.exec(text)?.[0] : undefined;
    if (platform !== undefined) found.push(`uses ${platform}: core has no platform`);
    const dependencies = declared(root, `packages/${name}/package.json`, isTest);
    for (const [, from, effect, dynamic] of text.matchAll(importForm)) {
      const target = from ?? effect ?? dynamic ?? "";
      if (target.startsWith(".")) {
        const problem = checkRelative(file, name, target, isTest);
        if (problem !== undefined) found.push(problem);
      } else if (target.startsWith("node:")) {
        if (isPure) found.push(`imports ${target}: core has no platform`);
      } else {
        const bare = target
          .split("/")
          .slice(0, target.startsWith("@") ? 2 : 1)
          .join("/");
        const workspace = bare.startsWith("@signet/") ? bare.slice("@signet/".length) : undefined;
        if (workspace !== undefined && !allowed.includes(workspace) && !(isTest && workspace === "testkit"))
          found.push(`imports ${bare}: ${name} may import ${allowed.join(", ") || "no other package"}`);
        else if (!dependencies.has(bare) && !(isTest && rootDependencies.has(bare)))
          found.push(`imports ${bare}, which package.json does not declare`);
      }
    }
    return found.map((problem) => `${file}: ${problem}`);
  });
  return { count: files.length, what: "files", problems };
}

function checkRelative(file: string, name: string, target: string, isTest: boolean): string | undefined {
  const path = posix.join(posix.dirname(file), target);
  if (!path.startsWith(`packages/${name}/`)) return `imports ${target}, outside its package`;
  if (!isTest && target.endsWith(".testing.ts")) return `imports ${target}, which is for tests`;
  if (name !== "core" || isTest) return undefined;
  const [from, to] = [coreFolder(file), coreFolder(path)];
  const [own, other] = [layerOf(from), layerOf(to)];
  if (own < 0 || other < 0) return `imports ${target}: ${own < 0 ? from : to} has no layer in the law`;
  return other < own || from === to ? undefined : `imports ${target}: ${from} may not know ${to}`;
}

function coreFolder(path: string): string {
  return path.split("/")[3] ?? "";
}

function layerOf(folder: string): number {
  return coreLayers.findIndex((layer) => layer.includes(folder));
}

function declared(root: string, path: string, withDevelopment = true): ReadonlySet<string> {
  const manifest = JSON.parse(readText(root, path)) as Readonly<Record<string, Readonly<Record<string, string>>>>;
  const development = withDevelopment ? manifest["devDependencies"] : {};
  return new Set(Object.keys({ ...manifest["dependencies"], ...development }));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}
