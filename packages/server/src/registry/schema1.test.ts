/** Images of docker schema 1 at every door: taken where the configuration says so, read always. */
import assert from "node:assert/strict";
import { type TestContext, describe, it, test } from "node:test";
import {
  TEST_SCHEMA1_SIGNED_TYPE as SIGNED,
  TEST_SCHEMA1_TYPE as UNSIGNED,
  type TestSchema1Image,
  buildTestSchema1,
  httpPushTarget,
  makeTestSchema1,
  pushTestSchema1,
} from "@signet/testkit";
import { type Finding, checkContent } from "../content/check.ts";
import { DEFAULT_GRACE_MS, collectGarbage } from "../content/collection.ts";
import { repairFinding } from "../content/repair.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { type MakeStorage, forEachStorage } from "../storage-pairs.testing.ts";
import { setPullPolicy } from "../trust/pull-policy.ts";
import { makeAuthor, makeSigner } from "../trust/trust.testing.ts";
import { addTrustedKey, withdrawKey } from "../trust/trusted-keys.ts";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { OCI_INDEX, digestOf, listSignatures, lookaside, putSignature } from "./threats.testing.ts";

const NAME = "registry.example.com";
const author = makeAuthor(Date.now());
const options = { names: [NAME], takesSchema1: true };
const rights = (account: string, action: string): boolean => account !== "reader" || action === "pull";

const put = (
  registry: ServedRegistry,
  reference: string,
  body: string,
  type: string = SIGNED,
  path = "team/app",
): Promise<Answer> => registry.request("PUT", `/v2/${path}/manifests/${reference}`, body, { "content-type": type });

async function pushLayers(registry: ServedRegistry, { layers }: TestSchema1Image, path = "team/app"): Promise<void> {
  for (const { bytes } of layers) await httpPushTarget(registry.url).putBlob(path, bytes);
}

async function check({ database, blobs }: ServedRegistry, withContent = true): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of checkContent(database, blobs, { withContent, straysBefore: Date.now() + 1_000 }))
    findings.push(finding);
  return findings;
}

/** What a client is told of one. */
function described({ status, headers, text }: Answer): unknown {
  return [status, headers.get("content-type"), headers.get("docker-content-digest"), text];
}

void describe("a push of schema 1", () => {
  void it("is refused by default, and the refusal names the key", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestSchema1();
    await pushLayers(registry, image);
    for (const [body, type] of [
      [image.sign(), SIGNED],
      [image.payload, UNSIGNED],
      [image.sign(), "application/json"],
    ] as const) {
      for (const reference of ["1", image.digest]) {
        const { status, code, text } = await put(registry, reference, body, type);
        assert.deepEqual([status, code], [400, "MANIFEST_INVALID"]);
        assert.match(text, /push\.dockerSchema1/);
      }
    }
    assert.equal((await registry.request("GET", `/v2/team/app/manifests/${image.digest}`)).status, 404);
  });

  void it("that is larger than clients read is refused, and so is one with more bytes of signatures than are checked", async () => {
    await using registry = await serveRegistry(undefined, options);
    const image = await buildTestSchema1();
    await pushLayers(registry, image);
    const large = await put(registry, "1", `${image.payload}${" ".repeat(4 * 1024 * 1024)}`, UNSIGNED);
    assert.deepEqual([large.status, large.code], [413, "MANIFEST_INVALID"]);
    const padded = await put(
      registry,
      "1",
      image.sign().replace('"signatures":', `"signatures":${" ".repeat(70_000)}`),
    );
    assert.deepEqual([padded.status, padded.code], [400, "MANIFEST_INVALID"]);
  });
});

