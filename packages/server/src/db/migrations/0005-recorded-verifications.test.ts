import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { accepted, openVerificationBench, verificationsOf } from "../../registry/recorded-verifications.testing.ts";
import { serveRegistry } from "../../registry/serve.testing.ts";
import { forEachStorage } from "../../storage-pairs.testing.ts";
import { undoRecordedVerifications } from "./rollback.testing.ts";

forEachStorage(
  (make) => {
    test("signatures of a database from before can have results, in the order of bytes whatever the locale", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      await using bench = (await openVerificationBench(t, () => Promise.resolve(storage)))!;
      const { image, push } = bench;
      const signature = await push("team/app");
      await bench.registry.database.write(undoRecordedVerifications);

      const after = await storage.open();
      await using registry = await serveRegistry(undefined, {}, after);
      const place = verificationsOf("team/app", image.digest, signature);
      const accounts = ["robot$a", "a+b", "ab", "a-b", "a.b", "a_b", "a@b"];
      for (const account of accounts) {
        const headers = { "x-test-account": account };
        assert.equal((await registry.request("POST", place, JSON.stringify(accepted), headers)).status, 201);
      }
      const { text } = await registry.request("GET", place);
      const { verifications } = JSON.parse(text) as { verifications: { by: string }[] };
      assert.deepEqual(
        verifications.map((one) => one.by),
        accounts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      if (after.database.kind === "postgresql") {
        const { rows } = await sql<{ column_name: string }>`select column_name from information_schema.columns
          where table_name = 'recorded_verification' and collation_name = 'C' order by column_name`.execute(
          after.database.read,
        );
        const inOrderOfBytes = ["image_digest", "recorded_by", "signature_digest"];
        assert.deepEqual(
          rows.map((row) => row.column_name),
          inOrderOfBytes,
        );
      }
      assert.deepEqual(registry.failures, []);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "filesystem"],
  ],
);
