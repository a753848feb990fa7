import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { lints } from "@signet/core";
import { makeContainersHome, makeTempDir, requireTool, type TempDir } from "@signet/testkit";
import { everyCommandOptions } from "../command-line/common-options.ts";
import { parseInvocation } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { exitStatusOf } from "../terminal/failure.ts";
import { command } from "./policy-check.ts";
import { type SignetRun, runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const keys = join(vectors, "openpgp/oracle-keys");

const accept = { type: "insecureAcceptAnything" };
const reject = { type: "reject" };
const storage = { "containers-storage": { "": [accept] } };
const signedBy = (keyPath: string, more: object = {}): object => ({
  type: "signedBy",
  keyType: "GPGKeys",
  keyPath,
  ...more,
});

/** A policy with one docker scope that only the finding in question is about. */
function policyOf(scope: string, ...requirements: readonly object[]): string {
  return JSON.stringify(
    { default: [reject], transports: { ...storage, docker: { [scope]: requirements } } },
    undefined,
    4,
  );
}

function check(dir: TempDir, args: readonly string[], input?: string): Promise<SignetRun> {
  return runSignet(["policy", "check", ...args], {
    cwd: dir.path,
    env: { HOME: dir.path },
    ...(input === undefined ? {} : { input }),
  });
}

interface JsonFinding {
  readonly lint: string;
  readonly severity: string;
  readonly line: number;
  readonly column: number;
  readonly path?: string;
  readonly fixable: boolean;
}

async function findingsOf(dir: TempDir, args: readonly string[]): Promise<readonly JsonFinding[]> {
  const run = await check(dir, ["-o", "json", ...args]);
  return (JSON.parse(run.stdout) as { findings: readonly JsonFinding[] }).findings;
}

interface VerdictCase {
  readonly name: string;
  readonly policy: string;
  readonly parses: boolean;
  readonly parsesWithAtomicTransportCompiledIn?: boolean;
}

/** Of the documents of the oracle, one in so many is also given to a real process: each costs a good part of a second. */
const PROCESS_EVERY = 12;

/** What the command says in this process, its output thrown away. */
async function checkHere(file: string): Promise<number> {
  const nothing = (): void => {};
  const terminal = { line: nothing, json: nothing, bytes: nothing, warn: nothing, note: nothing };
  const options = [...command.options, ...everyCommandOptions];
  try {
    const invocation = parseInvocation(command, options, [file]);
    return await command.run(invocation, { terminal, now: () => Date.now() } as unknown as Runtime);
  } catch (error) {
    return exitStatusOf(error);
  }
}

describe("does it parse", () => {
  test("every document that skopeo refuses ends with 2, and every one that it reads does not", async () => {
    using dir = makeTempDir();
    const { cases } = JSON.parse(readFileSync(join(vectors, "policy/policy-verdicts.json"), "utf8")) as {
      cases: readonly VerdictCase[];
    };
    assert.ok(cases.length > 80);
    for (const [index, { name, policy, parses, parsesWithAtomicTransportCompiledIn = parses }] of cases.entries()) {
      const file = dir.join(`${index}.json`);
      writeFileSync(file, policy);
      const status = await checkHere(file);
      assert.equal(status !== 2, parsesWithAtomicTransportCompiledIn, `${name}: ${status}`);
      if (index % PROCESS_EVERY !== 0) continue;
      const run = await check(dir, [file]);
      assert.equal(run.status, status, name);
      if (status !== 2) continue;
      assert.match(run.stderr, /^error: invalid policy in "[^"]+": line \d+, column \d+/, name);
      assert.equal(run.stdout, "");
    }
  });

  test("policies from the field are read, and the one that no tool reads is refused", async () => {
    using dir = makeTempDir();
    const field = readdirSync(join(vectors, "policy/documents")).map((name) => join(vectors, "policy/documents", name));
    assert.ok(field.length >= 7);
    for (const file of field) assert.notEqual((await check(dir, [file])).status, 2, file);
    const refused = await check(dir, [join(vectors, "policy/refused/atomic-show.json")]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /line 39, column 26, transports\.dir\.localhost: .*absolute path/);
  });

  test("machine formats say where it does not, on standard output as well", async () => {
    using dir = makeTempDir();
    writeFileSync(dir.join("bad.json"), '{\n  "defalt": []\n}\n');
    const json = await check(dir, ["-o", "json", "bad.json"]);
    assert.equal(json.status, 2);
    assert.match(json.stderr, /hint: did you mean "default"/);
    const { error, ...rest } = JSON.parse(json.stdout) as { error: Record<string, unknown> };
    assert.deepEqual(rest, { file: "bad.json", parsed: false });
    assert.deepEqual([error["code"], error["line"], error["column"]], ["policy-malformed", 2, 3]);
    const sarif = await check(dir, ["-o", "sarif", "bad.json"]);
    assert.equal(sarif.status, 2);
    const [result] = runOf(sarif).results;
    assert.equal(result?.ruleId, "policy-malformed");
    const { physicalLocation } = result.locations[0]!;
    assert.deepEqual(physicalLocation.region, { startLine: 2, startColumn: 3 });
    assert.equal(physicalLocation.artifactLocation.uri, "bad.json");
  });

  test("what cannot be read ends with 2, and what cannot be meant with 64", async () => {
    using dir = makeTempDir();
    writeFileSync(dir.join("policy.json"), policyOf("registry.example.com", reject));
    for (const args of [["missing.json"], ["."], ["--root", dir.path]]) {
      assert.equal((await check(dir, args)).status, 2, args.join(" "));
    }
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [["--severity", "key-mising=off", "policy.json"], /did you mean key-missing\?/],
      [["--severity", "key-missing=fatal", "policy.json"], /levels are error, warning, info, off/],
      [["--severity", "key-missing", "policy.json"], /NAME=LEVEL/],
      [["--disable", "x", "policy.json"], /there is no lint "x"/],
      [["--disable", "key-missing", "--severity", "key-missing=info", "policy.json"], /at the same time/],
      [["--dry-run", "policy.json"], /--dry-run goes with --fix/],
      [["--fix", "-"], /needs a file/],
      [["--fix", "--dry-run", "-o", "sarif", "policy.json"], /leave --output out/],
      [["--list", "policy.json"], /checks no file/],
      [["--policy", "a.json", "b.json"], /name the policy once/],
    ];
    for (const [args, message] of wrong) {
      const run = await check(dir, args);
      assert.equal(run.status, 64, args.join(" "));
      assert.match(run.stderr, message);
    }
  });
});

