import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { makeSigner, pushImage, storeSignature } from "../trust/trust.testing.ts";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";

const IMMUTABLE = "private, max-age=31536000, immutable";

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The name of a file by the digest of its own bytes. */
function ownName(bytes: Uint8Array): string {
  return `signature-${digestOf(bytes).replace(":", "=")}`;
}

function requester(registry: ServedRegistry, folder: string) {
  return async (method: string, file: string, body?: Uint8Array, headers: Record<string, string> = {}) =>
    await registry.request(method, `${folder}/${file}`, body, headers);
}

/** What a cache goes by. */
function cachingOf({ headers }: Answer): readonly (string | null)[] {
  return ["cache-control", "etag", "content-location"].map((name) => headers.get(name));
}

forEachStorage(
  (make) => {
    test("a signature has a place, which may change, and a name by its own digest, which is for ever", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      await using registry = await serveRegistry(() => true, {}, storage);
      const signer = await makeSigner();
      const { digest, bytes: image } = await pushImage(storage.database, "team/app", 1);
      const [first, second] = [await signer.sign(image, "r.example.com/a:1"), await signer.sign(image, "r/b:1")];
      for (const bytes of [first, second]) await storeSignature(storage.database, "team/app", digest, bytes);
      const name = digest.replace(":", "=");
      for (const folder of [`/lookaside/team/app@${name}`, `/signatures/${name}`]) {
        const ask = requester(registry, folder);
        for (const [index, bytes] of [first, second].entries()) {
          for (const method of ["GET", "HEAD"]) {
            const place = await ask(method, `signature-${index + 1}`);
            const own = await ask(method, ownName(bytes));
            assert.deepEqual([place.status, own.status], [200, 200]);
            assert.deepEqual(cachingOf(place), ["no-cache", `"${digestOf(bytes)}"`, ownName(bytes)]);
            assert.deepEqual(cachingOf(own), [IMMUTABLE, `"${digestOf(bytes)}"`, null]);
            const body = method === "GET" ? Buffer.from(bytes) : Buffer.of();
            assert.deepEqual([place.bytes, own.bytes], [body, body]);
            assert.equal(own.headers.get("content-length"), String(bytes.length));
          }
          const known = { "if-none-match": `"${digestOf(bytes)}"` };
          const unchanged = await ask("GET", ownName(bytes), undefined, known);
          assert.deepEqual([unchanged.status, cachingOf(unchanged)[0]], [304, IMMUTABLE]);
          // As a client that resolves Content-Location comes back.
          const location = (await ask("GET", `signature-${index + 1}`)).headers.get("content-location")!;
          const target = new URL(location, `${registry.url}${folder}/signature-${index + 1}`);
          assert.deepEqual(await (await fetch(target)).bytes(), new Uint8Array(bytes));
        }
        for (const file of [
          ownName(Buffer.from("other")),
          ownName(first).toUpperCase(),
          ownName(first).replace("=", ":"),
          ownName(first).slice(0, -1),
          `${ownName(first)}0`,
          ownName(first).replace("256", "512"),
          "signature-sha256=",
        ]) {
          const answer = await ask("GET", file);
          assert.deepEqual([answer.status, answer.headers.get("cache-control")], [404, null], file);
        }
      }
      // Another image has no part in it.
      const { digest: other } = await pushImage(storage.database, "team/app", 2);
      for (const folder of ["/lookaside/team/app@", "/signatures/"]) {
        const answer = await registry.request("GET", `${folder}${other.replace(":", "=")}/${ownName(first)}`);
        assert.equal(answer.status, 404);
      }
      assert.deepEqual(registry.failures, []);
    });

    test("by its own digest a signature is written and removed, whatever place it has by then", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const isSigner = (account: string): boolean => account !== "reader";
      await using registry = await serveRegistry(
        (account, action) => action === "pull" || isSigner(account),
        {},
        storage,
      );
      const signer = await makeSigner();
      const { digest, bytes: image } = await pushImage(storage.database, "team/app", 1);
      const ask = requester(registry, `/lookaside/team/app@${digest.replace(":", "=")}`);
      const [first, second, third] = [
        await signer.sign(image, "r.example.com/a:1"),
        await signer.sign(image, "r.example.com/b:1"),
        await signer.sign(image, "r.example.com/c:1"),
      ];
      const wrong = await ask("PUT", ownName(first), second);
      assert.deepEqual([wrong.status, wrong.code], [400, "SIGNATURE_INVALID"], wrong.text);
      assert.match(wrong.text, new RegExp(digestOf(second)));
      assert.equal((await ask("PUT", ownName(first), first, { "x-test-account": "reader" })).status, 401);
      assert.equal((await ask("GET", "signature-1")).status, 404);
      // All at once: none has to know the next free place.
      const written = await Promise.all([first, second, third].map((bytes) => ask("PUT", ownName(bytes), bytes)));
      assert.deepEqual(
        written.map(({ status }) => status),
        [201, 201, 201],
      );
      assert.equal((await ask("PUT", ownName(second), second)).status, 204);
      const fourth = await signer.sign(image, "r.example.com/d:1");
      const same = await Promise.all(Array.from({ length: 8 }, () => ask("PUT", ownName(fourth), fourth)));
      const statuses = same.map(({ status }) => status).toSorted((one, other) => one - other);
      assert.deepEqual(statuses, [201, ...Array<number>(7).fill(204)]);
      assert.equal((await ask("DELETE", ownName(fourth))).status, 204);
      const placed = await ask("GET", "signature-1");
      // It moves up to the first place, and is still meant.
      const others = [first, second, third].filter((bytes) => digestOf(bytes) !== digestOf(placed.bytes));
      assert.equal((await ask("DELETE", ownName(placed.bytes))).status, 204);
      assert.equal((await ask("DELETE", ownName(placed.bytes))).status, 404);
      assert.equal((await ask("GET", ownName(placed.bytes))).status, 404);
      const tag = { "if-match": `"${digestOf(placed.bytes)}"` };
      assert.equal((await ask("DELETE", ownName(others[0]!), undefined, tag)).status, 412);
      assert.equal((await ask("DELETE", ownName(others[0]!), undefined, { "x-test-account": "reader" })).status, 401);
      assert.equal((await ask("DELETE", ownName(others[0]!))).status, 204);
      assert.deepEqual((await ask("GET", "signature-1")).bytes, Buffer.from(others[1]!));
      assert.equal((await ask("GET", "signature-2")).status, 404);
      // The tree over all repositories is for reading.
      const release = `/signatures/${digest.replace(":", "=")}/${ownName(others[1]!)}`;
      assert.equal((await registry.request("DELETE", release)).status, 405);
      assert.deepEqual(registry.failures, []);
    });

    test("of signatures in repositories that may not be read their digests tell nothing", async (t) => {
      const storage = await (await make(t))?.open();
      if (storage === undefined) return;
      const rights = (account: string, _action: string, path: string): boolean =>
        account === "admin" || path.startsWith("open/");
      await using registry = await serveRegistry(rights, {}, storage);
      const signer = await makeSigner();
      const { digest, bytes: image } = await pushImage(storage.database, "open/app", 1);
      await pushImage(storage.database, "secret/app", 1);
      const [hidden, shown] = [await signer.sign(image, "r.example.com/a:1"), await signer.sign(image, "r/b:1")];
      await storeSignature(storage.database, "secret/app", digest, hidden);
      await storeSignature(storage.database, "open/app", digest, shown);
      const name = digest.replace(":", "=");
      const statusOf = async (account: string, path: string): Promise<number> =>
        (await registry.request("GET", path, undefined, { "x-test-account": account })).status;
      for (const [account, status] of [
        ["admin", 200],
        ["stranger", 404],
      ] as const)
        assert.equal(await statusOf(account, `/signatures/${name}/${ownName(hidden)}`), status);
      assert.equal(await statusOf("stranger", `/signatures/${name}/${ownName(shown)}`), 200);
      // Another repository's signature is not this one's, even to those who may read both.
      assert.equal(await statusOf("admin", `/lookaside/open/app@${name}/${ownName(hidden)}`), 404);
      assert.equal(await statusOf("stranger", `/lookaside/secret/app@${name}/${ownName(hidden)}`), 401);
      assert.deepEqual(registry.failures, []);
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
