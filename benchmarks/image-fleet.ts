/** Thousands of tags in a real registry, with their signatures in a lookaside store, made in seconds: the registry's files are written where it keeps them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { sha256Digest, writeSimpleSigningPayload } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type DockerRegistry,
  type TempDir,
  buildTestImage,
  makeTestKey,
  storeRegistryBlob,
  storeRegistryManifest,
  writeTestCertificate,
  writeTestMessage,
} from "@signet/testkit";

/** How an image of the fleet is signed. */
export type FleetKind = "signed" | "unsigned" | "wrong key" | "other tag";

export interface FleetImage {
  /** `host/team-N/app-N:tag`. */
  readonly name: string;
  readonly digest: string;
  readonly kind: FleetKind;
}

export interface Fleet {
  readonly images: readonly FleetImage[];
  /** The key that the policy trusts, binary. */
  readonly certificate: Uint8Array;
}

/** Of a hundred images in a row: this many are not as the policy wants them. */
const FAULTY: readonly (readonly [FleetKind, number])[] = [
  ["unsigned", 4],
  ["wrong key", 3],
  ["other tag", 3],
];

/** Tags of one repository. */
const TAGS_PER_REPOSITORY = 40;

/**
 * Fills a registry that was just started.
 * @param signatures folder of the lookaside store
 */
export async function makeFleet(registry: DockerRegistry, signatures: TempDir, count: number): Promise<Fleet> {
  const image = await buildTestImage({ format: "oci" });
  const trusted = makeTestKey("rsa-4096");
  const stranger = makeTestKey("rsa-4096");
  const certificate = writeTestCertificate(trusted);
  const blobs = [image.config, ...image.layers];
  const base = JSON.parse(new TextDecoder().decode(image.manifest)) as object;
  const images: FleetImage[] = [];
  for (let index = 0; index < count; index++) {
    const number = Math.floor(index / TAGS_PER_REPOSITORY);
    const repository = `team-${number % 20}/app-${number}`;
    const tag = `1.${index % TAGS_PER_REPOSITORY}`;
    const manifest = Buffer.from(JSON.stringify({ ...base, annotations: { "com.example.index": String(index) } }));
    const digest = sha256Digest(manifest, nodeEngine);
    if (index % TAGS_PER_REPOSITORY === 0) for (const blob of blobs) storeRegistryBlob(registry, repository, blob);
    storeRegistryManifest(registry, repository, digest, manifest, tag);
    const name = `${registry.host}/${repository}:${tag}`;
    const kind = kindOf(index);
    images.push({ name, digest, kind });
    if (kind === "unsigned") continue;
    const payload = writeSimpleSigningPayload({
      manifestDigest: digest,
      dockerReference: kind === "other tag" ? `${name}-other` : name,
      creator: "benchmark",
      timestamp: 1_700_000_000 + index,
    });
    const message = writeTestMessage(kind === "wrong key" ? stranger : trusted, payload);
    const path = signatures.join(`${repository}@${digest.replace(":", "=")}/signature-1`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, message);
  }
  return { images, certificate };
}

function kindOf(index: number): FleetKind {
  let place = index % 100;
  for (const [kind, share] of FAULTY) {
    if (place < share) return kind;
    place -= share;
  }
  return "signed";
}
