import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GeneratedKey, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type TestImage, buildTestImage, buildTestIndex, makeTempDir } from "@signet/testkit";
import { type CaseResult, type PolicyTestResult, runPolicyTests } from "./run-tests.ts";
import { parseCaseImage } from "./case-image.ts";

const dir = makeTempDir("signet-policy-tests-");
const made = Date.UTC(2026, 0, 1);
const day = 24 * 60 * 60 * 1000;
let key: GeneratedKey;
let image: TestImage;

function put(name: string, content: string | Uint8Array): string {
  const path = dir.join(name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

before(async () => {
  const request = { engine: nodeEngine, now: made, algorithm: "ed25519" } as const;
  key = await generateKey({ ...request, userIds: ["Release"], expiresInSeconds: (100 * day) / 1000 });
  const other = await generateKey({ ...request, userIds: ["Other"] });
  put("release.pub", key.publicKey);
  put("release.private", key.secretKey);
  put("other.private", other.secretKey);
  const locked = await generateKey({ ...request, userIds: ["Locked"], passphrase: "secret" });
  put("locked.private", locked.secretKey);
  const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: "release.pub" };
  put(
    "policy.json",
    JSON.stringify({
      default: [{ type: "reject" }],
      transports: {
        docker: {
          "registry.example.com/team": [signedBy],
          "registry.example.com/lost": [{ ...signedBy, keyPath: "lost.pub" }],
          "open.example.com": [{ type: "insecureAcceptAnything" }],
        },
        dir: { "/srv": [{ type: "insecureAcceptAnything" }] },
        "docker-daemon": { "": [{ type: "insecureAcceptAnything" }] },
      },
    }),
  );
  put("rd/a.yaml", "docker:\n  registry.example.com: {lookaside: 'https://sig.example.com/s'}\n");
  image = await buildTestImage();
  put("app.json", image.manifest);
  const arm = await buildTestImage({ seed: 2, architecture: "arm64" });
  put("list.json", buildTestIndex([image, arm]).manifest);
  put("arm.json", arm.manifest);
  const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now: made });
  const signature = await createSignature(image.manifest, "registry.example.com/team/app:1", signer, {
    engine: nodeEngine,
    now: made,
  });
  put("signatures/signature-1", signature.bytes);
});

after(() => dir.dispose());

const header = "policy: policy.json\nregistries.d: rd\ntime: 2026-02-01\n";

async function run(text: string, name = "t.yaml"): Promise<PolicyTestResult> {
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  return runPolicyTests([put(name, text)], { host, now: Date.UTC(2030, 0, 1) });
}

/** Runs one case. */
async function runOne(members: string): Promise<CaseResult> {
  const result = await run(`${header}cases:\n  - {${members}}\n`);
  return result.files[0]!.cases[0]!;
}

const app = "image: 'registry.example.com/team/app:1'";

