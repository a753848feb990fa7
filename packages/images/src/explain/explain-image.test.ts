import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type TestContext, before, describe, test } from "node:test";
import { type GeneratedKey, type Policy, createSignature, generateKey, openSecretKey, parsePolicy } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TempDir,
  type TestImage,
  type TestIndex,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startLoopbackServer,
  startTestRegistry,
} from "@signet/testkit";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { parseImageName } from "../transports/image-name.ts";
import { openImageSource } from "../transports/open.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { chooseSignatureStore } from "../stores/choose-store.ts";
import { type ExplainOptions, explainImage } from "./explain-image.ts";
import type { ImageExplanation } from "./explanation.ts";

const now = Date.now();
const platform = { os: "linux", architecture: "amd64" };
let trusted: GeneratedKey;
let stranger: GeneratedKey;

before(async () => {
  const request = { engine: nodeEngine, now, algorithm: "ed25519" } as const;
  trusted = await generateKey({ ...request, userIds: ["Trusted"] });
  stranger = await generateKey({ ...request, userIds: ["Stranger"] });
});

interface Stage {
  readonly registry: TestRegistry;
  readonly dir: TempDir;
  readonly image: TestImage;
  readonly index: TestIndex;
  /** Files a signature by `key` in the lookaside folder. */
  sign(manifest: Uint8Array, repository: string, identity: string, key?: GeneratedKey): Promise<void>;
  explain(name: string, policy: Policy, more?: Partial<ExplainOptions>): Promise<ImageExplanation>;
  /** The code of the verdict that `verifyImage` gives, for comparing. */
  verdict(name: string, policy: Policy): Promise<ImageExplanation["verdict"]>;
}

async function makeStage(
  t: TestContext,
  options: { readonly lookaside?: string; readonly extension?: boolean; readonly section?: string } = {},
): Promise<Stage> {
  const registry = await startTestRegistry({ signaturesExtension: options.extension === true });
  t.after(() => registry.dispose());
  const dir = makeTempDir("signet-explain-");
  t.after(() => dir.dispose());
  mkdirSync(dir.join("registries.d"));
  const base = options.lookaside ?? `file://${dir.join("sig")}`;
  const section = options.section ?? `docker:\n  ${registry.host}/team:\n    lookaside: "${base}"\n`;
  writeFileSync(dir.join("registries.d/test.yaml"), section);
  const host = { env: {}, uid: 1000, home: dir.path, root: dir.path };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const image = await buildTestImage({ seed: 1, architecture: "amd64" });
  const index = buildTestIndex([image, await buildTestImage({ seed: 2, architecture: "arm64" })]);
  await pushTestImage(registry, "team/app:1", image);
  await pushTestImage(registry, "team/list:1", index);
  return {
    registry,
    dir,
    image,
    index,
    async sign(manifest, repository, identity, key = trusted) {
      const secret = new TextEncoder().encode(key.secretKey);
      const signer = await openSecretKey(secret, { engine: nodeEngine, now });
      const { bytes, manifestDigest } = await createSignature(manifest, identity, signer, { engine: nodeEngine, now });
      const file = dir.join("sig", `${repository}@${manifestDigest.replace(":", "=")}`, "signature-1");
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    },
    async explain(name, policy, more = {}) {
      const registryStores = { clients, registriesD };
      return explainImage(await parseImageName(name), { policy, now, platform, registry: registryStores, ...more });
    },
    async verdict(name, policy) {
      const chooseStore = { registriesD, clients };
      const open = {
        docker: {
          clients,
          chooseSignatureStore: async (
            client: Parameters<typeof chooseSignatureStore>[0],
            reference: Parameters<typeof chooseSignatureStore>[1],
          ) => (await chooseSignatureStore(client, reference, chooseStore)).store,
        },
      };
      await using source = await openImageSource(await parseImageName(name), open);
      return await verifyImage(source, { policy, now, platform }).then(
        ({ outcome }) => outcome,
        () => "undetermined",
      );
    },
  };
}

