import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type UntrustedSigstoreBlob, parseSignatureBlob } from "@signet/core";
import { type TestImage, buildTestImage, httpPushTarget, pushTestAttachments, pushTestImage } from "@signet/testkit";
import { makeAuthor, makeSigner } from "../trust/trust.testing.ts";
import { addTrustedKey } from "../trust/trusted-keys.ts";
import { withdrawSignature } from "../trust/withdrawal.ts";
import {
  type Listed,
  PATH,
  bundle,
  bundleType,
  cosignPayload,
  isClean,
  list,
  refer,
  sha256,
} from "./carried.testing.ts";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/dir-images");

const formats = (signatures: readonly Listed[]): readonly string[] => signatures.map((one) => one.format).toSorted();

async function setUp(): Promise<{ readonly registry: ServedRegistry; readonly image: TestImage } & AsyncDisposable> {
  const registry = await serveRegistry();
  const image = await buildTestImage();
  await pushTestImage(httpPushTarget(registry.url), `${PATH}:1`, image);
  return { registry, image, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
}

void describe("sigstore attachments", () => {
  void it("are indexed in containers/image's frame as cosign made them", async () => {
    await using registry = await serveRegistry();
    const folder = join(vectors, "cosign-valid-2");
    const digest = sha256(readFileSync(join(folder, "manifest.json")));
    // Attachments may come before the image that they are about.
    const blobs = ["signature-1", "signature-2"].map((name) => new Uint8Array(readFileSync(join(folder, name))));
    const attachments = blobs.map((bytes) => {
      const { payload, annotations } = parseSignatureBlob(bytes) as UntrustedSigstoreBlob;
      return { payload: Buffer.from(payload).toString(), annotations: Object.fromEntries(annotations) };
    });
    const carrier = await pushTestAttachments(httpPushTarget(registry.url), PATH, digest, "sig", attachments);
    const listed = await list(registry);
    assert.deepEqual(
      listed.map((one) => one.digest),
      blobs.map(sha256).toSorted(),
    );
    for (const one of listed) {
      assert.deepEqual(
        [one.manifest, one.format, one.verdict, one.carrier],
        [digest, "sigstore-attachment", "not-checked", carrier.digest],
      );
      assert.match(one.unverifiedClaims["reference"]!, /cosign-signed/);
    }
    await isClean(registry);
  });

  void it("follow their tag: come and go with what it names, and survive the image", async () => {
    await using bench = await setUp();
    const { registry, image } = bench;
    const target = httpPushTarget(registry.url);
    const payloads = ["a", "b", "c"].map((name) => ({ payload: cosignPayload(image.digest, `r.example.com/${name}`) }));
    const references = async () =>
      (await list(registry, image.digest)).map((one) => one.unverifiedClaims["reference"]!.slice(-1)).toSorted();
    const first = await pushTestAttachments(target, PATH, image.digest, "sig", payloads.slice(0, 1));
    assert.deepEqual(await references(), ["a"]);
    await pushTestAttachments(target, PATH, image.digest, "sig", payloads.slice(0, 2));
    assert.deepEqual(await references(), ["a", "b"]);
    // The older manifest goes; what the newer one carries as well stays.
    const remove = async (reference: string) => {
      const { status, text } = await registry.request("DELETE", `/v2/${PATH}/manifests/${reference}`);
      assert.equal(status, 202, text);
    };
    await remove(first.digest);
    assert.deepEqual(await references(), ["a", "b"]);
    await pushTestAttachments(target, PATH, image.digest, "sig", payloads.slice(1, 3));
    assert.deepEqual(await references(), ["b", "c"]);
    const tag = `${image.digest.replace(":", "-")}.sig`;
    await remove(tag);
    assert.deepEqual(await references(), []);
    const last = await pushTestAttachments(target, PATH, image.digest, "sig", payloads);
    assert.deepEqual(await references(), ["a", "b", "c"]);
    await remove(image.digest);
    assert.equal((await list(registry)).length, 3);
    await isClean(registry);
    await remove(last.digest);
    assert.deepEqual(await list(registry), []);
    await isClean(registry);
  });

  const other = `sha256:${"ab".repeat(32)}`;
  const refusals: readonly (readonly [string, (digest: string) => string, RegExp])[] = [
    ["about another image", () => cosignPayload(other), /about another image, sha256:abab/],
    ["not JSON", () => "signed, me", /layer sha256/],
    [
      "of another type",
      (digest) => cosignPayload(digest).replace("cosign container", "some container"),
      /critical\.type/,
    ],
    [
      "with a member twice",
      (digest) => cosignPayload(digest).replace('{"critical"', '{"optional":null,"critical"'),
      /layer/,
    ],
    ["larger than any signature", (digest) => cosignPayload(digest, "x".repeat(1_048_577)), /may carry/],
  ];
  for (const [title, payload, reason] of refusals) {
    void it(`are refused when ${title}, and nothing is stored`, async () => {
      await using bench = await setUp();
      const { registry, image } = bench;
      const target = httpPushTarget(registry.url);
      await assert.rejects(
        pushTestAttachments(target, PATH, image.digest, "sig", [{ payload: payload(image.digest) }]),
        reason,
      );
      assert.equal(
        (await registry.request("GET", `/v2/${PATH}/manifests/${image.digest.replace(":", "-")}.sig`)).status,
        404,
      );
      assert.deepEqual(await list(registry), []);
      // Under other tags, or with other media types, it claims to be no signature.
      await pushTestAttachments(target, PATH, image.digest, "att", [{ payload: payload(image.digest) }]);
      await pushTestAttachments(target, PATH, image.digest, "sig", [
        { payload: payload(image.digest), mediaType: "application/vnd.dsse.envelope.v1+json" },
      ]);
      assert.deepEqual(await list(registry), []);
    });
  }

  void it("are refused for good once withdrawn", async () => {
    await using bench = await setUp();
    const { registry, image } = bench;
    const target = httpPushTarget(registry.url);
    const push = () =>
      pushTestAttachments(target, PATH, image.digest, "sig", [{ payload: cosignPayload(image.digest) }]);
    await push();
    const [signature] = await list(registry, image.digest);
    await withdrawSignature(registry.database, signature!.digest, "leaked", makeAuthor(registry.now()));
    assert.deepEqual(await list(registry), []);
    const tag = `/v2/${PATH}/manifests/${image.digest.replace(":", "-")}.sig`;
    assert.equal((await registry.request("GET", tag)).status, 404);
    await assert.rejects(push(), /withdrawn: leaked/);
    await isClean(registry);
  });
});

void describe("signatures as referrers", () => {
  void it("are indexed as long as a manifest carries them; attestations are passed over", async () => {
    await using bench = await setUp();
    const { registry, image } = bench;
    const payload = bundle(image.digest);
    const first = await refer(registry, image, bundleType, payload);
    const second = await refer(registry, image, bundleType, payload, { annotations: { again: "1" } });
    const provenance = bundle(image.digest, "https://slsa.dev/provenance/v1");
    const attestation = await refer(registry, image, bundleType, provenance);
    assert.deepEqual([first.status, second.status, attestation.status], [201, 201, 201]);
    const jws = {
      payload: Buffer.from(JSON.stringify({ targetArtifact: { digest: image.digest } })).toString("base64url"),
    };
    const notary = await refer(registry, image, "application/vnd.cncf.notary.signature", JSON.stringify(jws), {
      layerType: "application/jose+json",
    });
    assert.equal(notary.status, 201, notary.text);
    const listed = await list(registry, image.digest);
    assert.deepEqual(formats(listed), ["notation", "sigstore-bundle"]);
    const found = listed.find((one) => one.format === "sigstore-bundle")!;
    assert.equal(Buffer.from(found.content!, "base64").toString(), payload);
    const remove = (digest: string) => registry.request("DELETE", `/v2/${PATH}/manifests/${digest}`);
    await remove(first.digest);
    assert.deepEqual(formats(await list(registry)), ["notation", "sigstore-bundle"]);
    await remove(second.digest);
    assert.deepEqual(formats(await list(registry)), ["notation"]);
    await remove(notary.digest);
    assert.deepEqual(await list(registry), []);
    await isClean(registry);
  });

  void it("are refused when they are malformed or about another image", async () => {
    await using bench = await setUp();
    const { registry, image } = bench;
    const other = `sha256:${"cd".repeat(32)}`;
    const message = (digest: string) =>
      JSON.stringify({
        mediaType: bundleType,
        messageSignature: {
          messageDigest: { algorithm: "SHA2_256", digest: Buffer.from(digest.slice(7), "hex").toString("base64") },
          signature: "QQ==",
        },
      });
    assert.equal((await refer(registry, image, bundleType, message(image.digest))).status, 201);
    for (const payload of [bundle(other), message(other), "{}", "[", '{"dsseEnvelope":{"payload":"!"}}']) {
      const { status, code, text } = await refer(registry, image, bundleType, payload);
      assert.deepEqual([status, code], [400, "MANIFEST_INVALID"], text);
    }
    // Whoever says that it is an attestation claims no signature.
    const annotations = { "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1" };
    assert.equal((await refer(registry, image, bundleType, bundle(other), { annotations })).status, 201);
    assert.equal((await list(registry)).length, 1);
  });
});

void describe("lists of signatures", () => {
  void it("hold every format in one answer, claims apart from verdicts, page by page", async () => {
    await using bench = await setUp();
    const { registry, image } = bench;
    const [known, stranger] = [await makeSigner(undefined, Date.now()), await makeSigner(undefined, Date.now())];
    await addTrustedKey(registry.database, known.publicKey, "", makeAuthor());
    for (const [index, signer] of [known, stranger].entries()) {
      const bytes = await signer.sign(image.manifest, `${registry.host}/${PATH}:1`, Date.now());
      const file = `/lookaside/${PATH}@${image.digest.replace(":", "=")}/signature-${index + 1}`;
      assert.equal((await registry.request("PUT", file, bytes)).status, 201);
    }
    await pushTestAttachments(httpPushTarget(registry.url), PATH, image.digest, "sig", [
      { payload: cosignPayload(image.digest) },
    ]);
    await refer(registry, image, bundleType, bundle(image.digest));
    const all = await list(registry, image.digest);
    assert.deepEqual(formats(all), ["sigstore-attachment", "sigstore-bundle", "simple-signing", "simple-signing"]);
    assert.deepEqual(all.map((one) => one.verdict).toSorted(), [
      "accepted",
      "not-checked",
      "not-checked",
      "unknown-key",
    ]);
    const accepted = all.find((one) => one.verdict === "accepted")!;
    assert.equal(accepted.signer, known.fingerprint);
    assert.equal(
      all.find((one) => one.verdict === "unknown-key")!.unverifiedClaims["fingerprint"],
      stranger.fingerprint,
    );
    for (const one of all) {
      if (one.format !== "notation") assert.equal(sha256(Buffer.from(one.content!, "base64")), one.digest);
    }
    // Old clients see what they can read.
    const old = await registry.request("GET", `/extensions/v2/${PATH}/signatures/${image.digest}`);
    assert.equal((JSON.parse(old.text) as { signatures: object[] }).signatures.length, 2);
    for (const start of [
      `/extensions/v2/${PATH}/signatures?n=3`,
      `/extensions/v2/${PATH}/signatures/${image.digest}?view=all&n=3`,
    ]) {
      const found: string[] = [];
      for (let next: string | undefined = start; next !== undefined;) {
        const { text, headers } = await registry.request("GET", next);
        found.push(...(JSON.parse(text) as { signatures: Listed[] }).signatures.map((one) => one.digest));
        next = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
      }
      assert.deepEqual(
        found,
        all.map((one) => one.digest),
      );
    }
    assert.equal(
      (await registry.request("GET", `/extensions/v2/${PATH}/signatures/${image.digest}?view=x`)).status,
      400,
    );
    assert.equal((await registry.request("GET", `/extensions/v2/no/such/signatures`)).status, 404);
  });
});
