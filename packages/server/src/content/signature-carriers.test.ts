import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type TestImage, buildTestImage, httpPushTarget, pushTestAttachments, pushTestImage } from "@signet/testkit";
import {
  type Listed,
  PATH,
  bundle,
  bundleType,
  cosignPayload,
  findFaults,
  isClean,
  list,
  olderType,
  refer,
  referOlder,
  sha256,
} from "../registry/carried.testing.ts";
import { type ServedRegistry, serveRegistry } from "../registry/serve.testing.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { NOW, makeAuthor, makeSigner } from "../trust/trust.testing.ts";
import { withdrawSignature } from "../trust/withdrawal.ts";
import { checkContent } from "./check.ts";
import { DEFAULT_GRACE_MS, collectGarbage } from "./collection.ts";
import { repairFinding } from "./repair.ts";

interface Bench extends AsyncDisposable {
  readonly registry: ServedRegistry;
  readonly image: TestImage;
  /** Pushes payloads about the image under its tag; the digest of the manifest. */
  readonly attach: (payloads: readonly string[], path?: string) => Promise<string>;
  readonly remove: (reference: string, path?: string) => Promise<void>;
  /** The last characters of the references that the listed signatures claim. */
  readonly references: (path?: string) => Promise<string>;
  readonly collect: () => Promise<void>;
}

