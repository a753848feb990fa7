import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";
import { type Digest, OCI_INDEX_TYPE, parseDigest } from "@signet/core";
import {
  type TestImage,
  type TestRegistry,
  type TestRegistryOptions,
  buildTestImage,
  pushTestImage,
  pushTestReferrer,
  pushTestReferrersTag,
  startTestRegistry,
} from "@signet/testkit";
import { failsWith, makeRegistryClients, realClock } from "@signet/testkit/hostile-registry";
import type { RawManifest } from "../transports/transport.ts";
import type { RegistryClient } from "./client.ts";
import { companionTag, isCompanionTag, referrersTag } from "./companion-tags.ts";

const SPDX = "application/spdx+json";

interface Stage {
  readonly registry: TestRegistry;
  readonly client: RegistryClient;
  readonly image: TestImage;
  readonly digest: Digest;
}

async function makeStage(t: TestContext, options: TestRegistryOptions = {}): Promise<Stage> {
  const registry = await startTestRegistry(options);
  t.after(() => registry.dispose());
  const image = await buildTestImage();
  await pushTestImage(registry, "app:1", image);
  const client = makeRegistryClients(t).clientFor(registry.host);
  return { registry, client, image, digest: parseDigest(image.digest) };
}

const raw = (registry: TestRegistry, digest: string): RawManifest => {
  const { bytes, mediaType } = registry.manifest("made", digest)!;
  return { bytes, digest: parseDigest(digest), declaredMediaType: mediaType };
};

