import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type Digest, type Reference, parseReference, sha256Digest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type TestRegistry, makeTempDir, startTestRegistry } from "@signet/testkit";
import { failsWith, makeRegistryClients } from "@signet/testkit/hostile-registry";
import { loadRegistriesD } from "../config/registries-d.ts";
import { chooseSignatureStore } from "./choose-store.ts";
import type { SignatureStore } from "./signature-store.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/dir-images");
const simple = new Uint8Array(readFileSync(join(vectors, "valid", "signature-1")));
const sigstore = new Uint8Array(readFileSync(join(vectors, "cosign-valid", "signature-1")));
const manifest = new TextEncoder().encode("the manifest");
const digest: Digest = sha256Digest(manifest, nodeEngine);

interface Stage {
  readonly registry: TestRegistry;
  readonly reference: Reference;
  readonly store: SignatureStore;
  readonly explanation: readonly string[];
  /** Where simple signing's signatures are written to. */
  readonly folder: string;
}

async function makeStage(t: TestContext, section: string, signaturesExtension = false): Promise<Stage> {
  const registry = await startTestRegistry({ signaturesExtension });
  t.after(() => registry.dispose());
  registry.putManifest("team/app", digest, manifest, "text/plain");
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  mkdirSync(dir.join("registries.d"));
  writeFileSync(
    dir.join("registries.d", "test.yaml"),
    `default-docker: {lookaside: "file://${dir.join("store")}"}\ndocker: {"${registry.host}": ${section}}\n`,
  );
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const reference = parseReference(`${registry.host}/team/app:1`);
  const clients = makeRegistryClients(t);
  const { store, explanation } = await chooseSignatureStore(clients.clientFor(registry.host), reference, {
    registriesD,
    clients,
  });
  return { registry, reference, store, explanation, folder: dir.join("store", `team/app@${digest.replace(":", "=")}`) };
}

const contents = async ({ store, reference }: Stage): Promise<Buffer[]> =>
  (await store.read(reference, digest)).signatures.map(({ bytes }) => Buffer.from(bytes));

void describe("the store of an image in a registry", () => {
  void it("tidies what a writer that was killed left behind", async (t) => {
    const { store, reference, folder } = await makeStage(t, "{use-sigstore-attachments: true}");
    await store.add(reference, digest, simple);
    writeFileSync(join(folder, `.signature-2.signet-${"0".repeat(16)}`), simple);
    await store.tidy?.(reference, digest);
    assert.deepEqual(readdirSync(folder), ["signature-1"]);
  });

  void it("reads attachments after the others, and writes each signature to the place of its kind", async (t) => {
    const stage = await makeStage(t, "{use-sigstore-attachments: true}");
    const { store, reference, registry } = stage;
    assert.match(stage.explanation.join("\n"), /sigstore attachments as well: docker: .*use-sigstore-attachments/);
    await store.replace(reference, digest, [sigstore, simple]);
    assert.deepEqual(await contents(stage), [Buffer.from(simple), Buffer.from(sigstore)]);
    assert.ok(registry.manifest("team/app", `${digest.replace(":", "-")}.sig`) !== undefined);
    assert.match((await store.read(reference, digest)).store, /^file:.* and .*\(sigstore attachments\)$/);
    // Sigstore signatures alone do not take the others away.
    await store.replace(reference, digest, [sigstore]);
    assert.equal((await contents(stage)).length, 2);
    await store.remove(reference, digest);
    assert.deepEqual(await contents(stage), []);
  });

  void it("reads attachments beside the signatures API as well", async (t) => {
    const stage = await makeStage(t, "{use-sigstore-attachments: true}", true);
    assert.equal(stage.store.appendOnly, true);
    for (const blob of [sigstore, simple]) await stage.store.add(stage.reference, digest, blob);
    assert.deepEqual(await contents(stage), [Buffer.from(simple), Buffer.from(sigstore)]);
  });

  void it("refuses sigstore signatures where attachments are off, rather than put them where nobody looks", async (t) => {
    const stage = await makeStage(t, "{}");
    const { store, reference, registry } = stage;
    assert.equal(store.unwritableFor?.(simple), undefined);
    assert.match(store.unwritableFor?.(sigstore) ?? "", /^writing sigstore attachments is disabled by configuration/);
    const isRefused = failsWith("signature-store-unwritable", /disabled by configuration/);
    await assert.rejects(store.add(reference, digest, sigstore), isRefused);
    await assert.rejects(store.replace(reference, digest, [sigstore]), isRefused);
    assert.deepEqual(await contents(stage), []);
    assert.ok(!registry.log.some(({ path }) => path.includes(".sig")));
  });
});
