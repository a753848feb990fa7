/** What the tests of threats share. For tests only. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { encodeBase64 } from "@signet/core";
import type { TestImage } from "@signet/testkit";
import type { Answer, ServedRegistry } from "./serve.testing.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

export function digestOf(bytes: Uint8Array | string, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** A whole blob by one POST. */
export async function pushBlob(registry: ServedRegistry, path: string, content: string): Promise<string> {
  const digest = digestOf(content);
  const { status } = await registry.request("POST", `/v2/${path}/blobs/uploads/?digest=${digest}`, content);
  assert.equal(status, 201);
  return digest;
}

/** At the signatures extension, under a name of its content. */
export function putSignature(
  registry: ServedRegistry,
  path: string,
  image: Pick<TestImage, "digest">,
  bytes: Uint8Array,
): Promise<Answer> {
  const name = `${image.digest}@${digestOf(bytes).slice(-32)}`;
  const body = JSON.stringify({ schemaVersion: 2, type: "atomic", name, content: encodeBase64(bytes) });
  return registry.request("PUT", `/extensions/v2/${path}/signatures/${image.digest}`, body);
}

/** Digests of the signatures that a path serves for an image, in every format. */
export async function listSignatures(
  registry: ServedRegistry,
  path: string,
  digest: string,
): Promise<readonly string[]> {
  const { status, text } = await registry.request("GET", `/extensions/v2/${path}/signatures/${digest}?view=all`);
  assert.equal(status, 200, text);
  return (JSON.parse(text) as { signatures: { digest: string }[] }).signatures.map((one) => one.digest);
}

/** The path of a signature in the lookaside tree. */
export function lookaside(path: string, digest: string, index: number): string {
  return `/lookaside/${path}@${digest.replace(":", "=")}/signature-${index}`;
}
