import assert from "node:assert/strict";
import test from "node:test";
import { FormatError } from "@signet/core";
import { makeGpgHome, makeSeededRandom, makeTempDir, requireTool } from "@signet/testkit";
import { ContentError } from "../content/content-error.ts";
import { findServed } from "../content/repositories.ts";
import { listSignatures } from "../content/signatures.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import type { Database } from "../db/database.ts";
import { openSqlite } from "../db/sqlite.ts";
import { recheckSignatures } from "./recheck.ts";
import { KeyringReader } from "./server-keyring.ts";
import { NOW, findVerdict, makeAuthor, makeSigner, pushImage, storeSignature } from "./trust.testing.ts";
import { addTrustedKey, listTrustedKeys, withdrawKey } from "./trusted-keys.ts";
import { withdrawSignature } from "./withdrawal.ts";

const recheck = (database: Database, now = NOW): Promise<number> =>
  recheckSignatures(database, { now: () => now, keyrings: new KeyringReader() });

const isWithdrawn = (error: unknown): boolean =>
  error instanceof ContentError && error.problem === "signature-withdrawn" && /leaked/.test(error.message);

async function listHeld(database: Database, path: string, digest: string): Promise<readonly string[]> {
  return (await listSignatures(database.read, (await findServed(database.read, path))!, digest)).map(
    (one) => one.digest,
  );
}

forEachDatabase((make) => {
  test("a signature is judged on arrival, and again when keys change or time passes", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    const author = makeAuthor();
    const [known, stranger, shortLived] = [await makeSigner(), await makeSigner(), await makeSigner(1_000 + 3_600)];
    await addTrustedKey(database, known.publicKey, "our builds", author);
    await addTrustedKey(database, shortLived.publicKey, "for an hour", author);
    const image = await pushImage(database, "team/app", 1);
    const reference = "registry.example.com/team/app:1";
    const [good, unknown, short] = await Promise.all(
      [known, stranger, shortLived].map(async (signer) =>
        storeSignature(database, "team/app", image.digest, await signer.sign(image.bytes, reference)),
      ),
    );
    const accepted = await findVerdict(database, good!);
    assert.deepEqual(
      [accepted?.verdict, accepted?.signer, accepted?.keyring_version],
      ["accepted", known.fingerprint, 2],
    );
    const { checks } = JSON.parse(accepted!.evidence) as { checks: { name: string; outcome: string }[] };
    assert.ok(checks.some(({ name, outcome }) => name === "signature-crypto" && outcome === "passed"));
    assert.equal((await findVerdict(database, unknown!))?.verdict, "unknown-key");
    const timed = await findVerdict(database, short!);
    assert.equal(timed?.verdict, "accepted");
    assert.ok(timed.valid_until! > NOW && timed.valid_until! <= NOW + 3_600_000);

    assert.equal(await recheck(database), 0);
    assert.equal(await recheck(database, timed.valid_until!), 1);
    assert.equal((await findVerdict(database, short!))?.verdict, "rejected");

    await addTrustedKey(database, stranger.publicKey, "a partner", author);
    assert.equal(await recheck(database), 3);
    const now = await findVerdict(database, unknown!);
    assert.deepEqual([now?.verdict, now?.signer, now?.verified_by], ["accepted", stranger.fingerprint, "server"]);
    const history = await database.read
      .selectFrom("verification")
      .select("verdict")
      .where("signature_digest", "=", unknown!)
      .orderBy("id")
      .execute();
    assert.deepEqual(
      history.map((row) => row.verdict),
      ["unknown-key", "accepted"],
    );
    assert.equal(await recheck(database), 0);
  });

  test("a withdrawn key is trusted no more, its signatures leave every version of every repository, and nothing of it comes back", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    const author = makeAuthor();
    const [leaked, other] = [await makeSigner(), await makeSigner()];
    await addTrustedKey(database, leaked.publicKey, "", author);
    await addTrustedKey(database, other.publicKey, "", author);
    const image = await pushImage(database, "team/app", 1);
    await pushImage(database, "team/copy", 1);
    const bytes = await leaked.sign(image.bytes, "registry.example.com/team/app:1");
    for (const path of ["team/app", "team/copy"]) await storeSignature(database, path, image.digest, bytes);
    const kept = await storeSignature(
      database,
      "team/copy",
      image.digest,
      await other.sign(image.bytes, "registry.example.com/team/copy:1"),
    );
    const { repositoryId, version } = (await findServed(database.read, "team/app"))!;
    await database.write(async (writer) => {
      const pinned = { path: "pinned", repository_id: repositoryId, version, created_at: NOW };
      await writer.insertInto("distribution").values(pinned).execute();
    });
    assert.equal((await listHeld(database, "pinned", image.digest)).length, 1);

    const gone = await withdrawKey(database, leaked.fingerprint.toLowerCase(), "leaked", author);
    assert.equal(gone.length, 1);
    assert.deepEqual(await listHeld(database, "team/app", image.digest), []);
    assert.deepEqual(await listHeld(database, "pinned", image.digest), []);
    assert.deepEqual(await listHeld(database, "team/copy", image.digest), [kept]);
    const again = await leaked.sign(image.bytes, "registry.example.com/team/app:1");
    for (const one of [bytes, again]) {
      await assert.rejects(storeSignature(database, "team/app", image.digest, one), isWithdrawn);
    }
    await assert.rejects(
      addTrustedKey(database, leaked.publicKey, "", author),
      (error) => error instanceof FormatError && error.code === "key-withdrawn",
    );
    const states = (await listTrustedKeys(database.read)).map(({ fingerprint, state }) => [fingerprint, state]);
    const expected = [
      [leaked.fingerprint, "withdrawn"],
      [other.fingerprint, "trusted"],
    ];
    assert.deepEqual(
      states,
      expected.toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1)),
    );
    assert.deepEqual(
      author.changes.map(({ action, target }) => [action, target]),
      [
        ["key.add", leaked.fingerprint],
        ["key.add", other.fingerprint],
        ["key.withdraw", leaked.fingerprint],
      ],
    );
  });

  test("T20: whatever is withdrawn while others store it is held nowhere afterwards", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    // Two processes.
    const databases = [await place.open(), await place.open()];
    const [first] = databases;
    const random = makeSeededRandom(20);
    const author = makeAuthor();
    const paths = ["a/one", "a/two", "b/three"];
    for (let round = 0; round < 4; round += 1) {
      const image = await pushImage(first!, paths[0]!, round);
      for (const path of paths.slice(1)) await pushImage(first!, path, round);
      const signers = await Promise.all([makeSigner(), makeSigner()]);
      await addTrustedKey(first!, signers[0].publicKey, "", author);
      const signatures = await Promise.all(
        Array.from({ length: 8 }, async (_, index) =>
          signers[index % 2]!.sign(image.bytes, `r.example.com/a:${index}`),
        ),
      );
      const work: (() => Promise<unknown>)[] = signatures.flatMap((bytes) =>
        paths.map((path) => async () => {
          try {
            await storeSignature(random.pick(databases), path, image.digest, bytes);
          } catch (error) {
            assert.ok(isWithdrawn(error), String(error));
          }
        }),
      );
      // One key with all it signed, and one signature of the other.
      const single = `sha256:${Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(signatures[1]!))).toString("hex")}`;
      const withdrawals = [
        () => withdrawKey(databases[1]!, signers[0].fingerprint, "leaked", author),
        () => withdrawSignature(databases[0]!, single, "leaked", author),
      ];
      for (const withdrawal of withdrawals) work.splice(random.integer(work.length), 0, withdrawal);
      await Promise.all(work.map((one) => one()));
      for (const path of paths) {
        const held = await listHeld(first!, path, image.digest);
        // Of the other key's four signatures all but the withdrawn one are there.
        assert.equal(held.length, 3);
        assert.ok(!held.includes(single));
        const rows = await first!.read
          .selectFrom("signature")
          .select("digest")
          .where("claimed_fingerprint", "=", signers[0].fingerprint)
          .execute();
        for (const { digest } of rows) assert.ok(!held.includes(digest));
      }
    }
  });
});

