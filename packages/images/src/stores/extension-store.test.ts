import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";
import { type Digest, type Reference, encodeBase64, parseDigest, parseReference } from "@signet/core";
import {
  type LoopbackServer,
  type TestRegistry,
  buildTestImage,
  pushTestImage,
  startLoopbackServer,
  startTestRegistry,
} from "@signet/testkit";
import { failsWith, makeRegistryClients } from "@signet/testkit/hostile-registry";
import { extensionStore } from "./extension-store.ts";
import type { SignatureStore } from "./signature-store.ts";

const signature = (text: string): Uint8Array => new Uint8Array([0xa3, ...new TextEncoder().encode(text)]);
const digest = parseDigest(`sha256:${"d".repeat(64)}`);

function openStore(t: TestContext, host: string): { store: SignatureStore; reference: Reference } {
  const clients = makeRegistryClients(t, { retryTimes: 1 });
  return { store: extensionStore(clients.clientFor(host)), reference: parseReference(`${host}/team/app:1`) };
}

async function startRegistry(
  t: TestContext,
): Promise<{ registry: TestRegistry; image: Digest; store: SignatureStore; reference: Reference }> {
  const registry = await startTestRegistry({ signaturesExtension: true });
  t.after(() => registry.dispose());
  const image = parseDigest(await pushTestImage(registry, "team/app:1", await buildTestImage()));
  return { registry, image, ...openStore(t, registry.host) };
}

