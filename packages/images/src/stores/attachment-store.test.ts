import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type Digest, OCI_MANIFEST_TYPE, type Reference, StoreError, parseDigest, parseReference } from "@signet/core";
import { type TestRegistry, type TestRegistryOptions, startTestRegistry } from "@signet/testkit";
import { failsWith, makeRegistryClients, realClock } from "@signet/testkit/hostile-registry";
import { attachmentStore } from "./attachment-store.ts";
import type { SignatureStore } from "./signature-store.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/dir-images");
const digest: Digest = parseDigest(`sha256:${"ab".repeat(32)}`);
const tag = `sha256-${"ab".repeat(32)}.sig`;

/** Signatures that cosign made, as containers/image keeps them in files. */
const cosignBlobs = (folder: string, ...numbers: number[]): Uint8Array[] =>
  numbers.map((number) => new Uint8Array(readFileSync(join(vectors, folder, `signature-${number}`))));

interface Stage {
  readonly registry: TestRegistry;
  readonly reference: Reference;
  readonly store: SignatureStore;
}

async function makeStage(t: TestContext, options: TestRegistryOptions = {}, enabled = true): Promise<Stage> {
  const registry = await startTestRegistry(options);
  t.after(() => registry.dispose());
  const reference = parseReference(`${registry.host}/team/app:1`);
  const client = makeRegistryClients(t).clientFor(registry.host);
  return { registry, reference, store: attachmentStore(client, { enabled, explanation: "section x of y.yaml" }) };
}

interface Tagged {
  readonly [member: string]: unknown;
  readonly layers: readonly { readonly digest: string; readonly annotations?: object }[];
  readonly config: { readonly digest: string; readonly mediaType: string };
}

const readJson = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());

function tagged(registry: TestRegistry): Tagged {
  return readJson(registry.manifest("team/app", tag)!.bytes) as Tagged;
}