void describe("referrers", () => {
  void it("are listed by the API, page by page, and by type", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrersPageSize: 2 });
    for (let number = 0; number < 5; number++)
      await pushTestReferrer(registry, "app", image, number === 3 ? "text/other" : SPDX, `n${number}`);
    const all = await client.listReferrers("app", digest);
    assert.equal(all.referrers.length, 5);
    assert.equal(all.from, "api");
    assert.equal(all.referrers[0]?.artifactType, SPDX);
    assert.equal(all.referrers[0].annotations.get("com.example.payload"), "n0");
    assert.equal((await client.listReferrers("app", digest, { artifactType: "text/other" })).referrers.length, 1);
  });

  void it("are held against the type that was asked for when the registry passes it over", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrers: false });
    const one = await pushTestReferrer(registry, "app", image, SPDX, "one");
    await pushTestReferrersTag(registry, "app", image.digest, [one], SPDX);
    assert.equal((await client.listReferrers("app", digest, { artifactType: SPDX })).referrers.length, 1);
    assert.equal((await client.listReferrers("app", digest, { artifactType: "text/x" })).referrers.length, 0);
  });

  for (const [title, fault] of [
    ["404", { status: 404, body: "404 page not found" }],
    ["400", { status: 400 }],
    ["405", { status: 405 }],
    ["406", { status: 406 }],
    ["a page of its own", { body: "<html>", headers: { "content-type": "text/html" } }],
  ] as const) {
    void it(`are looked for under the tag where the registry does not know the API: ${title}`, async (t) => {
      const { registry, client, image, digest } = await makeStage(t);
      const one = await pushTestReferrer(registry, "app", image, SPDX, "one");
      await pushTestReferrersTag(registry, "app", image.digest, [one, one], SPDX);
      registry.addFaults({ path: /\/referrers\//, ...fault });
      const list = await client.listReferrers("app", digest);
      assert.equal(list.from, "tag");
      assert.deepEqual(
        list.referrers.map((referrer) => referrer.digest),
        [one.digest],
      );
      // Asked once; the repository is known from then on.
      await client.listReferrers("app", digest);
      assert.equal(registry.log.filter(({ path }) => path.includes("/referrers/")).length, 1);
    });
  }

  for (const status of [401, 403, 429, 500, 502]) {
    void it(`T12: cannot be told when the registry answers ${status}`, async (t) => {
      const { registry, client, digest } = await makeStage(t);
      registry.addFaults({ path: /\/referrers\//, status, times: Infinity });
      await assert.rejects(client.listReferrers("app", digest), { status });
    });
  }

  void it("cannot be told when a later page, or the tag, does not come", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrersPageSize: 1 });
    for (const payload of ["a", "b"]) await pushTestReferrer(registry, "app", image, SPDX, payload);
    registry.addFaults({ path: /\/referrers\//, from: 2, status: 404 });
    await assert.rejects(client.listReferrers("app", digest), { status: 404 });
    registry.clearFaults();
    registry.addFaults({ path: /\/referrers\//, status: 404 }, { path: /manifests\/sha256-/, status: 500 });
    await assert.rejects(client.listReferrers("app", digest), { status: 500 });
  });

  void it("T13: are not read without end, nor from another host, nor when they are no list", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrersPageSize: 1 });
    for (const payload of ["a", "b"]) await pushTestReferrer(registry, "app", image, SPDX, payload);
    const path = `/v2/app/referrers/${digest}`;
    registry.addFaults({ path, headers: { link: `<${path}?start=0>; rel="next"` }, times: Infinity });
    await assert.rejects(client.listReferrers("app", digest), failsWith("registry-error", /more than 100 pages/));
    registry.clearFaults();
    registry.addFaults({ path, headers: { link: `<http://elsewhere.example${path}>; rel="next"` } });
    await assert.rejects(client.listReferrers("app", digest), failsWith("registry-url-refused"));
    registry.clearFaults();
    const entry = { mediaType: SPDX, digest, size: 1 };
    const many = JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: 1001 }, () => entry) });
    for (const [body, code] of [
      [many, "input-too-large"],
      ["{}", "manifest-malformed"],
      [`{"schemaVersion":2,"manifests":[{"mediaType":"x","size":1,"digest":"sha256:../x"}]}`, "digest-malformed"],
      [`{"schemaVersion":2,"manifests":[],"layers":[]}`, "manifest-malformed"],
      [`{"schemaVersion":2,"Manifests":[],"manifests":[]}`, "manifest-malformed"],
    ] as const) {
      registry.addFaults({ path, body, headers: { "content-type": OCI_INDEX_TYPE } });
      await assert.rejects(client.listReferrers("app", digest), failsWith(code));
    }
  });

  void it("are listed by the registry that says so, and by the tag elsewhere, whose other entries and members stay", async (t) => {
    for (const referrers of [true, false]) {
      const { registry, client, image, digest } = await makeStage(t, { referrers });
      const made = [];
      for (const payload of ["a", "b"]) made.push(await pushTestReferrer(registry, "made", image, SPDX, payload));
      for (const blob of ["{}", "a", "b"]) registry.putBlob("app", Buffer.from(blob));
      const tag = referrersTag(digest);
      const foreign = { mediaType: "text/x", digest: image.digest, size: 1, data: "QQ==" };
      const before = { schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [foreign], annotations: { k: "v" } };
      registry.putManifest("app", tag, Buffer.from(JSON.stringify(before)), OCI_INDEX_TYPE);
      await client.storeReferrers(
        "app",
        digest,
        made.map((one) => raw(registry, one.digest)),
      );
      await client.storeReferrers(
        "app",
        digest,
        made.map((one) => raw(registry, one.digest)),
      );
      const after = JSON.parse(Buffer.from(registry.manifest("app", tag)!.bytes).toString()) as typeof before;
      assert.deepEqual({ ...after, manifests: [after.manifests[0]] }, before);
      assert.deepEqual(
        after.manifests.slice(1).map((one) => one.digest),
        referrers ? [] : made.map((one) => one.digest),
      );
      if (!referrers) {
        assert.deepEqual(after.manifests[1], {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: made[0]!.digest,
          size: made[0]!.manifest.length,
          artifactType: SPDX,
          annotations: { "com.example.payload": "a" },
        });
        await client.removeFromReferrersTag("app", digest, new Set([parseDigest(made[0]!.digest)]));
        const left = await client.listReferrers("app", digest);
        assert.deepEqual(
          left.referrers.map((one) => one.digest),
          [foreign.digest, made[1]!.digest],
        );
      }
    }
  });

  void it("are not lost when several write at once, and not written over something that is no list", async (t) => {
    const { registry, image, digest } = await makeStage(t, { referrers: false });
    const made: string[] = [];
    for (let number = 0; number < 5; number++) {
      registry.putBlob("app", Buffer.from(`n${number}`));
      made.push((await pushTestReferrer(registry, "made", image, SPDX, `n${number}`)).digest);
    }
    registry.putBlob("app", Buffer.from("{}"));
    await Promise.all(
      made.map((one) => {
        const client = makeRegistryClients(t, { clock: realClock }).clientFor(registry.host);
        return client.storeReferrers("app", digest, [raw(registry, one)]);
      }),
    );
    const client = makeRegistryClients(t).clientFor(registry.host);
    const { referrers } = await client.listReferrers("app", digest);
    assert.deepEqual(referrers.map((one) => one.digest).sort(), made.toSorted());
    registry.putManifest("app", referrersTag(digest), image.manifest, image.mediaType);
    await assert.rejects(
      client.storeReferrers("app", digest, [raw(registry, made[0]!)]),
      failsWith("manifest-malformed"),
    );
    const list = await client.listReferrers("app", digest);
    assert.deepEqual(list.referrers, []);
    assert.match(list.warnings.join(), /is no list of referrers/);
  });

  void it("replace those whose manifests are gone when the registry takes no list with gaps", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrers: false });
    const { digest: one } = await pushTestReferrer(registry, "made", image, SPDX, "a");
    for (const blob of ["{}", "a"]) registry.putBlob("app", Buffer.from(blob));
    const gone = { ...image, digest: `sha256:${"1".repeat(64)}` };
    const bytes = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX_TYPE,
      manifests: [gone, image].map((entry) => ({ mediaType: "text/x", digest: entry.digest, size: 1 })),
    });
    registry.putManifest("app", referrersTag(digest), Buffer.from(bytes), OCI_INDEX_TYPE);
    await client.storeReferrers("app", digest, [raw(registry, one)]);
    const { referrers } = await client.listReferrers("app", digest);
    assert.deepEqual(
      referrers.map((entry) => entry.digest),
      [image.digest, one],
    );
  });

  void it("gives up on a tag that others change all the time", async (t) => {
    const { registry, client, image, digest } = await makeStage(t, { referrers: false, conditionalPuts: true });
    const { digest: one } = await pushTestReferrer(registry, "made", image, SPDX, "a");
    for (const blob of ["{}", "a"]) registry.putBlob("app", Buffer.from(blob));
    registry.addFaults({ method: "PUT", path: /manifests\/sha256-/, status: 412, times: Infinity });
    await assert.rejects(client.storeReferrers("app", digest, [raw(registry, one)]), failsWith("store-busy"));
  });
});

void describe("tags of companions", () => {
  const hex = "ab".repeat(32);
  void it("are cosign's and the specification's", () => {
    const sha256 = parseDigest(`sha256:${hex}`);
    const sha512 = parseDigest(`sha512:${hex}${hex}`);
    assert.equal(companionTag(sha256, "sig"), `sha256-${hex}.sig`);
    assert.equal(companionTag(sha512, "sig"), undefined);
    assert.equal(referrersTag(sha256), `sha256-${hex}`);
    assert.equal(referrersTag(sha512), `sha512-${hex}`);
  });

  void it("are told from other tags", () => {
    for (const tag of [
      `sha256-${hex}`,
      `sha512-${hex}`,
      `sha256-${hex}.sig`,
      `sha256-${hex}.att`,
      `sha256-${hex}.sbom`,
    ])
      assert.ok(isCompanionTag(tag), tag);
    for (const tag of ["latest", `sha256-${hex}.exe`, `sha256-${hex}0`, `x-sha256-${hex}`, `sha512-${hex}.sig`])
      assert.ok(!isCompanionTag(tag), tag);
  });
});
