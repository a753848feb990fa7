import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, makeTempDir } from "@signet/testkit";
import { commandNames, loadCommands } from "../command-index.ts";
import { runSignet } from "../signet-process.ts";
import { version } from "../version.ts";
import { everyCommandOptions } from "./common-options.ts";
import { shells } from "./completion.ts";
import { parseInvocation } from "./parse.ts";
import { referencePage, writeReferencePage } from "./reference-page.ts";

const root = join(import.meta.dirname, "../../../..");
const commands = await loadCommands();

/** The words of the part of a shell line that calls signet, without redirections. */
function wordsOf(line: string): readonly string[] {
  const part = line.split(/\||<\(|\)/).find((piece) => piece.trim().startsWith("signet "));
  assert.ok(part !== undefined, `no call of signet in: ${line}`);
  const words = [...part.trim().matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
  const redirection = words.findIndex((word) => word === ">" || word === "<");
  return words.slice(1, redirection < 0 ? undefined : redirection);
}

test("every command has an example, and every example parses", () => {
  for (const command of commands) {
    assert.ok(command.examples.length > 0, command.name);
    for (const { line } of command.examples) {
      const words = wordsOf(line);
      const own = words.slice(command.name.split(" ").length);
      assert.equal(words.slice(0, -own.length || undefined).join(" "), command.name, line);
      parseInvocation(command, [...command.options, ...everyCommandOptions], own);
    }
  }
});

test("no two options of a command have the same name or letter", () => {
  for (const command of commands) {
    const options = [...command.options, ...everyCommandOptions];
    const names = options.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
    assert.deepEqual(names, [...new Set(names)], command.name);
  }
});

test("summaries are one line without a full stop", () => {
  for (const command of commands) {
    const summaries = [command, ...command.options, ...command.arguments].map(({ summary }) => summary);
    for (const summary of summaries) assert.match(summary, /^[^\n]*[^.\s]$/, `${command.name}: ${summary}`);
  }
});

test("the page of the command line is what --help prints", () => {
  assert.equal(
    readFileSync(join(root, referencePage), "utf8"),
    writeReferencePage(commands),
    "write it anew: node --conditions=@signet/source packages/cli/src/command-line/reference-page.ts",
  );
});

test("the version is that of the package", async () => {
  const manifest = JSON.parse(readFileSync(join(root, "packages/cli/package.json"), "utf8")) as { version: string };
  assert.equal(version, manifest.version);
  assert.deepEqual(await runSignet(["--version"]), { status: 0, stdout: `signet ${version}\n`, stderr: "" });
});

test("help goes to standard output when it is asked for, and to standard error when it is not", async () => {
  const [asked, word, command, leading, nothing, group] = await Promise.all([
    runSignet(["--help"]),
    runSignet(["help", "verify"]),
    runSignet(["verify", "--help"]),
    runSignet(["--help", "verify"]),
    runSignet([]),
    runSignet(["keys"]),
  ]);
  for (const name of commandNames) assert.ok(asked.stdout.includes(`  ${name}`), name);
  assert.equal(asked.status, 0);
  assert.match(command.stdout, /^Usage: signet verify \[IMAGE…\] \[OPTIONS\]\n/);
  assert.deepEqual([word, leading], [command, command]);
  assert.deepEqual([nothing.status, nothing.stdout], [64, ""]);
  assert.equal(nothing.stderr, asked.stdout);
  assert.deepEqual([group.status, /keys generate/.test(group.stderr)], [64, true]);
});

test("a command that does not exist is a usage error that names the nearest", async () => {
  const [near, far, inGroup] = await Promise.all([
    runSignet(["verfy"]),
    runSignet(["frobnicate"]),
    runSignet(["keys", "shwo"]),
  ]);
  assert.deepEqual(near, {
    status: 64,
    stdout: "",
    stderr: "error: unknown command verfy\nhint: did you mean `signet verify`?\n",
  });
  assert.deepEqual(far, {
    status: 64,
    stdout: "",
    stderr: "error: unknown command frobnicate\nhint: see `signet --help`\n",
  });
  assert.equal(inGroup.stderr, "error: unknown command keys shwo\nhint: did you mean `signet keys show`?\n");
});

test("completion scripts are valid where their shell is installed", async (t) => {
  using folder = makeTempDir();
  for (const shell of shells) {
    const { status, stdout } = await runSignet(["completion", shell]);
    assert.equal(status, 0);
    const executable = findTool(shell);
    if (executable === undefined) {
      t.diagnostic(`${shell} is not installed; its script was not checked`);
      continue;
    }
    const script = folder.join(`signet.${shell}`);
    writeFileSync(script, stdout);
    const checked = spawnSync(executable, ["-n", script], { encoding: "utf8" });
    assert.deepEqual([checked.status, checked.stderr], [0, ""], shell);
  }
});

test("bash completes commands, words of groups, options and their values", async (t) => {
  const bash = findTool("bash");
  if (bash === undefined) return t.skip("bash is not installed");
  const { stdout: script } = await runSignet(["completion", "bash"]);
  const complete = (...words: readonly string[]): readonly string[] => {
    const quoted = ["signet", ...words].map((word) => `'${word}'`).join(" ");
    const program = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _signet; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync(bash, ["-c", program], { encoding: "utf8" }).stdout.trim().split("\n");
  };
  assert.deepEqual(complete("standalone-"), ["standalone-sign", "standalone-verify"]);
  assert.deepEqual(complete("keys", ""), ["list", "show", "generate", "export"]);
  assert.deepEqual(complete("verify", "--ident"), ["--identity"]);
  assert.deepEqual(complete("keys", "list", "--g"), ["--gpg"]);
  assert.deepEqual(complete("verify", "--output", ""), ["text", "json"]);
});
