import assert from "node:assert/strict";
import { cpSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type Policy,
  SignetError,
  dockerPolicyIdentity,
  formatReference,
  parsePolicy,
  parseReference,
} from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { parseImageName } from "../transports/image-name.ts";
import { openImageSource } from "../transports/open.ts";
import type { ImageName, ImageSource } from "../transports/transport.ts";
import { type ImageVerdict, verifyImage } from "./verify-image.ts";

const vectors = fileURLToPath(new URL("../../../../vectors/dir-images/", import.meta.url));
const now = Date.now();

function policy(document: object): Policy {
  return parsePolicy(new TextEncoder().encode(JSON.stringify(document)), "test policy");
}

function failsWith(code: string, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

function reasonCodes({ manifests }: ImageVerdict): readonly string[] {
  return manifests.flatMap((one) =>
    one.outcome !== "undetermined" && one.verdict.verdict === "rejected"
      ? one.verdict.reasons.map(({ code }) => code)
      : [],
  );
}

describe("images in the dir: layout, made and signed by other tools", () => {
  const signedBy = { type: "signedBy", keyType: "GPGKeys" };
  const keyPath = join(vectors, "keys/public-key.gpg");
  const latest = { type: "exactReference", dockerReference: "testing/manifest:latest" };

  /** Judges one of the vectors under its own path, or as the docker image that it was made from. */
  async function judge(folder: string, requirement: object, reference?: string): Promise<ImageVerdict> {
    const name = await parseImageName(`dir:${join(vectors, folder)}`);
    await using source = await openImageSource(name);
    const asDocker: ImageSource = reference === undefined ? source : renamed(source, dockerName(name, reference));
    return await verifyImage(asDocker, { policy: policy({ default: [requirement] }), now });
  }

  const judgeLatest = (folder: string, more: object = { keyPath }): Promise<ImageVerdict> =>
    judge(folder, { ...signedBy, ...more, signedIdentity: latest });

  for (const folder of ["valid", "valid-2", "mixed"]) {
    it(`accepts ${folder}`, async () => {
      const verdict = await judgeLatest(folder);
      assert.equal(verdict.outcome, "accepted");
      assert.deepEqual(
        verdict.manifests.map(({ role, digest }) => [role, digest]),
        [["image", verdict.digest]],
      );
    });
  }

  it("rejects an image without signatures, changed after signing, or signed for something else", async () => {
    assert.deepEqual(reasonCodes(await judgeLatest("unsigned")), ["no-signature"]);
    assert.deepEqual(reasonCodes(await judgeLatest("modified-manifest")), ["manifest-digest"]);
    const other = { keyPath, signedIdentity: { ...latest, dockerReference: "testing/manifest:notlatest" } };
    assert.deepEqual(reasonCodes(await judge("valid", { ...signedBy, ...other })), ["identity"]);
  });

  it("rejects a signature by a subkey unless the key with that subkey is given", async () => {
    assert.equal((await judgeLatest("valid-subkey")).outcome, "rejected");
    const withSubkey = join(vectors, "keys/public-key-with-subkey.gpg");
    assert.equal((await judgeLatest("valid-subkey", { keyPath: withSubkey })).outcome, "accepted");
  });

  it("judges docker images by their own name", async () => {
    const exact = { ...signedBy, keyPath, signedIdentity: { type: "matchExact" } };
    assert.equal((await judge("valid", exact, "testing/manifest:latest")).outcome, "accepted");
    assert.deepEqual(reasonCodes(await judge("valid", exact, "testing/manifest:notlatest")), ["identity"]);
    assert.deepEqual(reasonCodes(await judge("valid", { ...signedBy, keyPath })), ["identity"]);
  });

  it("T1: cannot tell when a source hands out another manifest than the name's digest asks for", async () => {
    const accept = { type: "insecureAcceptAnything" };
    const { digest } = await judge("valid", accept);
    assert.equal((await judge("valid", accept, `testing/manifest@${digest}`)).outcome, "accepted");
    const other = `testing/manifest@sha256:${"0".repeat(64)}`;
    await assert.rejects(judge("valid", accept, other), failsWith("digest-mismatch"));
  });

  it("T12: cannot tell for a manifest that is missing or has no digest, or a signature that cannot be read", async (t) => {
    await assert.rejects(judgeLatest("no-manifest"), failsWith("image-missing"));
    await assert.rejects(judgeLatest("manifest-digest-error"), SignetError);
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    cpSync(join(vectors, "valid"), dir.path, { recursive: true });
    rmSync(dir.join("signature-1"));
    symlinkSync("signature-1", dir.join("signature-1"));
    await using source = await openImageSource(await parseImageName(`dir:${dir.path}`));
    const options = { policy: policy({ default: [{ ...signedBy, keyPath, signedIdentity: latest }] }), now };
    await assert.rejects(verifyImage(source, options), failsWith("file-unreadable"));
  });

  it("T12: cannot tell when a key file is missing, a folder or without keys", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    writeFileSync(dir.join("garbage"), "This is invalid");
    for (const [keys, code] of [
      [{ keyPath: dir.join("missing") }, "file-missing"],
      [{ keyPaths: [keyPath, dir.join("missing")] }, "file-missing"],
      [{ keyPath: dir.path }, "file-unreadable"],
      [{ keyPath: dir.join("garbage") }, "no-trust-anchors"],
    ] as const)
      await assert.rejects(judgeLatest("valid", keys), failsWith(code));
  });

  it("says where it looked for signatures, and looks nowhere when the policy asks for none", async () => {
    const [signed] = (await judgeLatest("mixed")).manifests;
    assert.ok(signed?.outcome === "accepted");
    assert.equal(signed.lookup?.found, 2);
    assert.deepEqual(
      signed.lookup.attempts.map(({ outcome }) => outcome),
      ["found", "found", "absent"],
    );
    assert.ok(!("signatures" in signed.lookup), "the bytes are not kept");
    for (const type of ["insecureAcceptAnything", "reject"]) {
      const [unasked] = (await judge("valid", { type })).manifests;
      assert.ok(unasked?.outcome !== "undetermined");
      assert.equal(unasked?.lookup, undefined);
    }
  });

  it("T12: never comes to an acceptance when any one step fails", async () => {
    const name = await parseImageName(`dir:${join(vectors, "valid")}`);
    const options = { policy: policy({ default: [{ ...signedBy, keyPath, signedIdentity: latest }] }), now };
    for (const step of ["manifest", "signatures"] as const) {
      for (const failure of [new Error("broken"), new TypeError("cannot read properties of undefined")]) {
        await using source = await openImageSource(name);
        const broken: ImageSource = { ...delegating(source), [step]: () => Promise.reject(failure) };
        await assert.rejects(verifyImage(broken, options));
      }
    }
    await using source = await openImageSource(name);
    const failingKeys = (): never => {
      throw new RangeError("out of memory");
    };
    await assert.rejects(verifyImage(source, { ...options, readKeyFile: failingKeys }), RangeError);
    assert.equal((await verifyImage(source, options)).outcome, "accepted");
  });
});

/** A source that answers to another name. */
function renamed(source: ImageSource, name: ImageName): ImageSource {
  return { ...delegating(source), name };
}

function delegating(source: ImageSource): ImageSource {
  return {
    name: source.name,
    manifest: (instance) => source.manifest(instance),
    blob: (descriptor) => source.blob(descriptor),
    signatures: (digest) => source.signatures(digest),
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
}

function dockerName(name: ImageName, reference: string): ImageName {
  const parsed = parseReference(reference);
  return {
    ...name,
    transport: "docker",
    text: `docker://${formatReference(parsed)}`,
    reference: parsed,
    policyIdentity: dockerPolicyIdentity(parsed),
  };
}
