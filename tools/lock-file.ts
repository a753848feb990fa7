/** package-lock.json is what `npm ci` takes: complete on every platform, equal to the manifests, exact, and without programs that run at installation. */

import { listFiles, readText } from "./gate.ts";
import type { GateReport } from "./gate.ts";

type Versions = Readonly<Record<string, string>>;

/** An entry of the lock file, and as far as we look a package.json as well. */
interface LockEntry {
  readonly dependencies?: Versions;
  readonly devDependencies?: Versions;
  readonly optionalDependencies?: Versions;
  readonly hasInstallScript?: boolean;
  readonly integrity?: string;
  readonly link?: boolean;
}

/** The Node that the repository brings along; its package fetches the right build when it is installed. */
const mayRunAtInstallation: ReadonlySet<string> = new Set(["node_modules/node"]);

export function checkLockFile(root: string): GateReport {
  const { packages } = JSON.parse(readText(root, "package-lock.json")) as {
    readonly packages: Readonly<Record<string, LockEntry>>;
  };
  const problems = Object.entries(packages).flatMap(([path, entry]) => {
    const found: string[] = [];
    if (entry.hasInstallScript === true && !mayRunAtInstallation.has(path))
      found.push("runs a program when it is installed");
    if (path.includes("node_modules/") && entry.link !== true && entry.integrity === undefined)
      found.push("has no integrity");
    // npm leaves out builds for other platforms that the registry did not show it, and `npm ci` then refuses the file.
    for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }))
      if (!isLocked(packages, path, name)) found.push(`needs ${name}, which is not in the file`);
    return found.map((problem) => `package-lock.json: ${path || "the root"} ${problem}`);
  });
  for (const manifest of listFiles(root, ["package.json", "packages/*/package.json"]))
    problems.push(...checkManifest(root, manifest, packages));
  return { count: Object.keys(packages).length, what: "locked packages", problems };
}

/** Every version is exact, and the lock file has the same. */
function checkManifest(root: string, path: string, packages: Readonly<Record<string, LockEntry>>): readonly string[] {
  const manifest = JSON.parse(readText(root, path)) as LockEntry;
  const locked = packages[path.replace(/\/?package\.json$/, "")];
  return (["dependencies", "devDependencies"] as const).flatMap((kind) => {
    const versions = Object.entries(manifest[kind] ?? {});
    const inexact = versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
    const other = Object.keys({ ...locked?.[kind], ...manifest[kind] }).filter(
      (name) => locked?.[kind]?.[name] !== manifest[kind]?.[name],
    );
    return [
      ...inexact.map(([name, version]) => `${path}: ${name} ${version} is not an exact version`),
      ...other.map((name) => `${path}: ${name} differs from package-lock.json`),
    ];
  });
}

/** Looks where Node would: in the package's own node_modules, then in those above it. */
function isLocked(packages: Readonly<Record<string, LockEntry>>, from: string, name: string): boolean {
  for (let folder = from; ; folder = folder.replace(/(^|\/)[^/]+$/, "")) {
    if (Object.hasOwn(packages, `${folder}${folder === "" ? "" : "/"}node_modules/${name}`)) return true;
    if (folder === "") return false;
  }
}
