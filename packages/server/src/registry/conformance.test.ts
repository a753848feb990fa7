/** The registry passes every case of the OCI distribution specification's conformance suite, on both databases and both blob stores. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { listConformanceCases } from "./conformance-cases.testing.ts";
import { ConformanceClient } from "./conformance-client.testing.ts";
import { serveRegistry } from "./serve.testing.ts";

forEachStorage(
  (make) => {
    void it("passes the OCI conformance cases", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      await using registry = await serveRegistry(undefined, {}, await storage.open());
      const client = new ConformanceClient(registry.url);
      for (const { name, run } of listConformanceCases()) await t.test(name, () => run(client));
      assert.deepEqual(registry.failures, []);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