describe("a case passes", () => {
  const passing: Readonly<Record<string, string>> = {
    "without a signature": `${app}, expect: rejected, reason: no-signature, scope: registry.example.com/team`,
    "by a scope that accepts everything": "image: open.example.com/x, expect: accepted, scope: open.example.com",
    "by the default": "image: quay.io/x/y, expect: rejected, reason: policy-reject, scope: default",
    "by the label of its scope": `${app}, expect: rejected, scope: 'docker: registry.example.com/team'`,
    "with a signature of a test key": `${app}, signed: {key: release.private}, expect: accepted`,
    "with an unknown key": `${app}, signed: {key: other.private}, expect: rejected, reason: signer-known`,
    "with one good signature of two": `${app}, signed: [{key: other.private}, {key: release.private}], expect: accepted`,
    "with a signature for another name": `${app}, signed: {key: release.private, identity: 'a.b/c:1'}, expect: rejected, reason: identity`,
    "with a signature of another digest": `${app}, signed: {key: release.private, digest: 'sha256:${"0".repeat(64)}'}, expect: rejected, reason: manifest-digest`,
    "with stored signatures and a manifest": `${app}, manifest: app.json, signatures: signatures, expect: accepted`,
    "with one file of signatures": `${app}, manifest: app.json, signatures: [signatures/signature-1], expect: accepted`,
    "with signatures of another manifest": `${app}, signatures: signatures, expect: rejected, reason: manifest-digest`,
    "at another time": `${app}, signed: {key: release.private, time: 2026-01-15}, time: 2027-01-01, expect: rejected, reason: key-expiry`,
    "for the instance of a list": `${app}, manifest: list.json, instances: [app.json, arm.json], platform: linux/amd64, signatures: signatures, expect: accepted`,
    "for another instance of a list": `${app}, manifest: list.json, instances: [app.json, arm.json], platform: linux/arm64, signatures: signatures, expect: rejected, reason: manifest-digest`,
    "for a key that is not there": "image: registry.example.com/lost/x, expect: undetermined, reason: file-missing",
    "for a store of registries.d": `${app}, expect: rejected, store: 'https://sig.example.com/s'`,
    "for the built-in store": "image: open.example.com/x, expect: accepted, store: builtin",
    "for a folder that is not there": "image: 'dir:/srv/images/app', expect: accepted, scope: /srv",
    "for another transport": "image: 'docker-daemon:busybox:latest', expect: accepted, scope: 'docker-daemon: \"\"'",
    "for an inline manifest": `${app}, manifest: {schemaVersion: 2, config: {mediaType: 'application/vnd.oci.image.config.v1+json', size: 2, digest: 'sha256:${"1".repeat(64)}'}, layers: [], mediaType: 'application/vnd.oci.image.manifest.v1+json'}, signed: {key: release.private}, expect: accepted`,
  };
  for (const [what, members] of Object.entries(passing)) {
    test(what, async () => {
      const { outcome, problems } = await runOne(members);
      assert.deepEqual([outcome, problems], ["passed", []]);
    });
  }

  test("only with the signer that it names", async () => {
    const signed = `${app}, signed: {key: release.private}, expect: accepted`;
    assert.equal((await runOne(`${signed}, signer: ${key.fingerprint}`)).outcome, "passed");
    assert.equal((await runOne(`${signed}, signer: '${key.fingerprint.slice(-16)}'`)).outcome, "passed");
    const { outcome, problems } = await runOne(`${signed}, signer: ${"A".repeat(40)}`);
    assert.deepEqual([outcome, problems], ["failed", [`signer: expected ${"A".repeat(40)}, found ${key.fingerprint}`]]);
  });
});

describe("a case fails", () => {
  const failing: readonly (readonly [members: string, problem: RegExp])[] = [
    [`${app}, expect: accepted`, /^verdict: expected accepted, found rejected \(no-signature\)$/],
    [`${app}, signed: {key: release.private}, expect: rejected`, /^verdict: expected rejected, found accepted$/],
    [`${app}, expect: rejected, reason: identity`, /^reason: expected identity, found no-signature$/],
    [
      `${app}, expect: rejected, scope: registry.example.com}`.replace("}", ""),
      /^scope: expected registry\.example\.com, found docker: registry\.example\.com\/team$/,
    ],
    [`${app}, expect: rejected, store: builtin`, /^store: expected builtin, found https:\/\/sig\.example\.com\/s$/],
    [
      "image: registry.example.com/lost/x, expect: rejected",
      /^verdict: expected rejected, found undetermined \(file-missing\)$/,
    ],
  ];
  for (const [members, problem] of failing) {
    test(String(problem), async () => {
      const { outcome, problems, explanation } = await runOne(members);
      assert.equal(outcome, "failed");
      assert.match(problems.join("\n"), problem);
      assert.ok(explanation !== undefined);
    });
  }
});