test("keys of gpg are renewed and revoked by adding them again", async (t) => {
  if (requireTool(t, "gpg") === undefined) return;
  using dir = makeTempDir("signet-trust-");
  const database = await openSqlite(dir.join("db"));
  t.after(() => database.close());
  await using home = await makeGpgHome();
  const key = await home.generateKey();
  const author = makeAuthor(Date.now());
  await addTrustedKey(database, await home.exportPublic(key, { armor: true }), "", author);
  const image = await pushImage(database, "team/app", 1);
  const payload = JSON.stringify({
    critical: {
      type: "atomic container signature",
      image: { "docker-manifest-digest": image.digest },
      identity: { "docker-reference": "r.example.com/team/app:1" },
    },
    optional: {},
  });
  const now = Date.now();
  const digest = await storeSignature(
    database,
    "team/app",
    image.digest,
    await home.sign(key, payload),
    undefined,
    now,
  );
  assert.equal((await findVerdict(database, digest))?.verdict, "accepted");
  await assert.rejects(
    async () => addTrustedKey(database, await home.exportSecret(key), "", author),
    (error) => error instanceof FormatError && error.code === "secret-key-refused",
  );
  await home.revokeKey(key);
  await addTrustedKey(database, await home.exportPublic(key), "", author);
  assert.equal(await recheck(database, now), 1);
  const revoked = await findVerdict(database, digest);
  assert.equal(revoked?.verdict, "rejected");
  assert.match(revoked.evidence, /revoked/);
});
