/** Text that a database does not take as it is, and numbers that it does not give back: the doors say the same on both databases, and nothing fails. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { makeTestKey, writeTestMessage } from "@signet/testkit";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { OCI_MANIFEST, digestOf, pushBlob, putSignature } from "./threats.testing.ts";

const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
const types: Readonly<Record<string, string>> = {
  "a NUL": "test/a\0b",
  "a control character": "test/a\u001b[31m",
  "300 characters": `test/${"x".repeat(295)}`,
};
/** Of no use to an index or a clock; half of the long one would do for an index of PostgreSQL, were it not random. */
const claims: Readonly<Record<string, { reference?: string; optional?: object }>> = {
  "a NUL in the reference": { reference: "example.com/a\0b" },
  "a long reference": { reference: `example.com/${randomBytes(4_000).toString("hex")}` },
  "a NUL in the creator": { optional: { creator: "a\0b" } },
  "a time that no date can say": { optional: { timestamp: 9e15 } },
  "a time before all dates": { optional: { timestamp: -9e15 } },
};

forEachStorage(
  (make) => {
    void it("in positions and filters of lists finds what is there, or nothing", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      await using registry = await serveRegistry(undefined, {}, await storage.open());
      const digest = await pushImage(registry, "team/app", "v1");
      const get = (path: string) => registry.request("GET", path);
      for (const [path, expected] of [
        ["/v2/_catalog?last=team%00", '{"repositories":["team/app"]}'],
        ["/v2/_catalog?last=team/app%00x", '{"repositories":[]}'],
        ["/v2/team/app/tags/list?last=%00", '{"name":"team/app","tags":["v1"]}'],
        ["/extensions/v2/team/app/signatures?last=%00", '{"path":"team/app","signatures":[]}'],
      ] as const) {
        const { status, text } = await get(path);
        assert.deepEqual([status, text], [200, expected], path);
      }
      for (const query of ["?last=a%00", "?artifactType=a%00b", "?artifactType=%ff"]) {
        const { status, text } = await get(`/v2/team/app/referrers/${digest}${query}`);
        assert.deepEqual([status, (JSON.parse(text) as { manifests: unknown[] }).manifests], [200, []], query);
      }
      assert.equal((await get(`/extensions/v2/team/app/signatures/${digest}?view=all&last=%00`)).status, 200);
      assert.deepEqual(registry.failures, []);
    });

    for (const [name, type] of Object.entries(types)) {
      void it(`in the type of an artifact is refused: ${name}`, async (t) => {
        const storage = await make(t);
        if (storage === undefined) return;
        await using registry = await serveRegistry(undefined, {}, await storage.open());
        const config = { mediaType: "application/x", digest: await pushBlob(registry, "a", "{}"), size: 2 };
        const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] };
        for (const body of [
          JSON.stringify({ ...image, artifactType: type }),
          JSON.stringify({ ...image, config: { ...config, mediaType: type } }),
        ]) {
          const put = await registry.request("PUT", "/v2/a/manifests/v1", body, { "content-type": OCI_MANIFEST });
          assert.deepEqual([put.status, put.code], [400, "MANIFEST_INVALID"], put.text);
        }
        assert.deepEqual(registry.failures, []);
      });
    }

    for (const [name, { reference = "example.com/a", optional = {} }] of Object.entries(claims)) {
      void it(`in what a signature claims is no claim, and the signature is served: ${name}`, async (t) => {
        const storage = await make(t);
        if (storage === undefined) return;
        await using registry = await serveRegistry(undefined, {}, await storage.open());
        const digest = await pushImage(registry, "a", "v1");
        const critical = { image: { "docker-manifest-digest": digest }, identity: { "docker-reference": reference } };
        const payload = (type: string): string => JSON.stringify({ critical: { ...critical, type }, optional });
        const message = writeTestMessage(makeTestKey("ed25519"), Buffer.from(payload("atomic container signature")));
        assert.equal((await putSignature(registry, "a", { digest }, message)).status, 201);
        await pushAttachment(registry, digest, payload("cosign container image signature"));
        for (const path of [`/extensions/v2/a/signatures/${digest}?view=all`, "/extensions/v2/a/signatures"]) {
          const { status, text } = await registry.request("GET", path);
          assert.equal(status, 200, text);
          const { signatures } = JSON.parse(text) as { signatures: { unverifiedClaims: Record<string, string> }[] };
          assert.equal(signatures.length, 2);
          for (const { unverifiedClaims } of signatures) {
            assert.equal(unverifiedClaims["reference"], reference === "example.com/a" ? reference : undefined);
            assert.deepEqual([unverifiedClaims["creator"], unverifiedClaims["signedAt"]], [undefined, undefined]);
          }
        }
        const file = `/lookaside/a@${digest.replace(":", "=")}/signature-1`;
        assert.deepEqual((await registry.request("GET", file)).bytes, Buffer.from(message));
        assert.deepEqual(registry.failures, []);
      });
    }
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "filesystem"],
  ],
);

async function pushImage(registry: ServedRegistry, path: string, tag: string): Promise<string> {
  const config = { mediaType: "application/x", digest: await pushBlob(registry, path, "{}"), size: 2 };
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] });
  const headers = { "content-type": OCI_MANIFEST };
  assert.equal((await registry.request("PUT", `/v2/${path}/manifests/${tag}`, body, headers)).status, 201);
  return digestOf(body);
}

/** A signature as cosign attaches it, with this payload. */
async function pushAttachment(registry: ServedRegistry, subject: string, payload: string): Promise<void> {
  const config = { mediaType: "application/x", digest: digestOf("{}"), size: 2 };
  const layer = {
    mediaType: SIMPLE_SIGNING,
    digest: await pushBlob(registry, "a", payload),
    size: Buffer.byteLength(payload),
    annotations: { "dev.cosignproject.cosign/signature": "AAAA" },
  };
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] });
  const path = `/v2/a/manifests/${subject.replace(":", "-")}.sig`;
  const put = await registry.request("PUT", path, body, { "content-type": OCI_MANIFEST });
  assert.equal(put.status, 201, put.text);
}