describe("a case that cannot be run is neither passed nor failed", () => {
  for (const members of [
    `${app}, manifest: missing.json, expect: rejected`,
    `${app}, signed: {key: missing.private}, expect: rejected`,
    `${app}, signed: {key: release.pub}, expect: rejected`,
    `${app}, signed: {key: locked.private}, expect: rejected`,
    `${app}, signed: {key: release.private, time: 2027-01-01}, expect: rejected`,
    "image: 'dir:/srv/x', signed: {key: release.private}, expect: accepted",
    "image: 'dir:relative', expect: accepted",
    "image: UPPER/case, expect: rejected",
    "image: 'containers-storage:x', expect: rejected",
  ]) {
    test(members, async () => {
      const { outcome, error } = await runOne(members);
      assert.deepEqual([outcome, error !== undefined], ["error", true]);
    });
  }

  test("signatures that are not there leave the verdict open, which no expectation but that one meets", async () => {
    assert.equal((await runOne(`${app}, signatures: missing, expect: rejected`)).outcome, "failed");
    assert.equal((await runOne(`${app}, signatures: missing, expect: undetermined`)).outcome, "passed");
  });
});

describe("a run", () => {
  test("counts the cases of each scope, over all files about the policy", async () => {
    const one = put("one.yaml", `${header}cases: [{${app}, expect: rejected}]\n`);
    const two = put("two.yaml", `${header}cases: [{image: quay.io/x, expect: rejected}]\n`);
    const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
    const { coverage, files } = await runPolicyTests([one, two], { host, now: made });
    assert.equal(files.length, 2);
    assert.equal(coverage.length, 1);
    assert.deepEqual(
      coverage[0]!.scopes.map(({ label, cases }) => [label, cases]),
      [
        ["docker: registry.example.com/team", 1],
        ["docker: registry.example.com/lost", 0],
        ["docker: open.example.com", 0],
        ["dir: /srv", 0],
        ['docker-daemon: ""', 0],
        ["default", 1],
      ],
    );
  });

  test("reads policy, stores and keys below the root that the file names", async () => {
    const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/pki/release.gpg" };
    put("tree/etc/containers/policy.json", JSON.stringify({ default: [signedBy] }));
    put("tree/etc/pki/release.gpg", key.publicKey);
    put("tree/etc/containers/registries.d/x.yaml", "default-docker: {lookaside: 'https://sig.example.com/all'}\n");
    const { files } = await run(
      `root: tree\ntime: 2026-02-01\ncases: [{${app}, signed: {key: release.private}, expect: accepted, store: 'https://sig.example.com/all'}]`,
      "root.yaml",
    );
    assert.deepEqual(files[0]!.cases[0]!.problems, []);
    assert.equal(files[0]!.policy, dir.join("tree/etc/containers/policy.json"));
  });

  test("gives the same result twice", async () => {
    const text = `${header}cases: [{${app}, signed: {key: release.private}, expect: accepted}, {name: n, ${app}, expect: rejected}]`;
    const shown = async (): Promise<unknown> =>
      (await run(text)).files[0]!.cases.map(({ outcome, found, reasons }) => [outcome, found, reasons]);
    assert.deepEqual(await shown(), await shown());
  });

  test("judges at the file's time, and without one at the caller's", async () => {
    const text = `policy: policy.json\ncases: [{${app}, signed: {key: release.private, time: 2026-01-15}, expect: rejected, reason: key-expiry}]`;
    assert.equal((await run(text)).files[0]!.cases[0]!.outcome, "passed");
  });
});

describe("the images of cases", () => {
  test("are known without a look at any file", () => {
    assert.equal(parseCaseImage("busybox").text, "docker://docker.io/library/busybox:latest");
    assert.deepEqual(parseCaseImage("oci:/srv/x/../y/:tag").policyIdentity, {
      transport: "oci",
      identity: "/srv/y",
      namespaces: ["/srv"],
    });
    assert.deepEqual(parseCaseImage("docker-archive:/x.tar").policyIdentity.identity, "");
    assert.deepEqual(parseCaseImage("atomic:host.example.com/ns/stream:1").policyIdentity.transport, "atomic");
    assert.deepEqual(parseCaseImage("host.example.com:5000/x:1").policyIdentity.identity, "host.example.com:5000/x:1");
  });
});
