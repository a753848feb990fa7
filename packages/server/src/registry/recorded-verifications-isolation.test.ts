/** Recorded results belong to one repository, and go with the signature, the repository, or by whoever may take them back. */
import assert from "node:assert/strict";
import test from "node:test";
import { DEFAULT_GRACE_MS, collectGarbage } from "../content/collection.ts";
import { checkContent } from "../content/check.ts";
import { repairFinding } from "../content/repair.ts";
import { deleteRepository } from "../content/repository-deletion.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { makeAuthor } from "../trust/trust.testing.ts";
import { withdrawSignature } from "../trust/withdrawal.ts";
import {
  type VerificationBench,
  accepted,
  openVerificationBench,
  rejected,
  verificationsOf,
} from "./recorded-verifications.testing.ts";
import { putSignature } from "./threats.testing.ts";

/** Rows of all repositories: what no reader sees, and what must be gone all the same. */
async function countRows({ registry }: VerificationBench): Promise<number> {
  return (await registry.database.read.selectFrom("recorded_verification").select("number").execute()).length;
}

async function isClean({ registry }: VerificationBench): Promise<void> {
  const options = { withContent: true, straysBefore: 0 };
  for await (const finding of checkContent(registry.database, registry.blobs, options))
    assert.fail(JSON.stringify(finding));
}