forEachStorage(
  (make) => {
    async function setUp(t: Parameters<typeof make>[0]): Promise<Bench | undefined> {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return undefined;
      const registry = await serveRegistry(undefined, {}, storage);
      const image = await buildTestImage();
      const target = httpPushTarget(registry.url);
      await pushTestImage(target, `${PATH}:1`, image);
      return {
        registry,
        image,
        attach: async (payloads, path = PATH) => {
          const attachments = payloads.map((payload) => ({ payload }));
          return (await pushTestAttachments(target, path, image.digest, "sig", attachments)).digest;
        },
        remove: async (reference, path = PATH) => {
          const { status, text } = await registry.request("DELETE", `/v2/${path}/manifests/${reference}`);
          assert.equal(status, 202, text);
        },
        references: async (path = PATH) => {
          const listed = await list(registry, undefined, path);
          return listed
            .map((one) => (one.unverifiedClaims["reference"] ?? "").slice(-1))
            .toSorted()
            .join("");
        },
        collect: async () => {
          const now = registry.now() + DEFAULT_GRACE_MS + 60_000;
          await collectGarbage(registry.database, registry.blobs, { now, withStrays: false });
        },
        [Symbol.asyncDispose]: async () => {
          await registry[Symbol.asyncDispose]();
          assert.deepEqual(registry.failures, []);
        },
      };
    }
    const payloadsOf = (digest: string): readonly [string, string, string] => [
      cosignPayload(digest, "r.example.com/a"),
      cosignPayload(digest, "r.example.com/b"),
      cosignPayload(digest, "r.example.com/c"),
    ];
    const carriersOf = (listed: readonly Listed[]): readonly (readonly string[])[] =>
      listed.map((one) => (one.carriers ?? []).map(({ digest }) => digest));

    test("each layer of cosign's older referrer is a signature, the same one as under a tag", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach } = bench;
      const [a, b] = payloadsOf(image.digest);
      const referrer = await referOlder(registry, image, [a, b]);
      assert.equal(referrer.status, 201, referrer.text);
      const listed = await list(registry, image.digest);
      assert.deepEqual(
        listed.map((one) => [one.format, one.manifest, one.verdict, one.carrier, one.carriers]),
        [a, b].map(() => [
          "sigstore-attachment",
          image.digest,
          "not-checked",
          referrer.digest,
          [{ digest: referrer.digest, manifest: image.digest }],
        ]),
      );
      assert.equal(await bench.references(), "ab");
      // It is served as any referrer, and no tag names it.
      const { text } = await registry.request("GET", `/v2/${PATH}/referrers/${image.digest}`);
      const { manifests } = JSON.parse(text) as { manifests: { digest: string; artifactType: string }[] };
      assert.deepEqual(
        manifests.map((one) => [one.digest, one.artifactType]),
        [[referrer.digest, olderType]],
      );
      const tagged = await attach([b]);
      const again = await list(registry, image.digest);
      assert.deepEqual(
        again.map((one) => one.digest),
        listed.map((one) => one.digest),
      );
      const tag = `${image.digest.replace(":", "-")}.sig`;
      const both = again.find((one) => one.carriers?.length === 2);
      assert.deepEqual(
        both?.carriers?.toSorted((one, other) => (one.tag ?? "").localeCompare(other.tag ?? "")),
        [
          { digest: referrer.digest, manifest: image.digest },
          { digest: tagged, manifest: image.digest, tag },
        ],
      );
      await isClean(registry);
    });

    test("an older referrer that is malformed or about another image is refused, and nothing is stored", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image } = bench;
      const other = `sha256:${"ab".repeat(32)}`;
      const [good] = payloadsOf(image.digest);
      for (const payloads of [[cosignPayload(other)], [good, cosignPayload(other)], ["signed, me"]]) {
        const { status, code, text, digest } = await referOlder(registry, image, payloads);
        assert.deepEqual([status, code], [400, "MANIFEST_INVALID"], text);
        assert.equal((await registry.request("GET", `/v2/${PATH}/manifests/${digest}`)).status, 404);
      }
      assert.deepEqual(await list(registry), []);
    });

    test("a signature stays as long as one of its carriers does, in whichever order they go", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach, remove, references, collect } = bench;
      const [a, b, c] = payloadsOf(image.digest);
      const tag = `${image.digest.replace(":", "-")}.sig`;
      const push = async () => {
        const older = [
          await referOlder(registry, image, [a]),
          await referOlder(registry, image, [a, b], { annotations: { again: "1" } }),
        ];
        return [await attach([a, b]), ...older.map((one) => one.digest)] as const;
      };
      const steps: readonly (readonly [title: string, order: readonly number[], left: readonly string[]])[] = [
        ["tag first", [0, 1, 2], ["ab", "ab", ""]],
        ["tag last", [2, 1, 0], ["ab", "ab", ""]],
        ["tag between", [2, 0, 1], ["ab", "a", ""]],
      ];
      for (const [title, order, left] of steps) {
        const carriers = await push();
        for (const [step, index] of order.entries()) {
          // The tag alone, or the manifest with it.
          await remove(index === 0 && title !== "tag last" ? tag : carriers[index]!);
          await collect();
          assert.equal(await references(), left[step], `${title}, step ${step}`);
          await isClean(registry);
        }
        await collect();
        for (const table of ["signature", "signature_carrier"] as const)
          assert.deepEqual(await registry.database.read.selectFrom(table).selectAll().execute(), [], title);
      }
      // A tag that comes to name another manifest takes along only what nothing else carries.
      const referrer = await referOlder(registry, image, [a]);
      await attach([a, b]);
      await attach([c]);
      assert.equal(await references(), "ac");
      await isClean(registry);
      await remove(referrer.digest);
      assert.equal(await references(), "c");
      // And the image takes none of them.
      await referOlder(registry, image, [b]);
      await remove(image.digest);
      await collect();
      assert.equal(await references(), "bc");
      await isClean(registry);
    });

    test("one manifest that is a referrer under the tag carries its signatures in both ways", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, remove, references } = bench;
      const payloads = payloadsOf(image.digest);
      const { digest } = await referOlder(registry, image, payloads);
      const manifest = (await registry.request("GET", `/v2/${PATH}/manifests/${digest}`)).bytes;
      const tag = `${image.digest.replace(":", "-")}.sig`;
      const headers = { "content-type": "application/vnd.oci.image.manifest.v1+json" };
      const put = await registry.request("PUT", `/v2/${PATH}/manifests/${tag}`, manifest, headers);
      assert.equal(put.status, 201, put.text);
      assert.deepEqual(carriersOf(await list(registry)), [
        [digest, digest],
        [digest, digest],
        [digest, digest],
      ]);
      await remove(tag);
      assert.equal(await references(), "abc");
      await isClean(registry);
      await remove(digest);
      assert.equal(await references(), "");
      await isClean(registry);
    });

    test("a repository is told of its own carriers, and keeps its signatures whatever another one loses", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach, remove, references } = bench;
      const other = "other/app";
      await pushTestImage(httpPushTarget(registry.url), `${other}:1`, image);
      const [a] = payloadsOf(image.digest);
      const first = await referOlder(registry, image, [a], { path: other });
      await attach([a], other);
      registry.advance(3_600_000);
      const own = await referOlder(registry, image, [a], { annotations: { own: "1" } });
      const [listed] = await list(registry);
      assert.deepEqual(carriersOf([listed!]), [[own.digest]]);
      assert.ok(Date.parse(listed!.createdAt) > Date.now() + 3_000_000);
      // The other one's carriers may well be pushed here: they count here from then on.
      await remove(own.digest);
      assert.deepEqual(await list(registry), []);
      assert.equal((await list(registry, undefined, other)).length, 1);
      await referOlder(registry, image, [a]);
      await remove(first.digest, other);
      await remove(`${image.digest.replace(":", "-")}.sig`, other);
      assert.equal(await references(), "a");
      assert.deepEqual(await list(registry, undefined, other), []);
      await isClean(registry);
    });

    test("a bundle about several images is one of each that it is attached to", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, remove } = bench;
      const second = await buildTestImage({ seed: 2 });
      const third = await buildTestImage({ seed: 3 });
      const target = httpPushTarget(registry.url);
      for (const [path, one] of [
        [`${PATH}:2`, second],
        [`${PATH}:3`, third],
        ["other/app:2", second],
      ] as const)
        await pushTestImage(target, path, one);
      const payload = bundle([image.digest, second.digest, third.digest]);
      const carriers = [await refer(registry, image, bundleType, payload)];
      carriers.push(await refer(registry, second, bundleType, payload));
      const elsewhere = await refer(registry, second, bundleType, payload, { path: "other/app" });
      for (const [index, one] of [image, second].entries()) {
        const [listed, ...more] = await list(registry, one.digest);
        assert.deepEqual(more, []);
        assert.deepEqual([listed!.manifest, listed!.carrier], [one.digest, carriers[index]!.digest]);
        assert.ok(listed!.name.startsWith(`${one.digest}@`));
      }
      // What it says besides lists it nowhere: clients would not find it there.
      assert.deepEqual(await list(registry, third.digest), []);
      const [whole, ...more] = await list(registry);
      assert.deepEqual(
        [whole!.carriers?.map((one) => one.manifest).toSorted(), more],
        [[image.digest, second.digest].toSorted(), []],
      );
      // A repository that has only the second image is not told that there is another.
      const [there] = await list(registry, undefined, "other/app");
      assert.deepEqual(
        [there!.manifest, there!.name.split("@")[0], carriersOf([there!])],
        [second.digest, second.digest, [[elsewhere.digest]]],
      );
      await isClean(registry);
      await remove(carriers[0]!.digest);
      assert.deepEqual(await list(registry, image.digest), []);
      assert.equal((await list(registry, second.digest)).length, 1);
      // Nothing is kept of what no version holds.
      const rows = await registry.database.read.selectFrom("signature_carrier").select("carrier_digest").execute();
      assert.deepEqual(
        rows.map((row) => row.carrier_digest).toSorted(),
        [carriers[1]!.digest, elsewhere.digest].toSorted(),
      );
      await remove(carriers[1]!.digest);
      assert.deepEqual(await list(registry), []);
      assert.equal((await list(registry, second.digest, "other/app")).length, 1);
      await isClean(registry);
    });

    test("withdrawn, it goes with every carrier in every repository", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach, references } = bench;
      await pushTestImage(httpPushTarget(registry.url), "other/app:1", image);
      const [a, b] = payloadsOf(image.digest);
      const gone = [
        [PATH, (await referOlder(registry, image, [a])).digest],
        [PATH, await attach([a])],
        ["other/app", (await referOlder(registry, image, [a, b], { path: "other/app" })).digest],
      ] as const;
      await referOlder(registry, image, [b], { annotations: { own: "1" } });
      // Its layer may be named by another digest than the one that signatures are known by.
      const layer = `sha512:${createHash("sha512").update(a).digest("hex")}`;
      await registry.request("POST", `/v2/third/app/blobs/uploads/?digest=${layer}`, a);
      await httpPushTarget(registry.url).putBlob("third/app", Buffer.from("{}"));
      const attached = JSON.parse((await registry.request("GET", `/v2/${PATH}/manifests/${gone[1][1]}`)).text) as {
        readonly layers: readonly object[];
      };
      const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: sha256("{}"), size: 2 };
      const other = JSON.stringify({ ...attached, config, layers: [{ ...attached.layers[0], digest: layer }] });
      const tag = `/v2/third/app/manifests/${image.digest.replace(":", "-")}.sig`;
      const headers = { "content-type": "application/vnd.oci.image.manifest.v1+json" };
      assert.equal((await registry.request("PUT", tag, other, headers)).status, 201);
      assert.equal((await list(registry, undefined, "third/app")).length, 1);
      const withdrawn = (await list(registry)).find((one) => one.unverifiedClaims["reference"]?.endsWith("a"))!;
      await withdrawSignature(registry.database, withdrawn.digest, "leaked", makeAuthor(registry.now()));
      for (const [path, digest] of gone)
        assert.equal((await registry.request("GET", `/v2/${path}/manifests/${digest}`)).status, 404);
      assert.equal((await registry.request("GET", tag)).status, 404);
      assert.equal(await references(), "b");
      assert.deepEqual(await list(registry, undefined, "other/app"), []);
      assert.equal((await referOlder(registry, image, [a], { annotations: { again: "1" } })).code, "DENIED");
      await isClean(registry);
    });

    test("a pinned version lists what it holds, by its own carriers", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach, remove, references } = bench;
      const { database } = registry;
      const [a, b] = payloadsOf(image.digest);
      const referrer = await referOlder(registry, image, [a]);
      const tagged = await attach([a, b]);
      await database.write(async (writer) => {
        const { id, latest_version: version } = await writer
          .selectFrom("repository")
          .select(["id", "latest_version"])
          .executeTakeFirstOrThrow();
        const pinned = { path: "team/pinned", repository_id: id, version, created_at: 0 };
        await writer.insertInto("distribution").values(pinned).execute();
      });
      await remove(tagged);
      await referOlder(registry, image, [a], { annotations: { later: "1" } });
      await remove(referrer.digest);
      assert.equal(await references(), "a");
      assert.equal(await references("team/pinned"), "ab");
      const pinned = await list(registry, image.digest, "team/pinned");
      assert.deepEqual(
        carriersOf(pinned)
          .map((carriers) => carriers.toSorted())
          .toSorted((one, other) => one.length - other.length),
        [[tagged], [referrer.digest, tagged].toSorted()],
      );
      await isClean(registry);
    });

    test("check finds what is not listed and what nothing carries; repair mends both", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, attach, remove, references } = bench;
      const { database, blobs } = registry;
      const [a, b, c] = payloadsOf(image.digest);
      const referrer = await referOlder(registry, image, [a, b]);
      const lost = await referOlder(registry, image, [c], { annotations: { lost: "1" } });
      const tagged = await attach([a]);
      await refer(registry, image, bundleType, bundle(image.digest));
      const tag = `${image.digest.replace(":", "-")}.sig`;
      // As a server left it that knew neither the older form nor several carriers, and as a fault would.
      await database.write(async (writer) => {
        await writer.deleteFrom("signature_carrier").where("carrier_digest", "!=", tagged).execute();
        const kept = writer.selectFrom("signature_carrier").select("signature_digest");
        await writer
          .deleteFrom("membership")
          .where("unit_kind", "=", "signature")
          .where("unit_key", "not in", kept)
          .execute();
      });
      const repairAll = async (): Promise<void> => {
        for await (const finding of checkContent(database, blobs, { withContent: true, straysBefore: 0 }))
          assert.ok((await repairFinding(database, blobs, finding, NOW)).repaired, JSON.stringify(finding));
      };
      const bundles = (await list(registry)).filter((one) => one.format === "sigstore-bundle");
      assert.deepEqual([await references(), bundles.length], ["a", 0]);
      assert.deepEqual(
        (await findFaults(registry)).map((fault) => fault.split(" ")[0]),
        ["signature-unindexed", "signature-unindexed", "signature-unindexed"],
      );
      await repairAll();
      await isClean(registry);
      assert.equal((await list(registry)).length, 4);
      await remove(tag);
      await remove(lost.digest);
      assert.equal((await list(registry)).length, 3);
      await remove(referrer.digest);
      assert.deepEqual(
        (await list(registry)).map((one) => one.format),
        ["sigstore-bundle"],
      );
      await attach([a]);
      await database.write(async (writer) => {
        await writer
          .deleteFrom("membership")
          .where("unit_kind", "=", "tag")
          .where("unit_key", "like", "%.sig %")
          .execute();
      });
      assert.match((await findFaults(registry)).join(), /^reference-dangling sha256:[0-9a-f]{64}$/);
      await repairAll();
      await isClean(registry);
      assert.equal((await list(registry)).length, 1);
      // What was withdrawn before anybody knew that a manifest carries it is not to be listed.
      const [withdrawn] = (await list(registry)).map((one) => one.digest);
      await database.write((writer) => writer.deleteFrom("signature").execute());
      await withdrawSignature(database, withdrawn!, "leaked", makeAuthor(registry.now()));
      await database.write((writer) => writer.deleteFrom("membership").where("unit_kind", "=", "signature").execute());
      await isClean(registry);
    });

    test("at the extension it cannot be removed alone, nor its name be taken", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image, references } = bench;
      const [a] = payloadsOf(image.digest);
      const { digest } = await referOlder(registry, image, [a]);
      const [listed] = await list(registry);
      const door = `/extensions/v2/${PATH}/signatures/${image.digest}`;
      const refused = await registry.request("DELETE", `${door}/${listed!.name.split("@")[1]}`);
      assert.deepEqual([refused.status, refused.code], [409, "DENIED"], refused.text);
      assert.ok(refused.text.includes(digest));
      assert.equal(await references(), "a");
      assert.equal((await registry.request("DELETE", `${door}/${"0".repeat(32)}`)).status, 404);
      const signature = await (await makeSigner(undefined, Date.now())).sign(image.manifest, `x/${PATH}:1`, Date.now());
      const content = Buffer.from(signature).toString("base64");
      const body = JSON.stringify({ schemaVersion: 2, name: listed!.name, type: "atomic", content });
      assert.equal((await registry.request("PUT", door, body)).code, "SIGNATURE_EXISTS");
      assert.equal((await registry.request("GET", door)).text.trim(), '{"signatures":[]}');
    });

    test("bytes of another format cannot be stored as an envelope, so that nobody keeps a signature from being served", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image } = bench;
      const bytes = await (await makeSigner(undefined, Date.now())).sign(image.manifest, `x/${PATH}:1`, Date.now());
      await pushTestImage(httpPushTarget(registry.url), "evil/app:1", image);
      const type = "application/vnd.cncf.notary.signature";
      const push = (payload: Uint8Array) =>
        refer(registry, image, type, payload, { layerType: "application/cose", path: "evil/app" });
      assert.equal((await push(bytes)).code, "MANIFEST_INVALID");
      assert.equal((await push(Buffer.from([0xd2, 0x84, 0x40]))).status, 201);
      assert.deepEqual(
        (await list(registry, undefined, "evil/app")).map((one) => one.format),
        ["notation"],
      );
      const file = `/lookaside/${PATH}@${image.digest.replace(":", "=")}/signature-1`;
      assert.equal((await registry.request("PUT", file, bytes)).status, 201);
      assert.ok((await registry.request("GET", file)).bytes.equals(bytes));
      await isClean(registry);
    });

    test("512 manifests may carry one signature, and of these 16 are named", async (t) => {
      await using bench = await setUp(t);
      if (bench === undefined) return;
      const { registry, image } = bench;
      const [a] = payloadsOf(image.digest);
      await referOlder(registry, image, [a]);
      const { database } = registry;
      const add = async (from: number, to: number): Promise<void> => {
        await database.write(async (writer) => {
          const carried = await writer.selectFrom("signature_carrier").selectAll().executeTakeFirstOrThrow();
          const held = await writer
            .selectFrom("membership")
            .selectAll()
            .where("unit_kind", "=", "manifest")
            .executeTakeFirstOrThrow();
          for (let index = from; index < to; index += 1) {
            const digest = `sha256:${index.toString(16).padStart(64, "0")}`;
            await writer
              .insertInto("signature_carrier")
              .values({ ...carried, unit_key: digest, carrier_digest: digest })
              .execute();
            await writer
              .insertInto("membership")
              .values({ ...held, unit_key: digest })
              .execute();
          }
        });
      };
      await add(1, 511);
      assert.equal((await referOlder(registry, image, [a], { annotations: { last: "1" } })).status, 201);
      const refused = await referOlder(registry, image, [a], { annotations: { more: "1" } });
      assert.deepEqual([refused.status, refused.code], [409, "SIGNATURE_INVALID"], refused.text);
      // One that is there already may be pushed again.
      assert.equal((await referOlder(registry, image, [a], { annotations: { last: "1" } })).status, 201);
      const [listed] = await list(registry, image.digest);
      assert.equal(listed!.carriers?.length, 16);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