forEachStorage((make) => {
  const open = async (t: TestContext, makeIt: MakeStorage = make) => await (await makeIt(t))?.open();

  test("signed and unsigned ones are taken by tag and by digest, and read by the digest of their payload", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    await using registry = await serveRegistry(undefined, options, storage);
    const kinds: readonly (readonly [TestSchema1Image, string, string])[] = await Promise.all(
      [1, 2, 3, 4].map(async (seed) => {
        const image = await buildTestSchema1({ seed, layers: 2 });
        return seed % 2 === 0 ? ([image, image.payload, UNSIGNED] as const) : ([image, image.sign(), SIGNED] as const);
      }),
    );
    for (const [index, [image, body, type]] of kinds.entries()) {
      const early = await put(registry, "1", body, type);
      assert.deepEqual([early.status, early.code], [404, "MANIFEST_BLOB_UNKNOWN"]);
      await pushLayers(registry, image);
      const reference = index < 2 ? "1" : image.digest;
      const { status, headers, text } = await put(registry, reference, body, type);
      assert.equal(status, 201, text);
      assert.equal(headers.get("docker-content-digest"), image.digest);
      assert.equal(headers.get("location"), `/v2/team/app/manifests/${image.digest}`);
      assert.equal(headers.get("oci-subject"), null);
      for (const accept of ["*/*", "application/vnd.docker.distribution.manifest.v2+json", SIGNED]) {
        for (const asked of [reference, image.digest]) {
          const path = `/v2/team/app/manifests/${asked}`;
          const got = await registry.request("GET", path, undefined, { accept });
          assert.deepEqual(described(got), [200, type, image.digest, body]);
          const head = await registry.request("HEAD", path, undefined, { accept });
          assert.deepEqual(described(head), [200, type, image.digest, ""]);
          assert.equal(head.headers.get("content-length"), String(Buffer.byteLength(body)));
          // Other bytes can have the digest, so the tag is theirs, and nobody keeps them unasked.
          const etag = got.headers.get("etag")!;
          assert.deepEqual([etag, got.headers.get("cache-control")], [`"${digestOf(body)}"`, "no-cache"]);
          assert.equal((await registry.request("GET", path, undefined, { "if-none-match": etag })).status, 304);
        }
      }
    }
    const tags = await registry.request("GET", "/v2/team/app/tags/list");
    assert.deepEqual(JSON.parse(tags.text), { name: "team/app", tags: ["1"] });
    assert.deepEqual(await check(registry), []);
    assert.deepEqual(registry.failures, []);
  });

  test("of two bodies with one digest the first stays, in whichever repository", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    await using registry = await serveRegistry(undefined, options, storage);
    const image = await buildTestSchema1();
    for (const path of ["team/app", "other/app"]) await pushLayers(registry, image, path);
    const [first, second] = [image.sign(), image.sign()];
    assert.notEqual(first, second);
    assert.equal((await put(registry, "1", first)).status, 201);
    for (const [body, type] of [
      [second, SIGNED],
      [image.payload, UNSIGNED],
    ] as const) {
      for (const path of ["team/app", "other/app"]) {
        const again = await put(registry, "1", body, type, path);
        assert.deepEqual([again.status, again.headers.get("docker-content-digest")], [201, image.digest]);
        const got = await registry.request("GET", `/v2/${path}/manifests/1`);
        assert.deepEqual(described(got), [200, SIGNED, image.digest, first]);
      }
    }
    assert.deepEqual(await check(registry), []);
    // Once nobody has it any more, another body may come, which is told from the first one.
    const before = (await registry.request("GET", `/v2/team/app/manifests/${image.digest}`)).headers.get("etag")!;
    for (const path of ["team/app", "other/app"])
      assert.equal((await registry.request("DELETE", `/v2/${path}/manifests/${image.digest}`)).status, 202);
    const { database, blobs } = storage;
    const collected = await collectGarbage(database, blobs, {
      now: Date.now() + DEFAULT_GRACE_MS + 60_000,
      withStrays: true,
    });
    assert.deepEqual([collected.manifests, collected.blobs], [1, image.layers.length]);
    await pushLayers(registry, image);
    assert.equal((await put(registry, "1", second)).status, 201);
    const got = await registry.request("GET", `/v2/team/app/manifests/${image.digest}`, undefined, {
      "if-none-match": before,
    });
    assert.deepEqual(described(got), [200, SIGNED, image.digest, second]);
    assert.deepEqual(registry.failures, []);
  });

  test("layers are held and collected, count for the quota, and go with the image", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    const { database, blobs } = storage;
    await using registry = await serveRegistry(undefined, options, storage);
    const [kept, gone] = [await buildTestSchema1({ seed: 1, layers: 2 }), await buildTestSchema1({ seed: 2 })];
    const [keptBody, goneBody] = [kept.sign(), gone.sign()];
    await pushTestSchema1(httpPushTarget(registry.url), "team/app:kept", kept, keptBody);
    await pushTestSchema1(httpPushTarget(registry.url), "team/app:gone", gone, goneBody);
    const used = [...kept.layers, ...gone.layers].reduce((sum, { bytes }) => sum + bytes.length, 0);
    const set = (quotaBytes: number): Promise<unknown> =>
      changeRepositorySettings(database, "team/app", { quotaBytes }, "admin", Date.now());
    const third = makeTestSchema1(kept, { tag: "3" });
    const body = third.sign();
    const total = used + Buffer.byteLength(keptBody) + Buffer.byteLength(goneBody) + Buffer.byteLength(body);
    await set(total - 1);
    const over = await put(registry, "3", body);
    assert.deepEqual([over.status, over.code], [403, "DENIED"]);
    await set(total);
    assert.equal((await put(registry, "3", body)).status, 201);

    const layer = `/v2/team/app/blobs/${gone.layers[0]!.digest}`;
    const held = await registry.request("DELETE", layer);
    assert.deepEqual([held.status, held.code], [405, "UNSUPPORTED"]);
    assert.equal((await registry.request("DELETE", `/v2/team/app/manifests/${gone.digest}`)).status, 202);
    assert.equal((await registry.request("GET", layer)).status, 404);
    const collected = await collectGarbage(database, blobs, {
      now: Date.now() + DEFAULT_GRACE_MS + 60_000,
      withStrays: true,
    });
    assert.deepEqual([collected.manifests, collected.blobs], [1, gone.layers.length]);
    for (const { digest } of kept.layers)
      assert.equal((await registry.request("GET", `/v2/team/app/blobs/${digest}`)).status, 200);
    assert.deepEqual(described(await registry.request("GET", "/v2/team/app/manifests/kept")), [
      200,
      SIGNED,
      kept.digest,
      keptBody,
    ]);
    assert.deepEqual(await check(registry), []);
    assert.deepEqual(registry.failures, []);
  });

  test("a push by digest alone is kept, and a list may name it by what it is stored as", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    const { database, blobs } = storage;
    await using registry = await serveRegistry(undefined, options, storage);
    const image = await buildTestSchema1();
    const body = image.sign();
    await pushLayers(registry, image);
    assert.equal((await put(registry, image.digest, body)).status, 201);
    const list = (mediaType: string, size: number): string =>
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [{ mediaType, size, digest: image.digest, platform: { architecture: "amd64", os: "linux" } }],
      });
    for (const [mediaType, size] of [
      [UNSIGNED, Buffer.byteLength(image.payload)],
      [SIGNED, Buffer.byteLength(image.payload)],
      [UNSIGNED, Buffer.byteLength(body)],
    ] as const) {
      const wrong = await put(registry, "list", list(mediaType, size), OCI_INDEX);
      assert.deepEqual([wrong.status, wrong.code], [400, "MANIFEST_INVALID"]);
    }
    assert.equal((await put(registry, "list", list(SIGNED, Buffer.byteLength(body)), OCI_INDEX)).status, 201);
    await collectGarbage(database, blobs, { now: Date.now() + DEFAULT_GRACE_MS + 60_000, withStrays: true });
    assert.equal((await registry.request("GET", `/v2/team/app/manifests/${image.digest}`)).text, body);
    assert.deepEqual(await check(registry), []);
  });

  test("a check finds changed bytes, lost rows and missing layers, and a repair mends what can be", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    const { database, blobs } = storage;
    await using registry = await serveRegistry(undefined, options, storage);
    const image = await buildTestSchema1({ layers: 2 });
    const body = image.sign();
    await pushTestSchema1(httpPushTarget(registry.url), "team/app:1", image, body);
    const store = async (bytes: string, mediaType: string): Promise<void> => {
      await database.write(async (writer) => {
        await writer
          .updateTable("manifest")
          .set({ bytes: Buffer.from(bytes), size: bytes.length, media_type: mediaType })
          .execute();
      });
    };
    const faults = async (withContent: boolean): Promise<readonly string[]> =>
      (await check(registry, withContent)).map((finding) => finding.fault);
    for (const withContent of [false, true]) {
      for (const [damaged, type] of [
        [body.replace('"tag":"1"', '"tag":"2"'), SIGNED],
        // Beside the payload, which the digest does not cover.
        [body.replace(/"signature":"(.)/, (_, first) => `"signature":"${first === "A" ? "B" : "A"}`), SIGNED],
        [image.payload.replace('"tag":"1"', '"tag":"2"'), UNSIGNED],
        [body.slice(0, -1), SIGNED],
        [body, UNSIGNED],
        ["{}", SIGNED],
      ] as const) {
        await store(damaged, type);
        assert.deepEqual(await faults(withContent), ["manifest-wrong"], damaged);
        const [finding] = await check(registry, withContent);
        assert.deepEqual(await repairFinding(database, blobs, finding!, Date.now()), { repaired: false });
      }
      // As a row put in by hand has it: the other form of the same image.
      for (const [bytes, type] of [
        [image.payload, UNSIGNED],
        [image.sign(), SIGNED],
        [body, SIGNED],
      ] as const) {
        await store(bytes, type);
        assert.deepEqual(await faults(withContent), []);
      }
      const [layer] = image.layers;
      await database.write(async (writer) => {
        await writer.deleteFrom("manifest_blob").where("blob_digest", "=", layer!.digest).execute();
      });
      const [links] = await check(registry, withContent);
      assert.equal(links?.fault, "manifest-links-wrong");
      assert.equal((await repairFinding(database, blobs, links, Date.now())).repaired, true);
      assert.deepEqual(await faults(withContent), []);
    }
    const [layer] = image.layers;
    const row = await database.read
      .selectFrom("blob")
      .select("location")
      .where("digest", "=", layer!.digest)
      .executeTakeFirstOrThrow();
    await blobs.remove(row.location);
    const [missing] = await check(registry);
    assert.equal(missing?.fault, "blob-bytes-missing");
    assert.equal((await repairFinding(database, blobs, missing, Date.now())).repaired, true);
    assert.deepEqual(await faults(true), ["unit-missing"]);
    await pushTestSchema1(httpPushTarget(registry.url), "team/app:1", image, body);
    assert.deepEqual(await faults(true), []);
    assert.deepEqual(registry.failures, []);
  });

  test("signatures name its payload's digest, at the extension and in the lookaside tree, and a pull policy goes by them", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    const { database } = storage;
    await using registry = await serveRegistry(rights, options, storage);
    const image = await buildTestSchema1();
    const body = image.sign();
    await pushTestSchema1(httpPushTarget(registry.url), "team/app:1", image, body);
    const signer = await makeSigner(undefined, Date.now());
    await addTrustedKey(database, signer.publicKey, "", author);
    const requirements = '[{"type":"signedBy","keyType":"GPGKeys","keyPath":"server:keyring"}]';
    await setPullPolicy(database, "team/app", { mode: "enforce", requirements }, author);
    const pull = (reference: string, more: Record<string, string> = {}): Promise<Answer> =>
      registry.request("GET", `/v2/team/app/manifests/${reference}`, undefined, {
        "x-test-account": "reader",
        ...more,
      });
    for (const reference of ["1", image.digest]) {
      for (const more of [{}, { "if-none-match": `"${digestOf(body)}"` }])
        assert.deepEqual([(await pull(reference, more)).status, (await pull(reference, more)).code], [403, "DENIED"]);
    }
    // About its bytes: no client looks for that.
    const wrong = await signer.sign(Buffer.from(`${body}\n`), `${NAME}/team/app:1`, Date.now());
    assert.equal((await putSignature(registry, "team/app", { digest: digestOf(body) }, wrong)).status, 400);
    const bytes = await signer.sign(Buffer.from(body), `${NAME}/team/app:1`, Date.now());
    assert.equal((await putSignature(registry, "team/app", image, bytes)).status, 201);
    for (const reference of ["1", image.digest]) {
      const answer = await pull(reference);
      assert.deepEqual(described(answer), [200, SIGNED, image.digest, body]);
      assert.deepEqual(
        [answer.headers.get("x-signet-policy"), answer.headers.get("cache-control")],
        ["accepted", "no-cache"],
      );
    }
    assert.equal((await listSignatures(registry, "team/app", image.digest)).length, 1);
    assert.equal((await registry.request("GET", lookaside("team/app", image.digest, 1))).status, 200);
    const release = await registry.request("GET", `/signatures/${image.digest.replace(":", "=")}/signature-1`);
    assert.ok(release.bytes.equals(Buffer.from(bytes)));
    const removed = await registry.request("DELETE", lookaside("team/app", image.digest, 1));
    assert.equal(removed.status, 204);
    assert.equal((await pull("1")).status, 403);
    assert.equal((await registry.request("PUT", lookaside("team/app", image.digest, 1), bytes)).status, 201);
    assert.equal((await pull("1")).status, 200);
    await withdrawKey(database, signer.fingerprint, "leaked", author);
    assert.equal((await pull("1")).status, 403);
    assert.equal((await registry.request("DELETE", `/v2/team/app/manifests/${image.digest}`)).status, 202);
    assert.equal((await registry.request("GET", lookaside("team/app", image.digest, 1))).status, 404);
    assert.deepEqual(await check(registry), []);
    assert.deepEqual(registry.failures, []);
  });

  test("what is there is read, tagged, signed and deleted where pushes are refused", async (t) => {
    const storage = await open(t);
    if (storage === undefined) return;
    const image = await buildTestSchema1();
    const body = image.sign();
    {
      await using registry = await serveRegistry(undefined, options, storage);
      await pushTestSchema1(httpPushTarget(registry.url), "team/app:1", image, body);
    }
    await using registry = await serveRegistry(undefined, { names: [NAME] }, storage);
    const refused = await put(registry, "2", body);
    assert.deepEqual([refused.status, refused.code], [400, "MANIFEST_INVALID"]);
    for (const reference of ["1", image.digest])
      assert.deepEqual(described(await registry.request("GET", `/v2/team/app/manifests/${reference}`)), [
        200,
        SIGNED,
        image.digest,
        body,
      ]);
    const signer = await makeSigner(undefined, Date.now());
    const bytes = await signer.sign(Buffer.from(body), `${NAME}/team/app:1`, Date.now());
    assert.equal((await putSignature(registry, "team/app", image, bytes)).status, 201);
    const subject = { mediaType: SIGNED, digest: image.digest, size: body.length };
    const referrer = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      artifactType: "application/vnd.example",
      subject,
      manifests: [],
    });
    const attached = await put(registry, digestOf(referrer), referrer, OCI_INDEX);
    assert.deepEqual([attached.status, attached.headers.get("oci-subject")], [201, image.digest]);
    const referrers = await registry.request("GET", `/v2/team/app/referrers/${image.digest}`);
    assert.match(referrers.text, new RegExp(digestOf(referrer)));
    assert.deepEqual(await check(registry), []);
    assert.equal((await registry.request("DELETE", "/v2/team/app/manifests/1")).status, 202);
    assert.equal((await registry.request("DELETE", `/v2/team/app/manifests/${image.digest}`)).status, 202);
    assert.equal((await registry.request("GET", `/v2/team/app/manifests/${image.digest}`)).status, 404);
    assert.deepEqual(registry.failures, []);
  });
});
