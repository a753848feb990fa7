/** What a repair must not do, and what it writes anew. Blobs whose bytes are gone are in admin-check.test.ts. */
import assert from "node:assert/strict";
import { mkdirSync, renameSync } from "node:fs";
import { describe, it } from "node:test";
import type { BlobStore } from "../blobs/blob-store.ts";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import { type ServedDocument, serveDocument } from "../openapi/served-document.testing.ts";
import { statusOf } from "../registry/admin-requests.testing.ts";
import { type Finding, checkContent } from "./check.ts";
import { repairFinding } from "./repair.ts";

interface Bench extends AsyncDisposable {
  readonly served: ServedDocument;
  readonly store: BlobStore;
  readonly check: () => Promise<readonly Finding[]>;
  readonly repair: (finding: Finding) => ReturnType<typeof repairFinding>;
}

/** An image with a signature of cosign's form and one of simple signing. */
async function setUp(): Promise<Bench> {
  await using opened = new AsyncDisposableStack();
  const served = opened.use(await serveDocument());
  const store = opened.adopt(await openFilesystemStore(served.blobs), (one) => one.close());
  const file = `/lookaside/team/app@${served.image.digest.replace(":", "=")}/signature-1`;
  assert.equal(await statusOf(served, file, { method: "PUT", body: new Uint8Array(await served.sign()) }), 201);
  const parts = opened.move();
  return {
    served,
    store,
    check: async () => {
      const findings: Finding[] = [];
      const options = { withContent: true, straysBefore: Date.now() + 60_000 };
      for await (const one of checkContent(served.database, store, options)) findings.push(one);
      return findings;
    },
    repair: (finding) => repairFinding(served.database, store, finding, Date.now()),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Its one finding. */
async function findOne({ check }: Bench): Promise<Finding> {
  const findings = await check();
  assert.equal(findings.length, 1, JSON.stringify(findings));
  return findings[0]!;
}

void describe("a repair", () => {
  void it("forgets no blob when the store is another one, such as the empty folder where none is mounted", async () => {
    await using bench = await setUp();
    const { served, check, repair } = bench;
    const folder = `${served.blobs}/blobs`;
    renameSync(folder, `${folder}-away`);
    mkdirSync(folder);
    const findings = await check();
    assert.ok(findings.length > 1);
    for (const finding of findings) {
      assert.equal(finding.fault, "blob-bytes-missing");
      const outcome = await repair(finding);
      assert.ok(!outcome.repaired);
      assert.match(outcome.why ?? "", /is it the right one, and mounted\?$/);
    }
    renameSync(`${folder}-away`, folder);
    assert.deepEqual(await check(), []);
  });

  void it("leaves a blob that was collected and pushed again since it was looked at", async () => {
    await using bench = await setUp();
    const { served, store, check, repair } = bench;
    const { database } = served;
    const { digest, bytes } = served.image.config;
    const row = await database.read
      .selectFrom("blob")
      .select("location")
      .where("digest", "=", digest)
      .executeTakeFirstOrThrow();
    await store.remove(row.location);
    const finding = await findOne(bench);
    await database.write((writer) => writer.deleteFrom("blob").where("digest", "=", digest).execute());
    const target = `/v2/team/app/blobs/uploads/?digest=${digest}`;
    assert.equal(await statusOf(served, target, { method: "POST", body: new Uint8Array(bytes) }), 201);
    assert.deepEqual(await repair(finding), { repaired: true, what: "it is no longer so" });
    assert.deepEqual(await check(), []);
    assert.equal(await statusOf(served, `/v2/team/app/blobs/${digest}`), 200);
  });

  void it("keeps bytes that are the right ones, and writes their number anew", async () => {
    await using bench = await setUp();
    const { served, check, repair } = bench;
    await served.database.write((writer) =>
      writer.updateTable("blob").set({ size: 1 }).where("digest", "=", served.image.config.digest).execute(),
    );
    const finding = await findOne(bench);
    assert.equal(finding.fault, "blob-bytes-wrong");
    assert.equal((await repair(finding)).repaired, true);
    assert.deepEqual(await check(), []);
  });

  void it("leaves a tag whose manifest came again since it was looked at", async () => {
    await using bench = await setUp();
    const { served, check, repair } = bench;
    const { database, image } = served;
    const memberships = await database.read
      .selectFrom("membership")
      .selectAll()
      .where("unit_kind", "=", "manifest")
      .where("unit_key", "=", image.digest)
      .execute();
    await database.write((writer) => writer.deleteFrom("membership").where("unit_key", "=", image.digest).execute());
    const findings = (await check()).filter((one) => one.fault === "reference-dangling");
    assert.deepEqual(new Set(findings.map((one) => one.unit?.kind)), new Set(["signature", "tag"]));
    await database.write((writer) => writer.insertInto("membership").values(memberships).execute());
    for (const finding of findings)
      assert.deepEqual(await repair(finding), { repaired: true, what: "it is no longer so" });
    assert.deepEqual(await check(), []);
    assert.equal(await statusOf(served, "/v2/team/app/manifests/1"), 200);
  });

  void it("writes the rows of tags and signatures anew, from what cannot be altered unseen", async () => {
    await using bench = await setUp();
    const { served, check, repair } = bench;
    const { database, image } = served;
    const nothing = `sha256:${"0".repeat(64)}`;
    const list = async (): Promise<string> => {
      const headers = served.admin;
      const path = `/extensions/v2/team/app/signatures/${image.digest}`;
      return await (await fetch(`${served.url}${path}`, { headers })).text();
    };
    const before = await list();
    assert.match(before, /"schemaVersion":2/);
    const damages = {
      "signature-row-wrong": async () => {
        for (const change of [{ manifest_digest: nothing }, { claimed_key_id: null }, { claimed_fingerprint: "00" }])
          await database.write((writer) =>
            writer.updateTable("signature").set(change).where("format", "=", "simple-signing").execute(),
          );
      },
      "signature-unlisted": () =>
        database.write((writer) =>
          writer
            .deleteFrom("signature_arrival")
            .where("signature_digest", "in", (e) =>
              e.selectFrom("signature").select("digest").where("format", "=", "simple-signing"),
            )
            .execute(),
        ),
      "tag-wrong": () =>
        database.write((writer) =>
          writer.updateTable("tag").set({ manifest_digest: nothing }).where("name", "=", "1").execute(),
        ),
    };
    for (const [fault, damage] of Object.entries(damages)) {
      await damage();
      // A row that names another image makes the signature dangle too, until it is mended.
      const [finding, ...more] = await check();
      assert.equal(finding?.fault, fault);
      assert.equal((await repair(finding)).repaired, true);
      for (const one of more) assert.deepEqual(await repair(one), { repaired: true, what: "it is no longer so" });
      assert.deepEqual(await check(), []);
      assert.equal(await list(), before, fault);
    }
    await database.write((writer) => writer.deleteFrom("tag").where("name", "=", "1").execute());
    const lost = await findOne(bench);
    assert.equal((await repair(lost)).repaired, true);
    assert.deepEqual(await check(), []);
  });
});