describe("what it looks at", () => {
  test("the file named, standard input, or the one that governs this user", async () => {
    using dir = makeTempDir();
    const text = policyOf("busybox", reject);
    mkdirSync(dir.join(".config/containers"), { recursive: true });
    writeFileSync(dir.join(".config/containers/policy.json"), text);
    writeFileSync(dir.join("named.json"), text);
    for (const [args, input, shown] of [
      [["named.json"], undefined, "named.json"],
      [["--policy", "named.json"], undefined, "named.json"],
      [["-"], text, "standard input"],
      [[], undefined, dir.join(".config/containers/policy.json")],
    ] as const) {
      const run = await check(dir, args, input);
      assert.equal(run.status, 1, shown);
      assert.ok(run.stdout.startsWith(`${shown}:16:13: error scope-unreachable: scope "busybox"`), run.stdout);
    }
  });

  test("below a root folder: its policy, keys and registries.d, links as its own system sees them, and nothing of the user", async () => {
    using dir = makeTempDir();
    const put = (path: string, content: string | Uint8Array): void => {
      mkdirSync(dirname(dir.join(path)), { recursive: true });
      writeFileSync(dir.join(path), content);
    };
    put(".config/containers/policy.json", "not even JSON");
    put("node/root/.config/containers/policy.json", "neither is this");
    put("node/usr/share/keys/release.gpg", readFileSync(join(keys, "rsa.pub")));
    mkdirSync(dir.join("node/etc/pki"), { recursive: true });
    symlinkSync("/usr/share/keys", dir.join("node/etc/pki/keys"));
    put("node/etc/containers/policy.json", policyOf("registry.example.com", signedBy("/etc/pki/keys/release.gpg")));
    put(
      "node/etc/containers/registries.d/x.yaml",
      "docker:\n  registry.example.com:\n    lookaside: https://e.com/s\n",
    );
    const run = await runSignet(["policy", "check", "--root", "node"], {
      cwd: dir.path,
      env: { HOME: dir.path, XDG_CONFIG_HOME: dir.join(".config"), CONTAINERS_POLICY_JSON: dir.join("none.json") },
    });
    assert.deepEqual([run.status, run.stdout], [0, "node/etc/containers/policy.json: no findings\n"], run.stderr);
    // Out of the tree the link leads to a file that exists, inside it to none.
    put("elsewhere.gpg", readFileSync(join(keys, "rsa.pub")));
    symlinkSync(dir.join("elsewhere.gpg"), dir.join("node/usr/share/keys/outside.gpg"));
    put("node/etc/containers/policy.json", policyOf("registry.example.com", signedBy("/etc/pki/keys/outside.gpg")));
    const lint = (await findingsOf(dir, ["--root", "node"])).map((finding) => finding.lint);
    assert.deepEqual(lint, ["key-missing"]);
  });

  test("--registries.d is the only folder, and --store compares the stores' key ids with the keys", async () => {
    using dir = makeTempDir();
    const hex = "20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55";
    const folder = dir.join(`sigs/team/app@sha256=${hex}`);
    mkdirSync(folder, { recursive: true });
    cpSync(join(vectors, "openpgp/oracle/ok-ed25519.sig"), join(folder, "signature-1"));
    cpSync(join(vectors, "openpgp/oracle/ok-ed25519.sig"), join(folder, "signature-2"));
    writeFileSync(join(folder, "signature-3"), "<html>");
    mkdirSync(dir.join("d"));
    writeFileSync(
      dir.join("d/x.yaml"),
      `docker:\n  registry.example.com:\n    lookaside: file://${dir.join("sigs")}\n`,
    );
    writeFileSync(dir.join("p.json"), policyOf("registry.example.com/team", signedBy(join(keys, "rsa.pub"))));
    const silent = await check(dir, ["--registries.d", "d", "p.json"]);
    assert.equal(silent.stdout, "p.json: no findings\n");
    const run = await check(dir, ["--registries.d", "d", "--store", "p.json"]);
    assert.match(
      run.stdout,
      /warning store-never-signed: .*756164318BBDE76EFD09E88BA99235869F61C72F made none of the 2/,
    );
    assert.match(run.stdout, /\(2 by F1AD5B92D6E41B97\), 1 more cannot be read/);
    writeFileSync(dir.join("p.json"), policyOf("registry.example.com/team", signedBy(join(keys, "ed.pub"))));
    assert.equal((await check(dir, ["--registries.d", "d", "--store", "p.json"])).stdout, "p.json: no findings\n");
  });
});

