/** Threats to what is signed and judged (docs/threat-model.md): other bytes than were judged, what was withdrawn and comes back, a log that was changed. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, it } from "node:test";
import {
  type TestImage,
  buildTestImage,
  httpPushTarget,
  makeSeededRandom,
  makeTestKey,
  pushTestAttachments,
  pushTestImage,
  writeTestMessage,
  writeTestSubpacket,
} from "@signet/testkit";
import { sql } from "kysely";
import { type AuditEntry, hashEntry } from "../audit/audit-entry.ts";
import { appendAudit, readAuditHead } from "../audit/audit-log.ts";
import { verifyAuditLog } from "../audit/audit-verification.ts";
import { collectGarbage } from "../content/collection.ts";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { setPullPolicy } from "../trust/pull-policy.ts";
import { makeAuthor, makeSigner } from "../trust/trust.testing.ts";
import { addTrustedKey, withdrawKey } from "../trust/trusted-keys.ts";
import { withdrawSignature } from "../trust/withdrawal.ts";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { digestOf, listSignatures, lookaside, putSignature } from "./threats.testing.ts";

const NAME = "registry.example.com";
const author = makeAuthor(Date.now());

void describe("T1 verified bytes are the bytes that are used", () => {
  void it("T1 a tag that moves between a signed and an unsigned image never brings the unsigned one past its policy", async () => {
    await using registry = await serveRegistry((account, action) => account !== "reader" || action === "pull", {
      names: [NAME],
    });
    const images = await Promise.all([1, 2].map((seed) => buildTestImage({ seed, layers: 1 })));
    const [good, bad] = images as [TestImage, TestImage];
    const signer = await makeSigner(undefined, Date.now());
    await addTrustedKey(registry.database, signer.publicKey, "", author);
    const target = httpPushTarget(registry.url);
    for (const image of [bad, good]) await pushTestImage(target, "team/app:1", image);
    const bytes = await signer.sign(good.manifest, `${NAME}/team/app:1`, Date.now());
    assert.equal((await putSignature(registry, "team/app", good, bytes)).status, 201);
    const requirements = '[{"type":"signedBy","keyType":"GPGKeys","keyPath":"server:keyring"}]';
    await setPullPolicy(registry.database, "team/app", { mode: "enforce", requirements }, author);
    let isDone = false;
    const mover = (async () => {
      for (let index = 0; index < 40; index += 1) {
        const { manifest, mediaType } = images[index % 2]!;
        await target.putManifest("team/app", "1", manifest, mediaType);
      }
      isDone = true;
    })();
    const seen = new Set<number>();
    const readers = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        const headers = { "x-test-account": "reader" };
        const {
          status,
          bytes: body,
          headers: said,
        } = await registry.request("GET", "/v2/team/app/manifests/1", undefined, headers);
        seen.add(status);
        assert.ok(status === 200 || status === 403, String(status));
        if (status === 403) continue;
        assert.ok(body.equals(good.manifest), "an image came that nobody signed");
        assert.deepEqual([said.get("docker-content-digest"), said.get("etag")], [good.digest, `"${good.digest}"`]);
      }
    });
    await Promise.all([mover, ...readers]);
    assert.deepEqual([seen.has(200), seen.has(403)], [true, true], "both were met");
  });

  void it("T1 a signature about another digest is refused at the lookaside door, and under every other spelling of its image", async () => {
    await using registry = await serveRegistry();
    const [image, other] = await Promise.all([1, 2].map((seed) => buildTestImage({ seed })));
    const target = httpPushTarget(registry.url);
    for (const one of [image!, other!]) await pushTestImage(target, "team/app:1", one);
    const signer = await makeSigner(undefined, Date.now());
    const bytes = await signer.sign(image!.manifest, "r.example.com/team/app:1", Date.now());
    const sha512 = digestOf(image!.manifest, "sha512");
    await target.putManifest("team/app", sha512, image!.manifest, image!.mediaType);
    for (const digest of [other!.digest, sha512]) {
      const { status, code, text } = await registry.request("PUT", lookaside("team/app", digest, 1), bytes);
      assert.deepEqual([status, code], [400, "SIGNATURE_INVALID"]);
      assert.match(text, /another image/);
      assert.deepEqual(await listSignatures(registry, "team/app", digest), []);
    }
  });

  void it("T1 a policy is not passed by asking for the same bytes under another algorithm", async () => {
    await using registry = await serveRegistry((account, action) => account !== "reader" || action === "pull");
    const image = await buildTestImage();
    const target = httpPushTarget(registry.url);
    await pushTestImage(target, "team/app:1", image);
    const sha512 = digestOf(image.manifest, "sha512");
    await target.putManifest("team/app", sha512, image.manifest, image.mediaType);
    await setPullPolicy(
      registry.database,
      "team/app",
      { mode: "enforce", requirements: '[{"type":"reject"}]' },
      author,
    );
    for (const reference of ["1", image.digest, sha512]) {
      const headers = { "x-test-account": "reader" };
      const { status } = await registry.request("GET", `/v2/team/app/manifests/${reference}`, undefined, headers);
      assert.equal(status, 403, reference);
    }
  });
});

void describe("T20 what is withdrawn does not come back", () => {
  const isRefused = ({ status, code, text }: Answer): void => {
    assert.deepEqual([status, code], [403, "DENIED"], text);
    assert.match(text, /was withdrawn: leaked/);
  };

  forEachStorage(
    (make) => {
      const start = async (t: it.TestContext) => {
        const storage = await make(t);
        if (storage === undefined) return undefined;
        // Two servers on the same data.
        const servers: ServedRegistry[] = [];
        for (let count = 0; count < 2; count += 1) {
          const server = await serveRegistry(undefined, {}, await storage.open());
          t.after(() => server[Symbol.asyncDispose]());
          servers.push(server);
        }
        return servers as [ServedRegistry, ServedRegistry];
      };
      const pushTo = async (registry: ServedRegistry, paths: readonly string[], image: TestImage): Promise<void> => {
        for (const path of paths) await pushTestImage(httpPushTarget(registry.url), `${path}:1`, image);
      };

      void it("T20 a signature that is withdrawn while two servers take it at both doors is served nowhere, whatever was kept of it", async (t) => {
        const servers = await start(t);
        if (servers === undefined) return;
        const random = makeSeededRandom(20);
        const signer = await makeSigner(undefined, Date.now());
        const paths = ["p/a", "p/b", "p/c"];
        for (let round = 0; round < 3; round += 1) {
          const image = await buildTestImage({ seed: round + 1, layers: 1 });
          await pushTo(servers[0], paths, image);
          const signatures = await Promise.all(
            Array.from({ length: 4 }, () => signer.sign(image.manifest, "r.example.com/p:1", Date.now())),
          );
          const [leaked, ...kept] = signatures.map((bytes) => digestOf(bytes));
          // There already, and in what both servers keep.
          await putSignature(servers[0], "p/a", image, signatures[0]!);
          for (const server of servers) assert.deepEqual(await listSignatures(server, "p/a", image.digest), [leaked]);
          const work: (() => Promise<unknown>)[] = signatures.flatMap((bytes) =>
            paths.flatMap((path) => [
              async () => {
                const answer = await putSignature(random.pick(servers), path, image, bytes);
                if (answer.status !== 409 && answer.status !== 201) isRefused(answer);
              },
              async () => {
                const target = lookaside(path, image.digest, 1 + random.integer(4));
                const answer = await random.pick(servers).request("PUT", target, bytes);
                if (![201, 204, 409].includes(answer.status)) isRefused(answer);
              },
            ]),
          );
          const withdraw = () => withdrawSignature(servers[1].database, leaked!, "leaked", author);
          work.splice(random.integer(work.length), 0, withdraw);
          await Promise.all(work.map((one) => one()));
          for (const path of paths) {
            for (const server of servers) {
              const listed = await listSignatures(server, path, image.digest);
              assert.deepEqual(listed.toSorted(), kept.toSorted(), path);
              const release = `/signatures/${image.digest.replace(":", "=")}/signature-4`;
              for (const place of [lookaside(path, image.digest, 4), release])
                assert.equal((await server.request("GET", place)).status, 404);
              isRefused(await putSignature(server, path, image, signatures[0]!));
              isRefused(await server.request("PUT", lookaside(path, image.digest, 4), signatures[0]));
            }
          }
        }
        assert.deepEqual(
          servers.map((server) => server.failures),
          [[], []],
        );
      });

      void it("T20 a key that is withdrawn while a push of its signature is under way wins", async (t) => {
        const servers = await start(t);
        if (servers === undefined) return;
        const [server] = servers;
        const signer = await makeSigner(undefined, Date.now());
        await addTrustedKey(server.database, signer.publicKey, "", author);
        const image = await buildTestImage();
        await pushTo(server, ["p/a"], image);
        const bytes = await signer.sign(image.manifest, "r.example.com/p/a:1", Date.now());
        const [host, port] = server.host.split(":");
        const path = lookaside("p/a", image.digest, 1);
        const headers = { "content-length": bytes.length, expect: "100-continue" };
        const request = httpRequest({ host, port, method: "PUT", path, headers });
        const answered = Promise.withResolvers<number>();
        request.once("response", (answer) => answered.resolve(answer.resume().statusCode!));
        // The server has admitted the push once it asks for the body.
        await new Promise((resolve) => request.once("continue", resolve).flushHeaders());
        request.write(bytes.subarray(0, 100));
        await withdrawKey(servers[1].database, signer.fingerprint, "leaked", author);
        request.end(bytes.subarray(100));
        assert.equal(await answered.promise, 403);
        assert.deepEqual(await listSignatures(server, "p/a", image.digest), []);
      });

      void it("T20 an attachment that is withdrawn while it is pushed elsewhere leaves every repository, also after a collection", async (t) => {
        const servers = await start(t);
        if (servers === undefined) return;
        const image = await buildTestImage();
        const paths = Array.from({ length: 6 }, (_, index) => `p/r${index}`);
        await pushTo(servers[0], paths, image);
        const identity = { "docker-reference": "r.example.com/p" };
        const type = "cosign container image signature";
        const critical = { identity, image: { "docker-manifest-digest": image.digest }, type };
        const attach = (server: ServedRegistry, path: string) =>
          pushTestAttachments(httpPushTarget(server.url), path, image.digest, "sig", [
            { payload: JSON.stringify({ critical, optional: null }) },
          ]);
        const isTold = (error: unknown): true => {
          assert.match(String(error), /403 .*was withdrawn: leaked/);
          return true;
        };
        await attach(servers[0], paths[0]!);
        const [digest] = await listSignatures(servers[0], paths[0]!, image.digest);
        const pushes = paths.slice(1).map((path, index) => attach(servers[index % 2]!, path).catch(isTold));
        await Promise.all([...pushes, withdrawSignature(servers[1].database, digest!, "leaked", author)]);
        const { database, blobs } = servers[0];
        for (const isCollected of [false, true]) {
          if (isCollected)
            await collectGarbage(database, blobs, { now: Date.now() + 1, graceMs: 0, withStrays: false });
          for (const path of paths) {
            for (const server of servers) {
              const tag = `/v2/${path}/manifests/${image.digest.replace(":", "-")}.sig`;
              assert.equal((await server.request("GET", tag)).status, 404, path);
              assert.deepEqual(await listSignatures(server, path, image.digest), []);
              await assert.rejects(attach(server, path), isTold);
            }
          }
        }
      });
    },
    [
      ["sqlite", "filesystem"],
      ["postgresql", "filesystem"],
    ],
  );

  void it("T20 a signature of a withdrawn key cannot hide behind the name of another one", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "a:1", image);
    const [leaked, other] = [makeTestKey("ed25519"), makeTestKey("ed25519")];
    await withdrawKey(registry.database, leaked.fingerprint, "leaked", author);
    const critical = {
      type: "atomic container signature",
      image: { "docker-manifest-digest": image.digest },
      identity: { "docker-reference": "r.example.com/a:1" },
    };
    const content = Buffer.from(JSON.stringify({ critical, optional: {} }));
    const foreign = writeTestSubpacket(33, Buffer.from(`04${other.fingerprint}`, "hex"));
    for (const issuer of ["both", "fingerprint", "key-id"] as const) {
      isRefused(await putSignature(registry, "a", image, writeTestMessage(leaked, content, { issuer })));
      for (const place of [{ hashed: [foreign] }, { unhashed: [foreign] }]) {
        // Not even stored: whom such a signature names depends on who reads it.
        const answer = await putSignature(
          registry,
          "a",
          image,
          writeTestMessage(leaked, content, { issuer, ...place }),
        );
        assert.deepEqual([answer.status, answer.code], [400, "SIGNATURE_INVALID"], issuer);
      }
    }
    assert.deepEqual(await listSignatures(registry, "a", image.digest), []);
  });
});

void describe("T21 a change to the audit log is found", () => {
  const columns = ["sequence", "at", "actor", "action", "target", "detail", "previous_hash", "hash"] as const;

  forEachDatabase((make) => {
    const fill = async (database: Database, count: number, path = "team/app"): Promise<void> => {
      const event = { at: 1_700_000_000_000, actor: "ann", action: "role.grant", detail: { role: "reader" } } as const;
      for (let index = 0; index < count; index += 1)
        await database.write((writer) => appendAudit(writer, { ...event, target: `${path}${index}` }));
    };
    const faultsOf = async (database: Database): Promise<readonly number[]> =>
      (await verifyAuditLog(database.read)).faults.map((fault) => fault.sequence);
    const start = async (t: it.TestContext): Promise<Database | undefined> => {
      const place = await make(t);
      const database = await place?.open();
      if (database !== undefined) await fill(database, 6);
      return database;
    };
    /** Puts rows in the place of the log, as somebody with the database in hand. */
    const rewrite = (database: Database, rows: readonly AuditEntry[], count = rows.length): Promise<void> =>
      database.write(async (writer) => {
        await writer.deleteFrom("audit_entry").execute();
        if (rows.length > 0)
          await writer
            .insertInto("audit_entry")
            .values([...rows])
            .execute();
        await writer.updateTable("change").set({ number: count }).where("scope", "=", "audit").execute();
      });
    const readRows = (database: Database): Promise<readonly AuditEntry[]> =>
      database.read.selectFrom("audit_entry").selectAll().orderBy("sequence").execute();

    void it("T21 every column of every row", async (t) => {
      const database = await start(t);
      if (database === undefined) return;
      const rows = await readRows(database);
      for (const [position, row] of rows.entries()) {
        for (const column of columns) {
          const changed = typeof row[column] === "number" ? row[column] + 1_000 : `${row[column].slice(0, -1)}~`;
          await rewrite(database, rows.with(position, { ...row, [column]: changed }));
          assert.notDeepEqual(await faultsOf(database), [], `${column} of ${row.sequence}`);
        }
      }
      await rewrite(database, rows);
      assert.deepEqual(await faultsOf(database), []);
    });

    void it("T21 rows that are removed, moved, doubled or put in, also with their numbers put right", async (t) => {
      const database = await start(t);
      if (database === undefined) return;
      const rows = await readRows(database);
      const renumbered = (list: readonly AuditEntry[]) => list.map((row, index) => ({ ...row, sequence: index + 1 }));
      for (let index = 0; index < rows.length; index += 1) {
        const without = rows.toSpliced(index, 1);
        const doubled = rows.toSpliced(index, 0, rows[index]!);
        const forged = { ...rows[index]!, actor: "mallory" };
        const put = rows.toSpliced(index, 0, { ...forged, hash: hashEntry(forged) });
        const moved = without.toSpliced((index + 2) % rows.length, 0, rows[index]!);
        const changes = [without, renumbered(doubled), renumbered(put), renumbered(moved)];
        // Without its last row, and with the count put right, a log is a shorter one: see the next test.
        if (index < rows.length - 1) changes.push(renumbered(without));
        for (const [kind, change] of changes.entries()) {
          await rewrite(database, change, kind === 0 ? rows.length : change.length);
          assert.notDeepEqual(await faultsOf(database), [], `change ${kind} at ${index + 1}`);
        }
      }
    });

    void it("T21 a tail that is cut off: by the count, and where that is put right by a head that was noted", async (t) => {
      const database = await start(t);
      if (database === undefined) return;
      const rows = await readRows(database);
      const noted = await readAuditHead(database.read);
      for (const length of [5, 3, 0]) {
        await rewrite(database, rows.slice(0, length), rows.length);
        assert.notDeepEqual(await faultsOf(database), []);
        await rewrite(database, rows.slice(0, length));
        // docs/threat-model.md says so: only what is kept elsewhere tells.
        assert.deepEqual(await faultsOf(database), []);
        const { faults } = await verifyAuditLog(database.read, [noted]);
        assert.deepEqual(
          faults.map((fault) => fault.sequence),
          [6],
        );
        await fill(database, 10, "other/app");
        const later = await verifyAuditLog(database.read, [noted]);
        assert.deepEqual(
          later.faults.map((fault) => fault.sequence),
          [6],
          "nor do later entries cover it",
        );
      }
    });

    void it("T21 two processes that write at once make one chain", async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const databases = [await place.open(), await place.open()];
      await Promise.all(databases.flatMap((database) => [fill(database, 10), fill(database, 10)]));
      const { entries, faults } = await verifyAuditLog(databases[0]!.read);
      assert.deepEqual([entries, faults], [40, []]);
    });

    void it("T21 the log cannot be told to leave an entry out: a change whose entry fails is not made", async (t) => {
      const place = await make(t);
      const database = await place?.open();
      if (database === undefined) return;
      const signer = await makeSigner();
      const failing = { ...makeAuthor(), audit: () => Promise.reject(new Error("the log is full")) };
      await assert.rejects(addTrustedKey(database, signer.publicKey, "", failing), /the log is full/);
      await assert.rejects(withdrawSignature(database, digestOf("x"), "leaked", failing), /the log is full/);
      const { rows } = await sql`select fingerprint from trusted_key union all select subject from tombstone`.execute(
        database.read,
      );
      assert.deepEqual(rows, []);
    });
  });
});
