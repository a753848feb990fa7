/** Tags that a repository's rules fix: they do not move, they do not go, and what they lead to stays. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { OCI_INDEX, OCI_MANIFEST, digestOf, pushBlob } from "./threats.testing.ts";

void describe("a fixed tag", () => {
  void it("does not move to another manifest, by whatever way, and may be pushed again as it is", async () => {
    await using registry = await serveRegistry();
    const [first, second] = [await makeImage(registry, "1"), await makeImage(registry, "2")];
    await put(registry, "v1", first);
    await fix(registry);
    assert.equal((await tryPut(registry, "v1", second)).status, 409);
    assert.equal((await tryPut(registry, `${digestOf(second)}?tag=other&tag=v1`, second)).status, 409);
    assert.equal((await registry.request("GET", "/v2/a/manifests/v1")).text, first);
    assert.equal((await registry.request("GET", "/v2/a/manifests/other")).status, 404);
    await put(registry, "v1", first);
    await put(registry, "w1", second);
    await put(registry, "w1", first);
  });

  void it("does not go, nor its manifest, nor what a list leads to", async () => {
    await using registry = await serveRegistry();
    const [image, sibling, alone] = [
      await makeImage(registry, "1"),
      await makeImage(registry, "2"),
      await makeImage(registry, "3"),
    ];
    for (const one of [image, sibling, alone]) await put(registry, digestOf(one), one);
    const inner = writeList([image, sibling], OCI_MANIFEST);
    await put(registry, digestOf(inner), inner);
    const outer = writeList([inner], OCI_INDEX);
    await put(registry, "v1", outer);
    await put(registry, "latest", writeList([image, alone], OCI_MANIFEST));
    await fix(registry);
    for (const reference of ["v1", digestOf(outer), digestOf(inner), digestOf(image), digestOf(sibling)]) {
      const { status, code, text } = await registry.request("DELETE", `/v2/a/manifests/${reference}`);
      assert.deepEqual([status, code], [409, "DENIED"], reference);
      assert.match(text, /fixes the tag v1/);
      assert.equal((await registry.request("GET", `/v2/a/manifests/${reference}`)).status, 200);
    }
    // What only other tags lead to.
    assert.equal((await registry.request("DELETE", `/v2/a/manifests/${digestOf(alone)}`)).status, 202);
    assert.equal((await registry.request("DELETE", "/v2/a/manifests/latest")).status, 202);
    await changeRepositorySettings(registry.database, "a", { immutableTags: [] }, "admin", registry.now());
    assert.equal((await registry.request("DELETE", `/v2/a/manifests/${digestOf(image)}`)).status, 202);
    assert.deepEqual(registry.failures, []);
  });
});

const fix = (registry: ServedRegistry): Promise<unknown> =>
  changeRepositorySettings(registry.database, "a", { immutableTags: ["v*"] }, "admin", registry.now());

async function makeImage(registry: ServedRegistry, text: string): Promise<string> {
  const config = { mediaType: "application/x", digest: await pushBlob(registry, "a", text), size: text.length };
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] });
}

function writeList(members: readonly string[], mediaType: string): string {
  const manifests = members.map((body) => ({ mediaType, digest: digestOf(body), size: body.length }));
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

function tryPut(registry: ServedRegistry, reference: string, body: string) {
  const { mediaType } = JSON.parse(body) as { mediaType: string };
  return registry.request("PUT", `/v2/a/manifests/${reference}`, body, { "content-type": mediaType });
}

async function put(registry: ServedRegistry, reference: string, body: string): Promise<void> {
  const { status, text } = await tryPut(registry, reference, body);
  assert.equal(status, 201, text);
}