describe("severities", () => {
  test("errors decide the exit status, and the command line what is one", async () => {
    using dir = makeTempDir();
    writeFileSync(
      dir.join("p.json"),
      JSON.stringify({ default: [accept], transports: { docker: { busybox: [reject] } } }),
    );
    const status = async (...args: readonly string[]): Promise<number> =>
      (await check(dir, [...args, "p.json"])).status;
    assert.equal(await status(), 1);
    assert.equal(await status("--disable", "scope-unreachable"), 0);
    assert.equal(await status("--severity", "scope-unreachable=warning"), 0);
    assert.equal(await status("--severity", "scope-unreachable=off"), 0);
    assert.equal(await status("--disable", "scope-unreachable", "--severity", "default-permissive=error"), 1);
  });

  test("--list names every lint of the table, with its severity", async () => {
    using dir = makeTempDir();
    const json = await check(dir, ["--list", "-o", "json"]);
    const listed = (JSON.parse(json.stdout) as { lints: readonly { name: string; severity: string }[] }).lints;
    assert.deepEqual(
      listed.map(({ name, severity }) => [name, severity]),
      lints.map(({ name, severity }) => [name, severity]),
    );
    const text = (await check(dir, ["--list"])).stdout;
    for (const { name, severity } of lints) assert.ok(text.includes(`${name}  ${severity}`), name);
  });

  test("a key file's trouble is an error, and a warning where another key still signs", async () => {
    using dir = makeTempDir();
    const paths = ["exp.pub", "rsa.pub"].map((name) => join(keys, name));
    const both = { type: "signedBy", keyType: "GPGKeys", keyPaths: paths };
    writeFileSync(dir.join("p.json"), policyOf("registry.example.com", signedBy(paths[0]!)));
    const severityOf = async (): Promise<readonly string[]> => {
      const found = await findingsOf(dir, ["p.json"]);
      return found.filter(({ lint }) => lint === "key-expired").map(({ severity }) => severity);
    };
    assert.deepEqual(await severityOf(), ["error"]);
    writeFileSync(dir.join("p.json"), policyOf("registry.example.com", both));
    assert.deepEqual(await severityOf(), ["warning"]);
  });

  test("who can write a key file is looked at, and its folder with it", async () => {
    using dir = makeTempDir();
    mkdirSync(dir.join("keys"));
    cpSync(join(keys, "rsa.pub"), dir.join("keys/release.gpg"));
    writeFileSync(dir.join("p.json"), policyOf("registry.example.com", signedBy(dir.join("keys/release.gpg"))));
    const isFound = async (): Promise<boolean> => {
      return (await findingsOf(dir, ["p.json"])).some(({ lint }) => lint === "key-writable-by-others");
    };
    for (const [file, folder, expected] of [
      [0o644, 0o755, false],
      [0o646, 0o755, true],
      [0o644, 0o777, true],
      [0o644, 0o1777, false],
    ] as const) {
      chmodSync(dir.join("keys/release.gpg"), file);
      chmodSync(dir.join("keys"), folder);
      assert.equal(await isFound(), expected, `${file.toString(8)} ${folder.toString(8)}`);
    }
  });
});

