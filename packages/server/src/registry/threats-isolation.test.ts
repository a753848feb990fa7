/** Threats to what a repository keeps for its own readers (docs/threat-model.md): content that is reached past its repository, by digest or by what others said of it. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { buildTestImage, httpPushTarget, pushTestAttachments, pushTestImage, pushTestReferrer } from "@signet/testkit";
import { makeSigner } from "../trust/trust.testing.ts";
import { verificationsOf } from "./recorded-verifications.testing.ts";
import { serveRegistry } from "./serve.testing.ts";
import { OCI_INDEX, OCI_MANIFEST, digestOf, lookaside, putSignature } from "./threats.testing.ts";
import { BOB, type Headers, PASSWORD, admin, bob, serveWhole } from "./whole-server.testing.ts";

void describe("T16 content is read in its own repository alone", () => {
  void it("T16 what is private is answered as what is not there, on every route and for every kind of caller", async () => {
    await using server = await serveWhole();
    const { image } = server;
    const layer = image.layers[0]!.digest;
    const routes = (path: string): readonly (readonly [method: string, path: string, headers?: Headers])[] => [
      ...["1", image.digest, "missing"].flatMap((reference) =>
        ["GET", "HEAD", "PUT", "DELETE"].map((method) => [method, `/v2/${path}/manifests/${reference}`] as const),
      ),
      ...["GET", "HEAD", "DELETE"].map((method) => [method, `/v2/${path}/blobs/${layer}`] as const),
      ["GET", `/v2/${path}/blobs/${layer}`, { range: "bytes=0-0" }],
      ["GET", `/v2/${path}/blobs/${layer}`, { "if-none-match": `"${layer}"` }],
      ["GET", `/v2/${path}/manifests/1`, { "if-none-match": `"${image.digest}"` }],
      ["GET", `/v2/${path}/tags/list`],
      ["GET", `/v2/${path}/referrers/${image.digest}`],
      ["POST", `/v2/${path}/blobs/uploads/`],
      ["POST", `/v2/${path}/blobs/uploads/?mount=${layer}&from=bob/app`],
      ["PATCH", `/v2/${path}/blobs/uploads/${randomUUID()}`],
      ["GET", `/extensions/v2/${path}/signatures`],
      ["GET", `/extensions/v2/${path}/signatures/${image.digest}`],
      ["GET", `/extensions/v2/${path}/signatures/${image.digest}?view=all`],
      ["PUT", `/extensions/v2/${path}/signatures/${image.digest}`],
      ["DELETE", `/extensions/v2/${path}/signatures/${image.digest}/name`],
      ...["GET", "HEAD", "DELETE"].map((method) => [method, verificationsOf(path, image.digest)] as const),
      ["DELETE", `${verificationsOf(path, image.digest)}?by=admin`],
      ...["GET", "POST", "DELETE"].map((method) => [method, verificationsOf(path, image.digest, layer)] as const),
      ...["GET", "HEAD", "PUT", "DELETE"].map((method) => [method, lookaside(path, image.digest, 1)] as const),
    ];
    const [there, missing] = [routes("team/app"), routes("team/nil")];
    for (const [kind, callerOf] of Object.entries({
      anonymous: async () => await Promise.resolve({}),
      basic: async () => await Promise.resolve(bob),
      bearer: async (path: string) => ({
        authorization: `Bearer ${await server.token([`repository:${path}:pull,push,delete`])}`,
      }),
    })) {
      const [asThere, asMissing] = [await callerOf("team/app"), await callerOf("team/nil")];
      for (const [index, [method, path, more]] of there.entries()) {
        const [found, none] = [
          await server.send(method, path, { ...asThere, ...more }),
          await server.send(method, missing[index]![1], { ...asMissing, ...more }),
        ];
        for (const one of [found, none]) {
          delete one.headers["date"];
          delete one.headers["x-request-id"];
        }
        assert.ok([401, 403].includes(found.status), `${kind} ${method} ${path}: ${found.status}`);
        assert.deepEqual(
          JSON.parse(JSON.stringify(none).replaceAll("team/nil", "team/app")),
          found,
          `${kind} ${method} ${path}`,
        );
      }
    }
    for (const headers of [{}, bob]) {
      const catalog = await server.send("GET", "/v2/_catalog", headers);
      assert.doesNotMatch(catalog.text, /team/);
    }
  });

  void it("T16 CVE-2024-39897: whoever knows a digest cannot bring it into a repository of their own without its bytes", async () => {
    await using server = await serveWhole();
    const { image } = server;
    const unknown = digestOf("nowhere");
    const size = 2;
    const config = { mediaType: "application/octet-stream", digest: digestOf("{}"), size };
    const target = httpPushTarget(server.url, { user: "bob", password: BOB });
    await target.putBlob("bob/app", Buffer.from("{}"));
    const put = (path: string, body: object, type: string) =>
      server.send("PUT", path, { ...bob, "content-type": type }, JSON.stringify(body));
    for (const [layer, manifest] of [
      [image.layers[0]!.digest, image.digest],
      [unknown, unknown],
    ] as const) {
      const get = (path: string) => server.send("GET", path, bob);
      for (const from of ["&from=team/app", "", "&from=bob/app"]) {
        const mounted = await server.send("POST", `/v2/bob/app/blobs/uploads/?mount=${layer}${from}`, bob);
        assert.equal(mounted.status, 202);
      }
      assert.equal((await get(`/v2/bob/app/blobs/${layer}`)).status, 404);
      const base = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] };
      for (const body of [
        { ...base, layers: [{ ...config, digest: layer }] },
        { ...base, config: { ...config, digest: layer } },
      ]) {
        assert.equal((await put("/v2/bob/app/manifests/1", body, OCI_MANIFEST)).status, 404);
      }
      // Foreign layers and the members of a list may be missing: they are not served for that.
      const foreign = { ...base, layers: [{ ...config, digest: layer, urls: ["https://example.com/x"] }] };
      const index = {
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [{ mediaType: OCI_MANIFEST, digest: manifest, size }],
      };
      assert.equal((await put("/v2/bob/app/manifests/foreign", foreign, OCI_MANIFEST)).status, 201);
      assert.equal((await put("/v2/bob/app/manifests/list", index, OCI_INDEX)).status, 201);
      const subject = { mediaType: OCI_MANIFEST, digest: manifest, size };
      const about = { ...base, subject, artifactType: "text/x-bob" };
      assert.equal((await put("/v2/bob/app/manifests/about", about, OCI_MANIFEST)).status, 201);
      for (const path of [`blobs/${layer}`, `manifests/${manifest}`])
        assert.equal((await get(`/v2/bob/app/${path}`)).status, 404);
      assert.equal((await get(`/extensions/v2/bob/app/signatures/${manifest}`)).status, 404);
      assert.equal((await put(`/v2/bob/app/manifests/${manifest}?tag=stolen`, base, OCI_MANIFEST)).status, 400);
    }
  });

  void it("T16 referrers and signatures are listed where they were put, whoever else is about the same image", async () => {
    await using server = await serveWhole();
    const { image } = server;
    const targetOf = (user: string, password: string) => httpPushTarget(server.url, { user, password });
    const signer = await makeSigner(undefined, Date.now());
    const bytes = await signer.sign(image.manifest, "r.example.com/team/app:1", Date.now());
    const put = await server.send("PUT", lookaside("team/app", image.digest, 1), admin, bytes);
    assert.equal(put.status, 201);
    const theirs = await pushTestReferrer(targetOf("admin", PASSWORD), "team/app", image, "text/x-admin", "theirs");
    const own = await pushTestReferrer(targetOf("bob", BOB), "bob/app", image, "text/x-bob", "own");
    const list = async (path: string, headers: Headers): Promise<readonly string[]> => {
      const { status, text } = await server.send("GET", `/v2/${path}/referrers/${image.digest}`, headers);
      assert.equal(status, 200);
      return (JSON.parse(text) as { manifests: { digest: string }[] }).manifests.map((one) => one.digest);
    };
    assert.deepEqual(await list("team/app", admin), [theirs.digest]);
    assert.deepEqual(await list("bob/app", bob), [own.digest]);
    const release = `/signatures/${image.digest.replace(":", "=")}/signature-1`;
    for (const headers of [bob, {}]) {
      assert.equal((await server.send("GET", release, headers)).status, 404);
      assert.equal((await server.send("HEAD", release, headers)).status, 404);
    }
    assert.equal((await server.send("GET", release, admin)).status, 200);
  });

  void it("T16 whoever stores a signature that another repository holds learns nothing of that one: no name, no carrier, no time", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage();
    for (const path of ["theirs", "ours"]) await pushTestImage(httpPushTarget(registry.url), `${path}:1`, image);
    const signer = await makeSigner(undefined, Date.now());
    const [bytes, other] = [
      await signer.sign(image.manifest, "r.example.com/x:1", Date.now()),
      await signer.sign(image.manifest, "r.example.com/x:1", Date.now()),
    ];
    const put = (path: string, name: string, content: Uint8Array) => {
      const object = {
        schemaVersion: 2,
        name: `${image.digest}@${name}`,
        content: Buffer.from(content).toString("base64"),
      };
      return registry.request("PUT", `/extensions/v2/${path}/signatures/${image.digest}`, JSON.stringify(object));
    };
    const identity = { "docker-reference": "r.example.com/x" };
    const type = "cosign container image signature";
    const payload = JSON.stringify({
      critical: { identity, image: { "docker-manifest-digest": image.digest }, type },
      optional: null,
    });
    const attach = (path: string, more: readonly { payload: string; mediaType: string }[]) =>
      pushTestAttachments(httpPushTarget(registry.url), path, image.digest, "sig", [{ payload }, ...more]);
    assert.equal((await put("theirs", "secret-name", bytes)).status, 201);
    const hidden = await attach("theirs", [{ payload: "hidden", mediaType: "text/plain" }]);
    registry.advance(60_000);
    const since = registry.now();
    assert.equal((await put("ours", "our-name", bytes)).status, 201);
    // A name that only the other repository has is free, and one of ours is not.
    assert.equal((await put("ours", "secret-name", other)).status, 201);
    assert.equal((await put("ours", "our-name", await signer.sign(image.manifest, "x/x:1", Date.now()))).status, 409);
    const { digest: carrier } = await attach("ours", []);
    const read = async (path: string) => {
      const { text } = await registry.request("GET", `/extensions/v2/${path}/signatures/${image.digest}?view=all`);
      const { signatures } = JSON.parse(text) as { signatures: Record<string, string>[] };
      return new Map(signatures.map((one) => [one["digest"]!, one]));
    };
    const ours = await read("ours");
    assert.equal(ours.get(digestOf(bytes))!["name"], `${image.digest}@our-name`);
    for (const one of ours.values()) {
      assert.ok(Date.parse(one["createdAt"]!) >= since, "when it came to the other repository");
      assert.ok(one["verifiedAt"] === undefined || Date.parse(one["verifiedAt"]) >= since);
      if (one["format"] === "sigstore-attachment") assert.equal(one["carrier"], carrier);
    }
    const theirs = await read("theirs");
    assert.equal(theirs.get(digestOf(bytes))!["name"], `${image.digest}@secret-name`);
    const attached = [...theirs.values()].find((one) => one["format"] === "sigstore-attachment");
    assert.equal(attached!["carrier"], hidden.digest);
    assert.equal((await putSignature(registry, "ours", image, bytes)).status, 409);
  });

  void it("T16 CVE-2026-35172: what was deleted is not read any more from what was kept, by any way, nor by a later repository of the name", async () => {
    await using server = await serveWhole();
    const { image } = server;
    const blobs = [image.config, ...image.layers];
    const target = httpPushTarget(server.url, { user: "admin", password: PASSWORD });
    const signer = await makeSigner(undefined, Date.now());
    const bytes = await signer.sign(image.manifest, "r.example.com/team/app:1", Date.now());
    await pushTestImage(target, "other/app:1", image);
    const reads = (path: string): readonly (readonly [string, string, Headers?])[] => [
      ...["1", image.digest].flatMap((reference) => [
        ["GET", `/v2/${path}/manifests/${reference}`] as const,
        ["HEAD", `/v2/${path}/manifests/${reference}`] as const,
        ["GET", `/v2/${path}/manifests/${reference}`, { "if-none-match": `"${image.digest}"` }] as const,
      ]),
      ...blobs.flatMap(({ digest }) => [
        ["GET", `/v2/${path}/blobs/${digest}`] as const,
        ["HEAD", `/v2/${path}/blobs/${digest}`] as const,
        ["GET", `/v2/${path}/blobs/${digest}`, { range: "bytes=0-0" }] as const,
        ["GET", `/v2/${path}/blobs/${digest}`, { "if-none-match": `"${digest}"` }] as const,
      ]),
      ["GET", `/extensions/v2/${path}/signatures/${image.digest}`],
      ["GET", lookaside(path, image.digest, 1)],
    ];
    const statuses = async (path: string): Promise<readonly number[]> =>
      await Promise.all(
        reads(path).map(
          async ([method, place, more]) => (await server.send(method, place, { ...admin, ...more })).status,
        ),
      );
    const isAll = (found: readonly number[], wanted: readonly number[]): void =>
      assert.ok(
        found.every((status) => wanted.includes(status)),
        found.join(" "),
      );
    const sign = () => server.send("PUT", lookaside("team/app", image.digest, 1), admin, bytes);
    assert.equal((await sign()).status, 201);
    isAll(await statuses("team/app"), [200, 206, 304]);
    assert.equal((await server.send("DELETE", `/v2/team/app/manifests/${image.digest}`, admin)).status, 202);
    isAll(await statuses("team/app"), [404]);
    await pushTestImage(target, "team/app:1", image);
    assert.equal((await sign()).status, 201);
    isAll(await statuses("team/app"), [200, 206, 304]);
    await server.removeRepository("team/app");
    isAll(await statuses("team/app"), [404]);
    await pushTestImage(target, "team/app:2", await buildTestImage({ seed: 99, layers: 1 }));
    isAll(await statuses("team/app"), [404]);
    // The repository that holds the same bytes has lost nothing.
    assert.equal((await server.send("GET", `/v2/other/app/manifests/${image.digest}`, admin)).status, 200);
  });
});