/** A registry whose signatures API answers with `body`. */
async function answering(t: TestContext, status: number, body: unknown): Promise<LoopbackServer> {
  const server = await startLoopbackServer((request, response) => {
    if (request.url === "/v2/") response.setHeader("x-registry-supports-signatures", "1").end();
    else response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  t.after(() => server.dispose());
  return server;
}

void describe("signatures API", () => {
  void it("writes what other clients read: version 2, type atomic, a name of 32 hex digits behind the digest", async (t) => {
    const { registry, image, store, reference } = await startRegistry(t);
    await store.add(reference, image, signature("one"));
    const [stored] = registry.signatures("team/app", image);
    assert.match(stored!.name, new RegExp(`^${image}@[0-9a-f]{32}$`));
    assert.deepEqual(stored, {
      schemaVersion: 2,
      name: stored!.name,
      type: "atomic",
      content: encodeBase64(signature("one")),
    });
  });

  void it("writes the message itself when a signature comes in a frame", async (t) => {
    const { registry, image, store, reference } = await startRegistry(t);
    const message = signature("one");
    const framed = new Uint8Array([0, ...new TextEncoder().encode("simple-signing\n"), ...message]);
    await store.add(reference, image, framed);
    assert.equal(registry.signatures("team/app", image)[0]!.content, encodeBase64(message));
    await store.add(reference, image, message);
    assert.equal(registry.signatures("team/app", image).length, 1);
  });

  void it("refuses sigstore signatures and what is no signature, before anything is sent", async (t) => {
    const { registry, image, store, reference } = await startRegistry(t);
    const sigstore = new TextEncoder().encode(
      `\0sigstore-json\n${JSON.stringify({ mimeType: "a/b", payload: "", annotations: {} })}`,
    );
    const before = registry.log.length;
    await assert.rejects(
      store.add(reference, image, sigstore),
      failsWith("signature-store-unwritable", /simple signing only/),
    );
    await assert.rejects(
      store.replace(reference, image, [signature("good"), new Uint8Array([0xff])]),
      failsWith("signature-store-unwritable", /no signature/),
    );
    assert.equal(registry.log.length, before);
  });

  void it("replaces when everything that is there stays, and says so when something would have to go", async (t) => {
    const { image, store, reference } = await startRegistry(t);
    assert.equal(store.appendOnly, true);
    await store.remove(reference, image);
    await store.replace(reference, image, [signature("a")]);
    await store.replace(reference, image, [signature("b"), signature("a"), signature("b")]);
    assert.deepEqual(
      (await store.read(reference, image)).signatures.map(({ bytes }) => bytes),
      [signature("a"), signature("b")],
    );
    await assert.rejects(
      store.replace(reference, image, [signature("a")]),
      failsWith("signature-store-unwritable", /1 signature .* removed/),
    );
    await assert.rejects(
      store.remove(reference, image),
      failsWith("signature-store-unwritable", /2 signatures .* removed/),
    );
    assert.equal((await store.read(reference, image)).signatures.length, 2);
  });

  void it("reads what OpenShift's import stored under its other type", async (t) => {
    const content = encodeBase64(signature("imported"));
    const server = await answering(t, 200, {
      signatures: [{ schemaVersion: 2, name: "n@1", type: "AtomicImageV1", content }],
    });
    const { store, reference } = openStore(t, server.host);
    assert.deepEqual(
      (await store.read(reference, digest)).signatures.map(({ bytes }) => bytes),
      [signature("imported")],
    );
  });

  void it("leaves out objects it cannot read, with a warning each, and reads the others", async (t) => {
    const good = { schemaVersion: 2, name: "good", type: "atomic", content: encodeBase64(signature("good")) };
    const bad = [
      { ...good, name: "old", schemaVersion: 1 },
      { ...good, name: "documented", schemaVersion: undefined, version: 2 },
      { ...good, name: "typed", type: "sigstore" },
      { ...good, name: "url-safe", content: "o_-_" },
      { ...good, name: "empty-handed", content: undefined },
      { ...good, name: 7, content: 7 },
    ];
    const server = await answering(t, 200, { signatures: [...bad.slice(0, 3), good, ...bad.slice(3)] });
    const { store, reference } = openStore(t, server.host);
    const reading = await store.read(reference, digest);
    assert.deepEqual(
      reading.signatures.map(({ location }) => location),
      [`${store.label}: good`],
    );
    assert.equal(reading.warnings.length, bad.length);
    assert.equal(reading.attempts.filter(({ outcome }) => outcome === "skipped").length, bad.length);
  });

  void it("T12: takes neither 404 nor 403 nor 500 nor a web page for an empty list", async (t) => {
    for (const [status, body, code] of [
      [404, "", "image-missing"],
      [403, "", "registry-forbidden"],
      [500, "", "registry-error"],
      [200, "<html></html>", "registry-error"],
      [200, '{"signatures":null}', "registry-error"],
    ] as const) {
      const server = await answering(t, status, body);
      const { store, reference } = openStore(t, server.host);
      await assert.rejects(store.read(reference, digest), failsWith(code, /signatures of/), `${status} ${body}`);
    }
  });

  void it("CVE-2024-29903: counts objects that are left out as well", async (t) => {
    const server = await answering(t, 200, { signatures: Array.from({ length: 129 }, () => ({})) });
    const { store, reference } = openStore(t, server.host);
    await assert.rejects(store.read(reference, digest), failsWith("signature-store-error", /more than 128/));
  });

  void it("takes a conflict for success only when the signature is really there", async (t) => {
    let there = false;
    const server = await startLoopbackServer((request, response) => {
      if (request.url === "/v2/") return void response.end();
      if (request.method === "PUT") return void response.writeHead(409).end();
      const content = encodeBase64(signature("one"));
      const listed = there && server.requests.some(({ method }) => method === "PUT");
      response.end(
        JSON.stringify({ signatures: listed ? [{ schemaVersion: 2, name: "faster", type: "atomic", content }] : [] }),
      );
    });
    t.after(() => server.dispose());
    const { store, reference } = openStore(t, server.host);
    await assert.rejects(
      store.add(reference, digest, signature("one")),
      failsWith("signature-store-error", /does not list it/),
    );
    there = true;
    assert.equal(await store.add(reference, digest, signature("one")), `${store.label}: faster`);
  });

  void it("stores a signature once although the answer to the first attempt was lost", async (t) => {
    const stored: { name: string }[] = [];
    const server = await startLoopbackServer((request, response) => {
      if (request.method !== "PUT") return void response.end(JSON.stringify({ signatures: stored }));
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const first = stored.length === 0;
        if (first) stored.push(JSON.parse(Buffer.concat(parts).toString()) as { name: string });
        if (first) response.destroy();
        else response.writeHead(409).end();
      });
    });
    t.after(() => server.dispose());
    const { store, reference } = openStore(t, server.host);
    assert.equal(await store.add(reference, digest, signature("one")), `${store.label}: ${stored[0]!.name}`);
    assert.equal(server.requests.filter(({ method }) => method === "PUT").length, 2);
  });

  void it("wants exactly 201 for a stored signature", async (t) => {
    for (const status of [200, 202, 204]) {
      const server = await startLoopbackServer((request, response) => {
        if (request.method === "PUT") response.writeHead(status).end();
        else response.end('{"signatures":[]}');
      });
      t.after(() => server.dispose());
      const { store, reference } = openStore(t, server.host);
      await assert.rejects(
        store.add(reference, digest, signature("one")),
        failsWith("registry-error", new RegExp(`HTTP ${status}`)),
      );
    }
  });
});