void describe("sigstore attachments", () => {
  void it("give signatures of cosign back as they came, and lie in the registry as cosign writes them", async (t) => {
    const { registry, reference, store } = await makeStage(t);
    const blobs = [...cosignBlobs("cosign-valid-2", 1, 2), ...cosignBlobs("cosign-fulcio-rekor-valid", 1)];
    for (const blob of blobs) await store.add(reference, digest, blob);
    const { signatures } = await store.read(reference, digest);
    assert.deepEqual(
      signatures.map(({ bytes }) => Buffer.from(bytes).toString("latin1")),
      blobs.map((bytes) => Buffer.from(bytes).toString("latin1")),
    );
    const manifest = tagged(registry);
    assert.equal(manifest["mediaType"], OCI_MANIFEST_TYPE);
    assert.deepEqual(Object.keys(manifest.layers[2]!.annotations!).sort(), [
      "dev.cosignproject.cosign/signature",
      "dev.sigstore.cosign/bundle",
      "dev.sigstore.cosign/certificate",
      "dev.sigstore.cosign/chain",
    ]);
    assert.equal(manifest.config.mediaType, "application/vnd.oci.image.config.v1+json");
    const config = readJson(registry.blob("team/app", manifest.config.digest)!) as { readonly rootfs: object };
    assert.deepEqual(config.rootfs, { type: "layers", diff_ids: manifest.layers.map((layer) => layer.digest) });
  });

  void it("tell two signatures over one payload apart by their annotations", async (t) => {
    const { reference, store } = await makeStage(t);
    const [blob] = cosignBlobs("cosign-valid", 1);
    const other = Buffer.from(Buffer.from(blob!).toString("latin1").replace("MEYC", "MEUC"), "latin1");
    assert.notDeepEqual(Buffer.from(blob!), other);
    const first = await store.add(reference, digest, blob!);
    const second = await store.add(reference, digest, other);
    assert.notEqual(first, second);
    assert.equal(await store.add(reference, digest, blob!), first);
    assert.equal((await store.read(reference, digest)).signatures.length, 2);
  });

  void it("keep members and layers of a manifest that others wrote, and a config that is none of an image", async (t) => {
    const { registry, reference, store } = await makeStage(t);
    const payload = Buffer.from("something else");
    const layer = {
      mediaType: "text/x",
      size: payload.length,
      digest: registry.putBlob("team/app", payload),
      data: "QQ==",
    };
    const config = Buffer.from("{}");
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST_TYPE,
      config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2, digest: registry.putBlob("team/app", config) },
      layers: [layer],
      annotations: { a: "b" },
      other: { c: ["d"] },
    };
    registry.putManifest("team/app", tag, Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST_TYPE);
    await store.add(reference, digest, cosignBlobs("cosign-valid", 1)[0]!);
    const after = tagged(registry);
    assert.deepEqual({ ...after, layers: [after.layers[0]] }, manifest);
    assert.equal(after.layers.length, 2);
    assert.equal((await store.read(reference, digest)).signatures.length, 2);
  });

  for (const conditionalPuts of [true, false]) {
    void it(`lose none when many writers add at once, in a registry that ${conditionalPuts ? "knows" : "does not know"} conditional requests`, async (t) => {
      const { registry, reference } = await makeStage(t, { conditionalPuts });
      const blobs = [1, 2, 3, 4, 5, 6].map((number) =>
        Buffer.from(`\0sigstore-json\n{"mimeType":"text/x","payload":"${btoa(`p${number}`)}"}`, "latin1"),
      );
      await Promise.all(
        blobs.map((blob) => {
          const client = makeRegistryClients(t, { clock: realClock }).clientFor(registry.host);
          return attachmentStore(client, { enabled: true, explanation: "" }).add(reference, digest, blob);
        }),
      );
      const { signatures } = await attachmentStore(makeRegistryClients(t).clientFor(registry.host), {
        enabled: true,
        explanation: "",
      }).read(reference, digest);
      assert.equal(signatures.length, blobs.length);
      assert.equal(
        registry.log.some(({ status }) => status === 412),
        conditionalPuts,
      );
    });
  }

  const missing: readonly (readonly [string, number, string])[] = [
    ["MANIFEST_UNKNOWN", 404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`],
    ["MANIFEST_UNKNOWN with another status", 400, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`],
    ["NAME_UNKNOWN", 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"Image not found"}]}`],
    ["UNKNOWN, Not Found", 404, `{"errors":[{"code":"UNKNOWN","message":"Not Found"}]}`],
    ["UNKNOWN, words around it", 404, `{"errors":[{"code":"UNKNOWN","message":"artifact team/app:x NOT FOUND"}]}`],
    ["a code of Harbor's own", 404, `{"errors":[{"code":"NOT_FOUND","message":"artifact team/app not found"}]}`],
    ["a 404 without a body", 404, ""],
    ["a 404 with a page", 404, "<html>nothing here</html>"],
  ];
  for (const [title, status, body] of missing) {
    void it(`are none where the registry says so: ${title}`, async (t) => {
      const { registry, reference, store } = await makeStage(t);
      registry.addFaults({ path: `/v2/team/app/manifests/${tag}`, status, body });
      const reading = await store.read(reference, digest);
      assert.deepEqual(reading.signatures, []);
      assert.deepEqual(
        reading.attempts.map(({ outcome }) => outcome),
        ["absent"],
      );
    });
  }

  const unclear: readonly (readonly [string, number, string])[] = [
    ["forbidden", 403, ""],
    ["a 404 that speaks of access", 404, `{"errors":[{"code":"DENIED","message":"not found"}]}`],
    ["a 404 that speaks of a blob", 404, `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}`],
    ["UNKNOWN without these words", 404, `{"errors":[{"code":"UNKNOWN","message":"internal"}]}`],
    ["a server's error with these words", 500, `{"errors":[{"code":"UNKNOWN","message":"backend not found"}]}`],
    ["unavailable", 503, ""],
  ];
  for (const [title, status, body] of unclear) {
    void it(`T12: cannot be told where the registry says something else: ${title}`, async (t) => {
      const { registry, reference, store } = await makeStage(t);
      registry.addFaults({ path: `/v2/team/app/manifests/${tag}`, status, body, times: Infinity });
      await assert.rejects(store.read(reference, digest), StoreError);
      await assert.rejects(store.add(reference, digest, cosignBlobs("cosign-valid", 1)[0]!), StoreError);
    });
  }

  void it("refuse a manifest of another type, and to delete it", async (t) => {
    const { registry, reference, store } = await makeStage(t);
    const type = "application/vnd.oci.image.index.v1+json";
    registry.putManifest(
      "team/app",
      tag,
      Buffer.from(`{"schemaVersion":2,"mediaType":"${type}","manifests":[]}`),
      type,
    );
    const isRefused = failsWith("manifest-unsupported", /unexpected MIME type for sigstore attachment manifest/);
    await assert.rejects(store.read(reference, digest), isRefused);
    await assert.rejects(store.remove(reference, digest), isRefused);
    await assert.rejects(store.add(reference, digest, cosignBlobs("cosign-valid", 1)[0]!), isRefused);
  });

  void it("T13: refuse payloads that are not what the manifest names, or announced too large", async (t) => {
    const { registry, reference, store } = await makeStage(t);
    await store.add(reference, digest, cosignBlobs("cosign-valid", 1)[0]!);
    const [layer] = tagged(registry).layers;
    registry.tamper("team/app", layer!.digest, (bytes) => bytes.map((octet) => octet ^ 1));
    await assert.rejects(store.read(reference, digest), failsWith("digest-mismatch"));
    const text = Buffer.from(registry.manifest("team/app", tag)!.bytes).toString();
    const huge = text.replace(/"size":\d+,"digest":"sha256:[0-9a-f]{64}","annotations"/, (part) =>
      part.replace(/\d+/, "5000000"),
    );
    assert.notEqual(huge, text);
    registry.putManifest("team/app", tag, Buffer.from(huge), OCI_MANIFEST_TYPE);
    const before = registry.log.length;
    await assert.rejects(store.read(reference, digest), failsWith("input-too-large"));
    assert.ok(!registry.log.slice(before).some(({ path }) => path.includes("/blobs/")));
  });

  void it("are neither asked for nor written when registries.d has them off, and writing says how to switch them on", async (t) => {
    const { registry, reference, store } = await makeStage(t, {}, false);
    assert.deepEqual((await store.read(reference, digest)).signatures, []);
    for (const attempt of [
      store.add(reference, digest, cosignBlobs("cosign-valid", 1)[0]!),
      store.replace(reference, digest, cosignBlobs("cosign-valid", 1)),
      store.remove(reference, digest),
    ]) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof StoreError);
        assert.equal(error.code, "signature-store-unwritable");
        assert.match(error.message, /^writing sigstore attachments is disabled by configuration/);
        assert.match(error.hint!, /signet trust set SCOPE --attachments.*--remove-signatures/);
        return true;
      });
    }
    assert.deepEqual(registry.log, []);
  });

  void it("take no simple signing signature", async (t) => {
    const { reference, store } = await makeStage(t);
    const [, simple] = cosignBlobs("mixed", 1, 2);
    await assert.rejects(store.add(reference, digest, simple!), failsWith("signature-store-unwritable"));
  });
});
