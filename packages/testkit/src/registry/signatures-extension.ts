/** The signatures API that a registry announces with `X-Registry-Supports-Signatures: 1`, strict where OpenShift's registry is lax. */

import { bytesAnswer, emptyAnswer, errorAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { ExtensionSignature, RegistryStorage } from "./storage.ts";

export function readSignatures(storage: RegistryStorage, name: string, digest: string): Answer {
  const repository = storage.repositories.get(name);
  if (repository === undefined || !repository.manifests.has(digest)) return emptyAnswer(404);
  const signatures = repository.signatures.get(digest) ?? [];
  const body = Buffer.from(JSON.stringify({ signatures }));
  return bytesAnswer(200, body, { "content-type": "application/json; charset=utf-8" });
}

export function writeSignature(storage: RegistryStorage, name: string, digest: string, body: Uint8Array): Answer {
  const repository = storage.repositories.get(name);
  let signature: ExtensionSignature;
  try {
    signature = parseSignature(body, digest);
  } catch (error) {
    return errorAnswer(400, "SIGNATURE_INVALID", (error as Error).message);
  }
  if (repository === undefined || !repository.manifests.has(digest)) return emptyAnswer(404);
  const stored = repository.signatures.get(digest) ?? [];
  const isSame = (other: ExtensionSignature): boolean =>
    other.name === signature.name || (other.type === signature.type && other.content === signature.content);
  if (stored.some(isSame)) return errorAnswer(409, "SIGNATURE_EXISTS", "image signature already exists");
  repository.signatures.set(digest, [...stored, signature]);
  return emptyAnswer(201);
}

function parseSignature(body: Uint8Array, digest: string): ExtensionSignature {
  const value = JSON.parse(Buffer.from(body).toString("utf8")) as Readonly<Record<string, unknown>>;
  // The published documentation says `version` where the code has always said `schemaVersion`; both are taken.
  if ((value["schemaVersion"] ?? value["version"]) !== 2) throw new Error("only schemaVersion=2 is supported");
  const { name, type, content } = value;
  if (typeof name !== "string" || !/^[^@/%]+@[^@/%]+$/.test(name))
    throw new Error("name must be of format <imageName>@<signatureName>");
  if (!name.startsWith(`${digest}@`)) throw new Error("name is not of the image in the URL");
  if (typeof content !== "string" || content === "") throw new Error("content is required");
  if (Buffer.from(content, "base64").toString("base64") !== content) throw new Error("illegal base64 data");
  // Clients only read `atomic`; `AtomicImageV1` and an absent type mean the same.
  if (type !== undefined && type !== "" && type !== "atomic" && type !== "AtomicImageV1")
    throw new Error("unknown signature type");
  return { schemaVersion: 2, name, type: "atomic", content };
}