interface SarifResult {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: string;
  readonly message: { readonly text: string };
  readonly locations: readonly {
    readonly physicalLocation: {
      readonly artifactLocation: { readonly uri: string };
      readonly region: Readonly<Record<string, number>>;
    };
  }[];
}

interface SarifRun {
  readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly { readonly id: string }[] } };
  readonly results: readonly SarifResult[];
}

function runOf({ stdout }: SignetRun): SarifRun {
  const log = JSON.parse(stdout) as { readonly version: string; readonly runs: readonly SarifRun[] };
  assert.equal(log.version, "2.1.0");
  assert.equal(log.runs.length, 1);
  return log.runs[0]!;
}

test("sarif has a rule for every lint, and each result points to its rule, file and line", async () => {
  using dir = makeTempDir();
  const folder = dir.join("d");
  mkdirSync(folder);
  writeFileSync(join(folder, "x.yaml"), "docker:\n  registry.example.com:\n    lookaside: http://e.com/s\n");
  writeFileSync(dir.join("ä policy.json"), policyOf("büsybox", signedBy("ä.gpg"), accept));
  const run = await check(dir, ["-o", "sarif", "--registries.d", folder, "ä policy.json"]);
  assert.equal(run.status, 1);
  const { tool, results } = runOf(run);
  assert.deepEqual(
    tool.driver.rules.map(({ id }) => id),
    [...lints.map(({ name }) => name), "policy-malformed"],
  );
  assert.ok(results.length >= 5);
  for (const { ruleId, ruleIndex, level } of results) {
    assert.equal(tool.driver.rules[ruleIndex]?.id, ruleId);
    assert.ok(["error", "warning", "note"].includes(level));
  }
  const places = results.map(({ ruleId, locations }) => {
    const { artifactLocation, region } = locations[0]!.physicalLocation;
    return [ruleId, artifactLocation.uri, region["startLine"], region["startColumn"], region["endColumn"]];
  });
  const uri = "%C3%A4%20policy.json";
  // Columns count characters: the name with its quotes has nine.
  assert.deepEqual(places[0], ["scope-unreachable", uri, 16, 13, 22]);
  assert.deepEqual(places.at(-1), ["store-insecure-http", `file://${folder}/x.yaml`, 3, 1, undefined]);
});