forEachStorage(
  (make) => {
    test("what was recorded in one repository no reader of another one sees, whatever both hold", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { image, ask, record, list } = bench;
      const bytes = await bench.sign();
      const signature = await bench.push("team/app", bytes);
      assert.equal(await bench.push("other/app", bytes), signature);
      const empty = await ask("GET", verificationsOf("other/app", image.digest));
      await record(signature, accepted);
      await record(signature, rejected);
      assert.deepEqual(await list(signature, "other/app"), []);
      const still = await ask("GET", verificationsOf("other/app", image.digest));
      assert.deepEqual([still.status, still.text], [empty.status, empty.text]);
      // The first there is the first, however many there were elsewhere.
      await record(signature, accepted, "ann", "other/app");
      assert.deepEqual(
        (await list(signature, "other/app")).map((one) => one.number),
        [1],
      );
      assert.equal((await ask("DELETE", verificationsOf("other/app", image.digest))).status, 204);
      assert.deepEqual(
        (await list(signature)).map((one) => one.number),
        [2, 1],
      );
    });

    test("a repository may be called like the words of the path", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { image, ask, record, list } = bench;
      const bytes = await bench.sign();
      const paths = ["signatures", "verifications", "a/signatures", "a/verifications", "a/verifications/signatures"];
      for (const path of [...paths, "signatures/verifications"]) {
        const signature = await bench.push(path, bytes);
        await record(signature, accepted, "ann", path);
        assert.equal((await list(undefined, path)).length, 1);
        assert.equal((await list(signature, path)).length, 1);
        const answer = await ask("GET", `/extensions/v2/${path}/signatures/${image.digest}`);
        assert.equal((JSON.parse(answer.text) as { signatures: unknown[] }).signatures.length, 1, path);
        assert.equal((await ask("GET", `/extensions/v2/${path}/signatures`)).status, 200);
        const [{ name }] = (JSON.parse(answer.text) as { signatures: [{ name: string }] }).signatures;
        const place = `/extensions/v2/${path}/signatures/${image.digest}/${name.split("@")[1]}`;
        assert.equal((await ask("DELETE", place)).status, 204);
      }
    });

    test("each takes back its own, or that of another one by name; what others said stays", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { image, ask, record, list } = bench;
      const [first, second] = [await bench.push("team/app"), await bench.push("team/app")];
      const all = verificationsOf("team/app", image.digest);
      for (const signature of [first, second])
        for (const account of ["ann", "robot$ci", "zoe"]) await record(signature, accepted, account);
      await record(first, rejected, "ann");
      assert.equal((await ask("DELETE", `${all}/${first}`, "ann")).status, 204);
      const left = async () => (await list()).map((one) => `${one.signature === first ? 1 : 2} ${one.by}`).toSorted();
      assert.deepEqual(await left(), ["1 robot$ci", "1 zoe", "2 ann", "2 robot$ci", "2 zoe"]);
      assert.equal((await ask("DELETE", all, "zoe")).status, 204);
      assert.deepEqual(await left(), ["1 robot$ci", "2 ann", "2 robot$ci"]);
      assert.equal((await ask("DELETE", `${all}?by=robot%24ci`, "zoe")).status, 204);
      assert.deepEqual(await left(), ["2 ann"]);
      assert.equal((await ask("DELETE", all, "zoe")).status, 204);
      assert.deepEqual(await left(), ["2 ann"]);
      // The first after that is the first again: nothing of the history is left.
      await record(first, accepted, "ann");
      assert.deepEqual(
        (await list(first)).map((one) => one.number),
        [1],
      );
    });

    for (const [how, remove] of Object.entries({
      "the signature is removed at the extension": async ({ image, ask }: VerificationBench) => {
        const { text } = await ask("GET", `/extensions/v2/team/app/signatures/${image.digest}`);
        const { signatures } = JSON.parse(text) as { signatures: { name: string }[] };
        for (const { name } of signatures) {
          const [, suffix] = name.split("@");
          const { status } = await ask("DELETE", `/extensions/v2/team/app/signatures/${image.digest}/${suffix}`);
          assert.equal(status, 204);
        }
      },
      "the signature is removed in the lookaside tree": async ({ image, ask }: VerificationBench) => {
        const place = `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-1`;
        assert.equal((await ask("DELETE", place)).status, 204);
      },
      "the image is deleted": async ({ image, ask }: VerificationBench) => {
        assert.equal((await ask("DELETE", `/v2/team/app/manifests/${image.digest}`)).status, 202);
      },
      "the repository is deleted": async ({ registry }: VerificationBench) => {
        await deleteRepository(registry.database, registry.blobs, "team/app", "admin", registry.now());
      },
      "the signature is withdrawn": async ({ registry }: VerificationBench) => {
        const rows = await registry.database.read.selectFrom("signature").select("digest").execute();
        for (const { digest } of rows) await withdrawSignature(registry.database, digest, "", makeAuthor(Date.now()));
      },
    })) {
      test(`nothing is left when ${how}, and a later signature of the same bytes begins without`, async (t) => {
        await using bench = (await openVerificationBench(t, make))!;
        if (bench === undefined) return;
        const { registry, list, record } = bench;
        const bytes = await bench.sign();
        const signature = await bench.push("team/app", bytes);
        await bench.push("other/app", bytes);
        await record(signature, accepted);
        await record(signature, rejected);
        await record(signature, accepted, "bob", "other/app");
        await remove(bench);
        const isWithdrawn = how.includes("withdrawn");
        assert.equal(await countRows(bench), isWithdrawn ? 0 : 1);
        await isClean(bench);
        if (isWithdrawn) return;
        assert.equal((await list(signature, "other/app")).length, 1);
        await bench.push("team/app", bytes);
        assert.deepEqual(await list(signature), []);
        assert.deepEqual(registry.failures, []);
      });
    }

    test("an older version that still holds the signature keeps its results, and so does a pinned path, which takes none", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, list, record } = bench;
      const { database } = registry;
      const signature = await bench.push("team/app");
      await record(signature, accepted);
      const repository = await database.read
        .selectFrom("repository")
        .select(["id", "latest_version"])
        .where("name", "=", "team/app")
        .executeTakeFirstOrThrow();
      const pinned = {
        path: "team/fixed",
        repository_id: repository.id,
        version: repository.latest_version,
        created_at: 0,
      };
      await database.write(async (writer) => void (await writer.insertInto("distribution").values(pinned).execute()));
      const place = `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-1`;
      assert.equal((await ask("DELETE", place)).status, 204);
      assert.deepEqual(await list(), []);
      assert.equal((await ask("GET", verificationsOf("team/app", image.digest, signature))).status, 404);
      assert.equal((await list(signature, "team/fixed")).length, 1);
      for (const [method, of] of [
        ["POST", signature],
        ["DELETE", signature],
        ["DELETE", undefined],
      ] as const) {
        const answer = await ask(method, verificationsOf("team/fixed", image.digest, of), "ann", rejected);
        assert.deepEqual([answer.status, answer.code], [403, "DENIED"]);
      }
      await isClean(bench);
      // What is withdrawn leaves the pinned version too.
      const withdrawn = await bench.push("team/app");
      await record(withdrawn, accepted);
      const { latest_version: latest } = await database.read
        .selectFrom("repository")
        .select("latest_version")
        .where("name", "=", "team/app")
        .executeTakeFirstOrThrow();
      const later = { ...pinned, path: "team/later", version: latest };
      await database.write(async (writer) => void (await writer.insertInto("distribution").values(later).execute()));
      assert.equal((await ask("DELETE", place)).status, 204);
      assert.equal((await list(withdrawn, "team/later")).length, 1);
      await withdrawSignature(database, withdrawn, "", makeAuthor(Date.now()));
      assert.equal(await countRows(bench), 1);
      await isClean(bench);
      await database.write((writer) =>
        writer.deleteFrom("distribution").where("path", "in", ["team/fixed", "team/later"]).execute(),
      );
      // The next change forgets the versions that nothing needs.
      await bench.push("team/app");
      assert.equal(await countRows(bench), 0);
      await isClean(bench);
    });

    test("collection takes what is left with the signature's row, and a check finds what should not be there", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, record } = bench;
      const { database, blobs } = registry;
      const signature = await bench.push("team/app");
      await bench.push("team/app");
      await record(signature, accepted);
      await database.write((writer) => writer.deleteFrom("membership").where("unit_key", "=", signature).execute());
      const find = async () => {
        const findings = [];
        for await (const one of checkContent(database, blobs, { withContent: false, straysBefore: 0 }))
          findings.push(one);
        return findings;
      };
      const [finding, ...rest] = await find();
      assert.deepEqual([finding?.fault, finding?.subject, rest], ["recorded-result-dangling", signature, []]);
      assert.deepEqual(await repairFinding(database, blobs, finding!, registry.now()), {
        repaired: true,
        what: "the results were removed",
      });
      assert.deepEqual([await find(), await countRows(bench)], [[], 0]);

      const other = await bench.push("other/app");
      await record(other, accepted, "ann", "other/app");
      await database.write((writer) => writer.deleteFrom("membership").where("unit_key", "=", other).execute());
      const now = registry.now() + DEFAULT_GRACE_MS + 60_000;
      await collectGarbage(database, blobs, { now, withStrays: false });
      assert.equal(await countRows(bench), 0);
    });

    test("many who record, take back and delete at once leave nothing that a check finds", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask } = bench;
      const bytes = await bench.sign();
      const signature = await bench.push("team/app", bytes);
      const place = verificationsOf("team/app", image.digest, signature);
      const file = `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-${signature.replace(":", "=")}`;
      const statuses = new Set<number>();
      // Recording meets the end of the signature it is about, again and again.
      for (let round = 0; round < 12; round += 1) {
        const answers = await Promise.all([
          ...Array.from({ length: 12 }, (_, index) =>
            ask("POST", place, `robot$${index}`, { ...accepted, reason: `reason ${round}` }),
          ),
          ask("DELETE", place, "robot$1"),
          ask("DELETE", file),
        ]);
        for (const { status } of answers) statuses.add(status);
        await isClean(bench);
        assert.equal(await countRows(bench), 0, "results of a signature that is gone");
        assert.equal((await putSignature(registry, "team/app", image, bytes)).status, 201);
      }
      // Which of them come first is not ours to say.
      assert.deepEqual(
        [...statuses].filter((status) => ![201, 204, 404].includes(status)),
        [],
      );
      assert.deepEqual(registry.failures, []);
    });

    test("a repository over its quota still takes results back", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, record, list } = bench;
      await record(await bench.push("team/app"), accepted);
      await changeRepositorySettings(registry.database, "team/app", { quotaBytes: 1 }, "admin", registry.now());
      assert.equal((await ask("DELETE", verificationsOf("team/app", image.digest))).status, 204);
      assert.deepEqual(await list(), []);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
