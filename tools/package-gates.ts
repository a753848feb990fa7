/** Gates over what is published: the packages as npm packs them, the bundled command line, and the part of core that a browser can have. */

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { findTool, makeTempDir, run } from "@signet/testkit";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build as bundle } from "rolldown";
import { buildLibraries, bundleCommandLine, libraries } from "./build.ts";
import type { GateReport } from "./gate.ts";
import { reportOf, runTool } from "./source-gates.ts";

/** Builds and packs the libraries; publint and attw judge each tarball, and a program outside the workspace imports it. */
export async function checkPackages(root: string): Promise<GateReport> {
  await buildLibraries(root);
  using dir = makeTempDir("signet-pack-");
  const problems: string[] = [];
  let count = 0;
  for (const name of libraries) {
    const folder = join(root, "packages", name);
    const packed = pack(folder, dir.path);
    count += packed.files.length;
    const unwanted = packed.files.filter((file) => /^src\/|\.test\.|\.tsbuildinfo$/.test(file));
    problems.push(...unwanted.map((file) => `packages/${name}: ${file} would be published`));
    const tarball = readFileSync(packed.tarball);
    const pkg = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
    const { messages } = await publint({
      strict: true,
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
    });
    problems.push(...messages.map((message) => `packages/${name}: publint: ${formatMessage(message, pkg)}`));
    const types = await runTool(root, "attw", [packed.tarball, "--profile", "esm-only", "--no-emoji", "--no-color"]);
    problems.push(...reportOf(types, "", 0).problems.map((line) => `packages/${name}: attw: ${line}`));
    unpack(packed.tarball, join(dir.path, "node_modules/@signet", name));
  }
  problems.push(...(await importPackages(root, dir.path)));
  return { count, what: `packed files of ${libraries.join(" and ")}`, problems };
}

/** Bundles the command line and starts it as it is published: its bin and dist, without sources or other packages. */
export async function checkCommandLine(root: string): Promise<GateReport> {
  const files = await bundleCommandLine(root);
  using dir = makeTempDir("signet-cli-");
  for (const part of ["bin", "dist", "package.json"])
    cpSync(join(root, "packages/cli", part), join(dir.path, part), { recursive: true });
  const result = await run(process.execPath, [join(dir.path, "bin/signet.js"), "--help"]);
  const problems = result.status === 0 && result.stdout.includes("verify") ? [] : [`signet --help: ${result.stderr}`];
  return { count: files.length, what: "bundled files", problems };
}

/** Bundles core's main entry for browsers, where anything of Node that it reaches is an error. */
export async function checkBrowserBundle(root: string): Promise<GateReport> {
  return await bundleForBrowser(join(root, "packages/core/src/index.ts"));
}

/** @param entry a module's path; everything it reaches is bundled */
export async function bundleForBrowser(entry: string): Promise<GateReport> {
  const modules = new Set<string>();
  const problems: string[] = [];
  await bundle({
    input: entry,
    platform: "browser",
    write: false,
    logLevel: "silent",
    resolve: { conditionNames: ["@signet/source", "browser", "import"] },
    plugins: [
      {
        name: "no-platform",
        resolveId(target, importer) {
          if (!target.startsWith("node:")) return null;
          problems.push(`${importer ?? entry}: imports ${target}`);
          return { id: target, external: true };
        },
        transform(_code, id) {
          modules.add(id);
          return null;
        },
      },
    ],
  });
  return { count: modules.size, what: "modules", problems };
}

function pack(folder: string, destination: string): { readonly tarball: string; readonly files: readonly string[] } {
  const npm = findTool("npm");
  if (npm === undefined) throw new Error("npm is missing");
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", destination];
  const result = spawnSync(npm, args, { cwd: folder, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`npm pack in ${folder}: ${result.stderr}`);
  const answer: unknown = JSON.parse(result.stdout);
  // An array, or since npm 12 an object by package name.
  const [packed] = Object.values(answer as object) as { filename: string; files: { path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack in ${folder} packed nothing`);
  return { tarball: join(destination, packed.filename), files: packed.files.map((file) => file.path) };
}

function unpack(tarball: string, destination: string): void {
  mkdirSync(destination, { recursive: true });
  const result = spawnSync("tar", ["-xzf", tarball, "-C", destination, "--strip-components=1"], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`tar cannot read ${tarball}: ${result.stderr}`);
}

/** Imports every entry of the unpacked libraries, by a Node that knows nothing of the workspace's condition. */
async function importPackages(root: string, consumer: string): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const name of libraries) {
    const folder = join(consumer, "node_modules/@signet", name);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      readonly dependencies?: Readonly<Record<string, string>>;
      readonly exports: Readonly<Record<string, unknown>>;
    };
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (dependency.startsWith("@signet/")) continue;
      const link = join(consumer, "node_modules", dependency);
      mkdirSync(join(link, ".."), { recursive: true });
      if (!existsSync(link)) symlinkSync(join(root, "node_modules", dependency), link);
    }
    for (const entry of Object.keys(manifest.exports)) {
      const specifier = `@signet/${name}${entry.slice(1)}`;
      const program = `const m = await import(${JSON.stringify(specifier)}); if (Object.keys(m).length === 0) throw new Error("empty");`;
      const result = await run(process.execPath, ["--input-type=module", "-e", program], { cwd: consumer });
      if (result.status !== 0) problems.push(`${specifier}: ${result.stderr}`);
    }
  }
  return problems;
}