function policyOf(transports: object, fallback: object = { type: "reject" }): Policy {
  return parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [fallback], transports })), "policy.json");
}

const signedBy = (more: object = {}): object => ({
  type: "signedBy",
  keyType: "GPGKeys",
  keyData: Buffer.from(trusted.publicKey).toString("base64"),
  ...more,
});

function governing(explanation: ImageExplanation): string {
  return explanation.scopes.find(({ governs }) => governs)!.label;
}

describe("an explanation", { concurrency: false }, () => {
  test("of an unsigned image has scopes, store with its place, every look, and the fix; and the verdict of verifyImage", async (t) => {
    const stage = await makeStage(t);
    const name = `docker://${stage.registry.host}/team/app:1`;
    const policy = policyOf({
      docker: {
        [`${stage.registry.host}/team`]: [signedBy()],
        [stage.registry.host]: [{ type: "insecureAcceptAnything" }],
      },
    });
    const explanation = await stage.explain(name, policy);
    assert.equal(explanation.verdict, "rejected");
    assert.equal(explanation.verdict, await stage.verdict(name, policy));
    assert.equal(explanation.digest, stage.image.digest);
    assert.deepEqual(
      explanation.scopes.filter(({ verdict }) => verdict !== undefined).map(({ label, verdict }) => [label, verdict]),
      [
        [`docker: ${stage.registry.host}/team`, "rejected"],
        [`docker: ${stage.registry.host}`, "accepted"],
        ["default", "rejected"],
      ],
    );
    assert.equal(explanation.store.kind, "lookaside");
    assert.match(explanation.store.why.join(), /\(lookaside\) in .*test\.yaml:3$/);
    const [manifest] = explanation.manifests;
    assert.deepEqual(
      manifest!.lookup!.attempts.map(({ outcome, location }) => [outcome, location.startsWith(stage.dir.path)]),
      [["absent", true]],
    );
    assert.equal(explanation.demands[0]!.identity!.expected, `${stage.registry.host}/team/app:1`);
    assert.equal(explanation.demands[0]!.keys[0]!.certificates[0]!.fingerprint, trusted.fingerprint);
    assert.equal(explanation.fix!.check, "no-signature");
    assert.match(explanation.fix!.command!, new RegExp(`^signet sign --key ${trusted.fingerprint} ${name}$`));
  });

  test("of an accepted image has no fix, and every check of the signature that counted", async (t) => {
    const stage = await makeStage(t);
    const name = `${stage.registry.host}/team/app:1`;
    await stage.sign(stage.image.manifest, "team/app", name);
    const explanation = await stage.explain(name, policyOf({ docker: { "": [signedBy()] } }));
    assert.deepEqual([explanation.verdict, explanation.fix], ["accepted", undefined]);
    assert.equal(governing(explanation), 'docker: ""');
    const { evidence } = explanation.manifests[0]!.examination!;
    const checks = evidence.requirements[0]!.signatures[0]!.checks;
    assert.ok(checks.length >= 8);
    assert.ok(checks.every(({ outcome }) => outcome === "passed"));
  });

  test("of several signatures is about the one that came closest", async (t) => {
    const stage = await makeStage(t);
    const name = `${stage.registry.host}/team/app:1`;
    await stage.sign(stage.image.manifest, "team/app", name, stranger);
    const first = dirname(stage.dir.join("sig", `team/app@${stage.image.digest.replace(":", "=")}`, "x"));
    const secret = new TextEncoder().encode(trusted.secretKey);
    const signer = await openSecretKey(secret, { engine: nodeEngine, now });
    const wrongName = await createSignature(stage.image.manifest, "registry.example.com/team/app:1", signer, {
      engine: nodeEngine,
      now,
    });
    writeFileSync(`${first}/signature-2`, wrongName.bytes);
    const explanation = await stage.explain(name, policyOf({ docker: { "": [signedBy()] } }));
    assert.equal(explanation.fix!.check, "identity");
    assert.match(explanation.fix!.command!, / --identity remap=127\.0\.0\.1:\d+=registry\.example\.com/);
  });

  test("of a list says which instance is judged; a signature of the list alone asks for sign --all", async (t) => {
    const stage = await makeStage(t);
    const name = `${stage.registry.host}/team/list:1`;
    await stage.sign(stage.index.manifest, "team/list", name);
    const policy = policyOf({ docker: { "": [signedBy()] } });
    const explanation = await stage.explain(name, policy);
    assert.deepEqual([explanation.verdict, explanation.digest], ["rejected", stage.index.digest]);
    assert.equal(explanation.list!.platforms.length, 2);
    assert.deepEqual(
      explanation.manifests.map(({ role, digest, listSignatures }) => [role, digest, listSignatures]),
      [["instance", stage.image.digest, 1]],
    );
    assert.match(explanation.fix!.command!, /^signet sign --all /);
    const all = await stage.explain(name, policy, { all: true });
    assert.deepEqual(
      all.manifests.map(({ role, verdict }) => [role, verdict]),
      [
        ["list", "accepted"],
        ["instance", "rejected"],
        ["instance", "rejected"],
      ],
    );
    const none = await stage.explain(name, policy, { platform: { os: "linux", architecture: "s390x" } });
    assert.deepEqual(
      [none.verdict, none.error?.code, none.digest],
      ["undetermined", "image-missing", stage.index.digest],
    );
  });

  test("tells which look a store refused, and with which status", async (t) => {
    for (const [status, outcome] of [
      [403, "failed"],
      [404, "absent"],
      [410, "failed"],
    ] as const) {
      await using server = await startLoopbackServer((_, response) => void response.writeHead(status).end());
      const stage = await makeStage(t, { lookaside: `${server.url}/store` });
      const name = `${stage.registry.host}/team/app:1`;
      const policy = policyOf({ docker: { "": [signedBy()] } });
      const explanation = await stage.explain(name, policy);
      assert.equal(explanation.verdict, status === 404 ? "rejected" : "undetermined");
      assert.equal(explanation.verdict, await stage.verdict(name, policy));
      assert.deepEqual(
        explanation.manifests[0]!.lookup!.attempts.map((one) => [one.outcome, one.status, one.location]),
        [[outcome, status, `${server.url}/store/team/app@${stage.image.digest.replace(":", "=")}/signature-1`]],
      );
      if (status === 403) assert.match(explanation.fix!.message, /s3:ListBucket/);
    }
  });

  test("knows web pages in place of signatures", async (t) => {
    const page = "<!DOCTYPE html><html>not found</html>";
    await using server = await startLoopbackServer(
      (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end(page),
    );
    const stage = await makeStage(t, { lookaside: `${server.url}/store` });
    const explanation = await stage.explain(
      `${stage.registry.host}/team/app:1`,
      policyOf({ docker: { "": [signedBy()] } }),
    );
    assert.equal(explanation.verdict, "rejected");
    assert.ok(
      explanation.manifests[0]!.lookup!.attempts.every(
        ({ outcome, status }) => outcome === "skipped" && status === 200,
      ),
    );
    assert.match(explanation.fix!.message, /web pages .* 404/);
  });

  test("names the signatures API where the registry announces it, and the request that it answered", async (t) => {
    const stage = await makeStage(t, { extension: true });
    const explanation = await stage.explain(
      `${stage.registry.host}/team/app:1`,
      policyOf({ docker: { "": [signedBy()] } }),
    );
    assert.equal(explanation.store.kind, "extension");
    assert.match(explanation.store.why[0]!, /announces the signatures API, which replaces the lookaside store/);
    const [attempt, ...more] = explanation.manifests[0]!.lookup!.attempts;
    assert.deepEqual([attempt!.outcome, attempt!.status, more], ["absent", 200, []]);
    assert.ok(attempt!.location.endsWith(`team/app/signatures/${stage.image.digest}`));
  });

  test("says that nothing names the store, and finds sigstore signatures that nobody asked for", async (t) => {
    const stage = await makeStage(t, { section: "docker: {}\n" });
    const name = `${stage.registry.host}/team/app:1`;
    const policy = policyOf({ docker: { "": [signedBy()] } });
    const bare = await stage.explain(name, policy);
    assert.equal(bare.store.isConfigured, false);
    assert.match(bare.store.why[0]!, /no section of registries\.d/);
    assert.match(bare.fix!.message, /--lookaside URL/);
    assert.deepEqual(bare.store.attachments?.enabled, false);
    const tag = `${stage.image.digest.replace(":", "-")}.sig`;
    await pushTestImage(stage.registry, `team/app:${tag}`, await buildTestImage({ seed: 9, format: "oci", layers: 2 }));
    const attached = await stage.explain(name, policy);
    assert.deepEqual(attached.manifests[0]!.attachments, { tag, count: 2 });
    assert.match(attached.fix!.command!, /-t sigstoreSigned/);
  });

  test("has all that can be told without the registry when it does not answer", async (t) => {
    const stage = await makeStage(t);
    const name = "127.0.0.1:1/team/app:1";
    const policy = policyOf({ docker: { "127.0.0.1:1/team": [signedBy()] } });
    const explanation = await stage.explain(name, policy);
    assert.deepEqual([explanation.verdict, explanation.error?.code], ["undetermined", "registry-unreachable"]);
    assert.equal(governing(explanation), "docker: 127.0.0.1:1/team");
    assert.equal(explanation.demands[0]!.keys[0]!.certificates.length, 1);
    assert.match(explanation.store.why.join("\n"), /could not be asked[^]*without such an API: no section/);
    assert.deepEqual([explanation.digest, explanation.manifests], [undefined, []]);
    assert.equal(explanation.fix!.check, "registry-unreachable");
  });

  test("names a key file that cannot be read, and what the signatures claim that it should have judged", async (t) => {
    const stage = await makeStage(t);
    const name = `${stage.registry.host}/team/app:1`;
    await stage.sign(stage.image.manifest, "team/app", name, stranger);
    const missing = { type: "signedBy", keyType: "GPGKeys", keyPath: stage.dir.join("missing.gpg") };
    const policy = policyOf({ docker: { "": [missing] } });
    const explanation = await stage.explain(name, policy);
    assert.equal(explanation.verdict, "undetermined");
    assert.equal(explanation.verdict, await stage.verdict(name, policy));
    assert.equal(explanation.demands[0]!.keys[0]!.error?.code, "file-missing");
    const [manifest] = explanation.manifests;
    assert.equal(manifest!.unjudged[0]!.claims.dockerReference, name);
    assert.equal(manifest!.examination!.evidence.requirements[0]!.verdict, "undetermined");
    assert.match(explanation.fix!.message, /missing\.gpg/);
  });

  test("of a rejection beside what could not be told is a rejection", async (t) => {
    const stage = await makeStage(t);
    const missing = { type: "signedBy", keyType: "GPGKeys", keyPath: stage.dir.join("missing.gpg") };
    const policy = policyOf({ docker: { "": [missing, { type: "reject" }] } });
    const explanation = await stage.explain(`${stage.registry.host}/team/app:1`, policy);
    assert.deepEqual([explanation.verdict, explanation.fix!.check], ["rejected", "policy-reject"]);
  });

  test("asks no store when the scope asks for no signature, and says so of the others", async (t) => {
    const stage = await makeStage(t);
    const host = stage.registry.host;
    const policy = policyOf({
      docker: { [`${host}/team`]: [{ type: "insecureAcceptAnything" }], [host]: [signedBy()] },
    });
    const explanation = await stage.explain(`${host}/team/app:1`, policy);
    assert.deepEqual([explanation.verdict, explanation.manifests[0]!.lookup], ["accepted", undefined]);
    assert.equal(explanation.scopes.find(({ scope }) => scope === host)!.verdict, "unknown");
    assert.deepEqual(explanation.store.kind, "lookaside");
  });

  test("includes a configuration of stores that cannot be read", async (t) => {
    const stage = await makeStage(t);
    const bad = stage.dir.join("bad");
    mkdirSync(bad);
    writeFileSync(`${bad}/x.yaml`, "docker: [1]\n");
    const host = { env: {}, uid: 1000, home: stage.dir.path, root: stage.dir.path };
    const error = await loadRegistriesD({ host, directory: bad }).then(
      () => assert.fail("it loads"),
      (thrown: unknown) => thrown as Exclude<ExplainOptions["registry"], undefined>,
    );
    const policy = policyOf({ docker: { "": [signedBy()] } });
    const explanation = await stage.explain(`${stage.registry.host}/team/app:1`, policy, { registry: error });
    assert.deepEqual([explanation.verdict, explanation.error?.code], ["undetermined", "registries-d-malformed"]);
    assert.equal(explanation.demands[0]!.keys[0]!.certificates.length, 1);
  });
});

describe("an explanation from files", () => {
  test("asks no network, and takes an image without signatures for unsigned", async (t) => {
    const stage = await makeStage(t);
    const manifest = stage.dir.join("manifest.json");
    writeFileSync(manifest, stage.image.manifest);
    const name = "registry.example.com/team/app:1";
    await stage.sign(stage.image.manifest, "team/app", name);
    const policy = policyOf({ docker: { "registry.example.com": [signedBy()] } });
    const requests = stage.registry.log.length;
    const unsigned = await stage.explain(name, policy, { offline: { manifests: [manifest] } });
    assert.deepEqual([unsigned.verdict, unsigned.store.kind], ["rejected", "none"]);
    assert.match(unsigned.store.why[0]!, /counts as unsigned/);
    const signed = await stage.explain(name, policy, {
      offline: { manifests: [manifest], signatures: stage.dir.join("sig") },
    });
    assert.equal(signed.verdict, "accepted");
    assert.equal(stage.registry.log.length, requests);
  });

  test("chooses the instance of a list among the manifests that were given", async (t) => {
    const stage = await makeStage(t);
    const files = [stage.index, ...stage.index.images].map(({ manifest }, index) => {
      writeFileSync(stage.dir.join(`m${index}`), manifest);
      return stage.dir.join(`m${index}`);
    });
    const policy = policyOf({ docker: { "": [{ type: "insecureAcceptAnything" }] } });
    const name = "registry.example.com/team/list:1";
    const whole = await stage.explain(name, policy, { offline: { manifests: files } });
    assert.deepEqual(
      whole.manifests.map(({ role, digest }) => [role, digest]),
      [["instance", stage.image.digest]],
    );
    const alone = await stage.explain(name, policy, { offline: { manifests: files.slice(0, 1) } });
    assert.equal(alone.verdict, "undetermined");
    assert.match(alone.manifests[0]!.error!.hint!, /another --manifest/);
  });

  test("holds a digest in the name against the manifest that was given", async (t) => {
    const stage = await makeStage(t);
    writeFileSync(stage.dir.join("m"), stage.image.manifest);
    const offline = { manifests: [stage.dir.join("m")] };
    const policy = policyOf({}, { type: "insecureAcceptAnything" });
    const right = await stage.explain(`registry.example.com/app@${stage.image.digest}`, policy, { offline });
    assert.equal(right.verdict, "accepted");
    const wrong = await stage.explain(`registry.example.com/app@sha256:${"0".repeat(64)}`, policy, { offline });
    assert.deepEqual([wrong.verdict, wrong.error?.code], ["undetermined", "digest-mismatch"]);
  });
});
