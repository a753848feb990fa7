import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeTempDir } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir("signet-policy-test-");
const page = readFileSync(join(import.meta.dirname, "../../../../docs/policy-tests.md"), "utf8");

function put(path: string, content: string): string {
  const file = folder.join(path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function run(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(["policy", "test", ...args], { cwd: folder.path, env: { HOME: folder.path } });
}

before(async () => {
  const request = { engine: nodeEngine, now: Date.UTC(2026, 0, 1), algorithm: "ed25519" } as const;
  const key = await generateKey({ ...request, userIds: ["Test"], expiresInSeconds: 365 * 24 * 60 * 60 });
  put("test-key.private", key.secretKey);
  put("test-key.pub", key.publicKey);
  const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: "test-key.pub" };
  const remap = { type: "remapIdentity", prefix: "mirror.example.net", signedPrefix: "registry.example.com" };
  put(
    "policy.json",
    JSON.stringify({
      default: [{ type: "reject" }],
      transports: {
        docker: {
          "registry.example.com/team": [signedBy],
          "mirror.example.net": [{ ...signedBy, signedIdentity: remap }],
          "open.example.com": [{ type: "insecureAcceptAnything" }],
        },
      },
    }),
  );
  put("registries.d/x.yaml", "docker:\n  registry.example.com: {lookaside: 'https://signatures.example.com/store'}\n");
  const hostile = JSON.stringify('bad <"&\u0007 one');
  put(
    "mixed.yaml",
    `policy: policy.json
cases:
  - {name: "good # one", image: open.example.com/x, expect: accepted}
  - {name: ${hostile}, image: open.example.com/x, expect: rejected}
`,
  );
});

after(() => folder.dispose());

describe("the page about policy tests", () => {
  const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!);

  test("has examples that pass as they stand", async () => {
    assert.equal(examples.length, 2);
    for (const [index, text] of examples.entries()) put(`example-${index}.yaml`, text);
    const { status, stdout, stderr } = await run("--require-coverage", "example-0.yaml", "example-1.yaml");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^8 cases: 8 passed, 0 failed; 4 of 4 scopes covered$/m);
  });

  test("names every member that is read", () => {
    const names = [
      "root",
      "policy",
      "registries.d",
      "time",
      "cases",
      "name",
      "image",
      "manifest",
      "instances",
      "platform",
    ];
    for (const name of [...names, "digest", "signatures", "signed", "expect", "reason", "scope", "signer", "store"])
      assert.ok(page.includes(`| \`${name}\``) || page.includes(`\`${name}\``), name);
  });
});

describe("policy test", () => {
  test("says what was expected and found, why, and what no case is about", async () => {
    const { status, stdout } = await run("mixed.yaml");
    assert.equal(status, 1);
    assert.match(stdout, /^ {2}ok {4}good # one$/m);
    assert.match(stdout, /^ {2}FAIL {2}bad /m);
    assert.match(stdout, /verdict: expected rejected, found accepted$/m);
    assert.match(stdout, /accepted by scope docker: open\.example\.com: insecureAcceptAnything/);
    assert.match(stdout, /^note {2}no case is about scope docker: mirror\.example\.net of /m);
    assert.match(stdout, /^2 cases: 1 passed, 1 failed; 1 of 4 scopes covered$/m);
  });

  test("demands a case for every scope only when it is told to", async () => {
    put("one.yaml", "policy: policy.json\ncases: [{image: open.example.com/x, expect: accepted}]\n");
    const [without, required, tap] = await Promise.all([
      run("one.yaml"),
      run("one.yaml", "--require-coverage"),
      run("one.yaml", "--require-coverage", "-o", "tap"),
    ]);
    assert.deepEqual([without.status, required.status, tap.status], [0, 1, 1]);
    assert.match(required.stdout, /^FAIL {2}no case is about scope default of /m);
    assert.match(tap.stdout, /^1\.\.2\nok 1 [^]*\nnot ok 2 - coverage of /m);
  });

  test("a mistake in a file, or a file that is not there, ends with 2 and line and column", async () => {
    put("typo.yaml", "policy: policy.json\ncases:\n  - image: x\n    expcet: rejected\n");
    put("key.yaml", "policy: policy.json\ncases: [{image: x, expect: rejected, signed: {key: missing}}]\n");
    put("broken.yaml", "policy: [\n");
    put(
      "both.yaml",
      "policy: policy.json\ncases: [{image: x, expect: rejected, signed: {key: missing}}, {image: x, expect: accepted}]\n",
    );
    const [typo, none, error, broken, usage, both] = await Promise.all([
      run("typo.yaml"),
      run("missing.yaml"),
      run("key.yaml"),
      run("broken.yaml"),
      run(),
      run("both.yaml"),
    ]);
    assert.deepEqual([typo.status, none.status, error.status, broken.status, usage.status], [2, 2, 2, 2, 64]);
    assert.deepEqual([both.status, /1 failed, 1 could not be run/.test(both.stdout)], [1, true], both.stdout);
    assert.equal(
      typo.stderr,
      'error: typo.yaml:4:5: unknown member "expcet" in a case\nhint: did you mean "expect"?\n',
    );
    assert.match(error.stdout, /^ {2}ERROR x is rejected\n[^]*missing: no such file/m);
    assert.match(broken.stderr, /^error: broken\.yaml:\d+:\d+: /);
  });

  test("speaks JSON, TAP and JUnit, each well-formed whatever the names hold", async () => {
    const [json, tap, junit] = await Promise.all(
      ["json", "tap", "junit"].map((format) => run("mixed.yaml", "-o", format)),
    );
    const document = JSON.parse(json!.stdout) as {
      files: { cases: { outcome: string; explanation: { verdict: string } | null }[] }[];
      summary: object;
    };
    assert.deepEqual(document.summary, { cases: 2, passed: 1, failed: 1, errors: 0, scopes: 4, uncovered: 3 });
    assert.deepEqual(
      document.files[0]!.cases.map(({ outcome, explanation }) => [outcome, explanation?.verdict]),
      [
        ["passed", undefined],
        ["failed", "accepted"],
      ],
    );
    assert.match(tap!.stdout, /^TAP version 13\n1\.\.2\nok 1 - mixed\.yaml: good \\# one\nnot ok 2 - /);
    assert.match(junit!.stdout, /^<\?xml[^]*<testsuites [^>]*tests="2" failures="1" errors="0">/);
    assert.match(junit!.stdout, /name="bad &lt;&quot;&amp;\ufffd one"/);
    for (const { stdout } of [json!, tap!, junit!]) assert.ok(!stdout.includes("\u0007"));
    assert.deepEqual(new Set([json!.status, tap!.status, junit!.status]), new Set([1]));
    assert.equal(balance(junit!.stdout), 0);
  });

  test("judges by --policy where a file names none, else by the policy in force", async () => {
    put("bare.yaml", "cases: [{image: open.example.com/x, expect: accepted}]\n");
    put(".config/containers/policy.json", '{"default": [{"type": "reject"}]}');
    const [named, inForce] = await Promise.all([run("bare.yaml", "--policy", "policy.json"), run("bare.yaml")]);
    assert.deepEqual([named.status, inForce.status], [0, 1]);
  });
});

/** Elements that were opened and not closed. */
function balance(xml: string): number {
  let open = 0;
  for (const [tag] of xml.matchAll(/<[^?][^>]*>/g)) {
    if (tag.startsWith("</")) open--;
    else if (!tag.endsWith("/>")) open++;
  }
  return open;
}
