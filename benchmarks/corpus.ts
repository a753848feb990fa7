import { type KeyObject, createPublicKey } from "node:crypto";
import {
  formatReference,
  parseReference,
  parseSignatureBlob,
  sha256Digest,
  writeSimpleSigningPayload,
} from "@signet/core";
import type { Digest, Reference } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TestKeyAlgorithm,
  type TestOpenPgpKey,
  makeTestKey,
  writeTestCertificate,
  writeTestMessage,
} from "@signet/testkit";

/** Signed messages by one key, with what a bare verification of each would be given. */
export interface Corpus {
  readonly key: TestOpenPgpKey;
  /** The certificate, binary. */
  readonly certificate: Uint8Array;
  readonly publicKey: KeyObject;
  /** undefined for algorithms that hash themselves. */
  readonly bareHash: string | undefined;
  readonly manifest: Uint8Array;
  readonly digest: Digest;
  readonly reference: Reference;
  readonly items: readonly CorpusItem[];
}

export interface CorpusItem {
  readonly message: Uint8Array;
  /** What the primitive is called with. */
  readonly bareData: Uint8Array;
  readonly bareSignature: Uint8Array;
}

/** Messages a corpus has: enough that no cache of the primitive's matters. */
const MESSAGES = 64;

/** Makes messages of the usual form over one manifest. The same octets go to the bare verification: nothing but Signet's own work lies between the two. */
export function makeCorpus(algorithm: TestKeyAlgorithm & ("rsa-2048" | "rsa-4096" | "ed25519")): Corpus {
  const made = makeTestKey(algorithm);
  const signed: { data: Uint8Array; signature: Uint8Array }[] = [];
  const key: TestOpenPgpKey = {
    ...made,
    sign(hash, data) {
      const signature = made.sign(hash, data);
      const isRsa = algorithm.startsWith("rsa");
      signed.push(
        isRsa
          ? { data, signature: padded(signature, algorithm) }
          : { data: nodeEngine.hash("sha256", [data]), signature },
      );
      return signature;
    },
  };
  const certificate = writeTestCertificate(key);
  signed.length = 0;
  const manifest = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, benchmark: algorithm }));
  const digest = sha256Digest(manifest, nodeEngine);
  const reference = parseReference("registry.example.com/team/app:1");
  const messages = Array.from({ length: MESSAGES }, (_, index) =>
    writeTestMessage(
      key,
      writeSimpleSigningPayload({
        manifestDigest: digest,
        dockerReference: formatReference(reference),
        creator: "benchmark",
        timestamp: 1_700_000_000 + index,
      }),
    ),
  );
  const items = messages.map((message, index) => ({
    message,
    bareData: signed[index]!.data,
    bareSignature: signed[index]!.signature,
  }));
  for (const { message } of items) parseSignatureBlob(message);
  return {
    key,
    certificate,
    publicKey: publicKeyOf(made, algorithm),
    bareHash: algorithm.startsWith("rsa") ? "sha256" : undefined,
    manifest,
    digest,
    reference,
    items,
  };
}

/** The RSA integer without its OpenPGP length, padded to the modulus. */
function padded(mpi: Uint8Array, algorithm: string): Uint8Array {
  const length = Number(algorithm.split("-")[1]) / 8;
  const result = new Uint8Array(length);
  const value = mpi.subarray(2);
  result.set(value, length - value.length);
  return result;
}

function publicKeyOf({ body }: TestOpenPgpKey, algorithm: string): KeyObject {
  const material = Buffer.from(body.subarray(6));
  if (algorithm === "ed25519") {
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: material.toString("base64url") }, format: "jwk" });
  }
  const nLength = Math.ceil(material.readUInt16BE(0) / 8);
  const n = material.subarray(2, 2 + nLength);
  const e = material.subarray(4 + nLength);
  return createPublicKey({
    key: { kty: "RSA", n: n.toString("base64url"), e: e.toString("base64url") },
    format: "jwk",
  });
}