describe("--fix", () => {
  /** Written by hand: tabs, a line end of Windows, members in an order of their own. */
  const untidy = [
    '{"transports": {\t"docker": {',
    '\t\t"docker://registry.example.com/team/" : [ {"type":"insecureAcceptAnything"},',
    '\t\t\t{"keyType":"GPGKeys","keyPaths":["rsa.pub", "rsa.pub" ,"ed.pub"],"type":"signedBy"}],\r',
    '\t\t"alpine": [{"type":"insecureAcceptAnything"}],',
    '\t\t"busybox": [{"type":"reject"}], "docker.io/library/busybox": [{"type":"reject"}]',
    '\t}, "containers-storage":{"":[{"type":"insecureAcceptAnything"}]}},',
    ' "default": [{"type":"reject"}]}',
  ].join("\n");

  function prepare(): TempDir {
    const dir = makeTempDir();
    for (const name of ["rsa.pub", "ed.pub"]) cpSync(join(keys, name), dir.join(name));
    writeFileSync(dir.join("p.json"), untidy);
    return dir;
  }

  function correctedOf(dir: TempDir): string {
    return untidy
      .replace("docker://registry.example.com/team/", "registry.example.com/team")
      .replace('{"type":"insecureAcceptAnything"},\n\t\t\t{', "{")
      .replace('"rsa.pub", "rsa.pub" ,"ed.pub"', `"${dir.join("rsa.pub")}" ,"${dir.join("ed.pub")}"`);
  }

  test("corrects what is safe and leaves every other octet; the file as it was stays beside it", async () => {
    using dir = prepare();
    chmodSync(dir.join("p.json"), 0o640);
    const run = await check(dir, ["--fix", "p.json"]);
    assert.equal(readFileSync(dir.join("p.json"), "utf8"), correctedOf(dir));
    assert.equal(readFileSync(dir.join("p.json.bak"), "utf8"), untidy);
    assert.equal(run.stdout.match(/: corrected /g)?.length, 5, run.stdout);
    // Opening a scope that accepts everything is for people, and so is a name that is there already.
    assert.match(run.stdout, /error scope-unreachable: scope "alpine"/);
    assert.match(run.stdout, /error scope-unreachable: scope "busybox"/);
    assert.equal(run.status, 1);
    const again = await check(dir, ["--fix", "p.json"]);
    assert.doesNotMatch(again.stdout, /corrected/);
    assert.equal(readFileSync(dir.join("p.json.bak"), "utf8"), untidy, "nothing was corrected, nothing is written");
  });

  test("--dry-run prints a diff that patch applies, and writes nothing", async (t) => {
    using dir = prepare();
    const run = await check(dir, ["--fix", "--dry-run", "p.json"]);
    assert.equal(readFileSync(dir.join("p.json"), "utf8"), untidy);
    assert.ok(!existsSync(dir.join("p.json.bak")));
    assert.match(run.stdout, /^--- p\.json\n\+\+\+ p\.json\n@@ -1,6 \+1,5 @@\n/);
    const patch = requireTool(t, "patch");
    if (patch === undefined) return;
    const args = ["--quiet", "--binary", dir.join("p.json")];
    assert.equal(spawnSync(patch, args, { input: run.stdout }).status, 0);
    assert.equal(readFileSync(dir.join("p.json"), "utf8"), correctedOf(dir));
  });

  test("in somebody else's tree it writes to that tree alone, whatever links lie there", async () => {
    using dir = makeTempDir();
    mkdirSync(dir.join("image/etc/containers"), { recursive: true });
    mkdirSync(dir.join(`image${dir.path}`), { recursive: true });
    const before = '{"default":[{"type":"reject"},{"type":"insecureAcceptAnything"}]}';
    for (const name of ["mine.json", "mine.bak"]) writeFileSync(dir.join(name), before);
    writeFileSync(dir.join(`image${dir.path}/mine.json`), before);
    symlinkSync(dir.join("mine.json"), dir.join("image/etc/containers/policy.json"));
    symlinkSync(dir.join("mine.bak"), dir.join(`image${dir.path}/mine.json.bak`));
    const run = await check(dir, ["--root", "image", "--fix"]);
    assert.equal(run.status, 0, run.stderr);
    for (const name of ["mine.json", "mine.bak"]) assert.equal(readFileSync(dir.join(name), "utf8"), before, name);
    assert.equal(readFileSync(dir.join(`image${dir.path}/mine.json`), "utf8"), '{"default":[{"type":"reject"}]}');
    assert.equal(readFileSync(dir.join(`image${dir.path}/mine.json.bak`), "utf8"), before);
  });

  test("in JSON, what was corrected stands beside what remains", async () => {
    using dir = prepare();
    const { stdout } = await check(dir, ["--fix", "-o", "json", "p.json"]);
    const { corrected, findings } = JSON.parse(stdout) as Record<"corrected" | "findings", readonly JsonFinding[]>;
    assert.equal(corrected.length, 5);
    assert.ok(findings.every(({ fixable }) => !fixable));
  });

  test("skopeo accepts by the corrected policy what it could not by the one before, and still rejects the rest", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    using home = makeContainersHome();
    using dir = makeTempDir();
    const images = join(vectors, "dir-images");
    cpSync(join(images, "keys/public-key.gpg"), dir.join("release.gpg"));
    for (const name of ["valid", "unsigned"]) cpSync(join(images, name), dir.join(name), { recursive: true });
    const signedIdentity = { type: "exactReference", dockerReference: "testing/manifest:latest" };
    const keyPaths = ["release.gpg", "release.gpg"];
    const requirement = { type: "signedBy", keyType: "GPGKeys", keyPaths, signedIdentity };
    const dirs = { [dir.path]: [accept, requirement] };
    const docker = { "docker://busybox": [signedBy("release.gpg")] };
    const policy = { default: [reject], transports: { ...storage, dir: dirs, docker } };
    writeFileSync(dir.join("p.json"), JSON.stringify(policy, undefined, 2));
    // The images have no layers to copy beside their manifests: skopeo fails there, after the policy has spoken.
    const judge = async (image: string): Promise<string> => {
      const args = ["--policy", dir.join("p.json"), "copy", `dir:${dir.join(image)}`, `dir:${home.path}/out-${image}`];
      const { stderr } = await home.skopeo(args);
      if (/Source image rejected/.test(stderr)) return "rejected";
      return /reading blob|Error loading trust policy/.exec(stderr)?.[0] ?? stderr;
    };
    assert.equal(await judge("valid"), "rejected", "the relative key is not in skopeo's working directory");
    const run = await check(dir, ["--fix", "p.json"]);
    assert.equal(run.stdout.match(/: corrected /g)?.length, 5, run.stdout);
    assert.equal(await judge("valid"), "reading blob");
    assert.equal(await judge("unsigned"), "rejected");
    assert.ok(readFileSync(dir.join("p.json"), "utf8").includes('"docker.io/library/busybox"'));
  });
});
