/** Keys of policies as two policies are compared by them. */
import { createPublicKey } from "node:crypto";
import {
  type ComparedKey,
  type KeyReading,
  type KeySource,
  SignetError,
  makeKeyring,
  parseKeyring,
  revokeCertificates,
  sha256Digest,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readKeyFile } from "./key-file.ts";

/** PEM blocks of one source; trust roots have a handful. */
const MAX_PEM_BLOCKS = 1000;

/**
 * Reads the keys of a policy for `diffPolicies`: OpenPGP certificates by their fingerprint, with everything in them that counts; PEM keys and certificates by their
 * SHA-256. A source of which any part cannot be read, or holds no key, is unreadable as a whole: what it accepts is not known then.
 */
export function readComparedKeys(source: KeySource, form: "openpgp" | "pem"): KeyReading {
  try {
    const parts =
      source.kind === "files"
        ? source.paths.map((path) => ({ from: path, bytes: readKeyFile(path) }))
        : source.blobs.map((bytes) => ({ from: "key inside the policy", bytes }));
    return form === "openpgp" ? readOpenPgp(parts) : readPem(parts);
  } catch (error) {
    if (error instanceof SignetError) return { kind: "unreadable", why: error.message };
    throw error;
  }
}

interface Part {
  readonly from: string;
  readonly bytes: Uint8Array;
}

function readOpenPgp(parts: readonly Part[]): KeyReading {
  const read = parts.map(({ from, bytes }) => ({ from, keyring: parseKeyring(bytes, nodeEngine) }));
  const empty = read.find(({ keyring }) => keyring.certificates.length === 0 && keyring.strayRevocations.length === 0);
  if (empty !== undefined) return { kind: "unreadable", why: `${empty.from}: no OpenPGP key in it` };
  const certificates = read.flatMap(({ keyring }) => keyring.certificates);
  const revocations = read.flatMap(({ keyring }) => keyring.strayRevocations);
  const keyring = makeKeyring(revokeCertificates(certificates, revocations, nodeEngine));
  const keys = keyring.certificates.map(({ fingerprint, raw }): ComparedKey => {
    return { id: fingerprint, content: sha256Digest(raw, nodeEngine) };
  });
  return { kind: "keys", keys };
}

function readPem(parts: readonly Part[]): KeyReading {
  const keys: ComparedKey[] = [];
  for (const { from, bytes } of parts) {
    const text = new TextDecoder().decode(bytes);
    const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g) ?? [];
    if (blocks.length === 0) return { kind: "unreadable", why: `${from}: no PEM block in it` };
    if (keys.length + blocks.length > MAX_PEM_BLOCKS)
      return { kind: "unreadable", why: `${from}: more than ${MAX_PEM_BLOCKS} PEM blocks` };
    for (const block of blocks) {
      try {
        createPublicKey(block);
      } catch (error) {
        return { kind: "unreadable", why: `${from}: ${error instanceof Error ? error.message : String(error)}` };
      }
      const body = block.replaceAll(/-----[A-Z0-9 ]+-----|\s/g, "");
      const content = sha256Digest(new TextEncoder().encode(body), nodeEngine);
      keys.push({ id: content, content });
    }
  }
  return { kind: "keys", keys };
}
