/** Signing an image where it lies. */
import {
  type CreatedSignature,
  type Digest,
  type Platform,
  type Reference,
  type Signer,
  SignetError,
  StoreError,
  UsageError,
  createSignature,
  makeKeyring,
  parseCanonicalReference,
  parseKeyring,
  signingReference,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { distinctInstances, readContent, readInstanceContent } from "../copy/manifest-content.ts";
import { type AddableStore, dirStore } from "../stores/dir-store.ts";
import { type WantedSignature, isEqualSignature } from "./equal-signature.ts";
import type { DockerOptions } from "../transports/docker.ts";
import { type OpenOptions, openImageSource } from "../transports/open.ts";
import type { ImageName, ImageSource, RawManifest } from "../transports/transport.ts";
import type { ManifestRole } from "../verify/verify-image.ts";

export interface SignOptions {
  readonly signer: Signer;
  /** Milliseconds since 1970 UTC: the time of the signatures. */
  readonly now: number;
  /** How the image is opened; docker:// needs `docker`, whose `chooseSignatureStore` also decides where the signature goes. */
  readonly open?: OpenOptions;
  /** Docker reference that is signed for, in full form with a tag or digest. Default: the image's own name; a dir: image has none. */
  readonly identity?: string;
  /** Of a list also every instance, each with the same identity. Default false. */
  readonly all?: boolean;
  /** Sign again where a valid signature of this key for this identity is there. Default false. */
  readonly force?: boolean;
  /** What the payload names as its maker. */
  readonly creator?: string;
}

/** What was done for one manifest. */
export interface SignReceipt {
  readonly role: ManifestRole;
  readonly digest: Digest;
  /** What the list says of an instance. Untrusted text. */
  readonly platform?: Platform;
  /** The docker reference in the signature. */
  readonly identity: string;
  readonly outcome: "signed" | "already-signed";
  /** Where the signature lies. */
  readonly location: string;
  /** Full fingerprint of the primary key. */
  readonly fingerprint: string;
}

export interface SignResult {
  /** Canonical name with its transport. */
  readonly image: string;
  /** Of the image's own manifest. */
  readonly digest: Digest;
  /** For people. */
  readonly store: string;
  /** Instances first, in the list's order; the image's own manifest last. */
  readonly receipts: readonly SignReceipt[];
  readonly warnings: readonly string[];
}

interface Target {
  readonly role: ManifestRole;
  readonly manifest: RawManifest;
  readonly platform?: Platform;
}

const onlyListSigned =
  "only the list was signed; podman, skopeo and CRI-O judge the instance of their platform, which is signed with --all";

/**
 * Signs an image and stores the signature where the image's store is: behind the registry's signatures API, in the lookaside folder that registries.d names, or beside
 * a dir: image. A tag is resolved once; what is signed is the digest of the bytes that came back. All signatures are made before the first is stored.
 *
 * Not checked: any policy, and whether the image is what its name says; who signs vouches for it.
 *
 * @throws UsageError `identity-missing`, `reference-incomplete`; FormatError `reference-malformed`, `signing-failed`; StoreError `signature-store-unwritable`,
 *   `destination-unsuitable` and those of source, store and signer
 */
export async function signImage(name: ImageName, options: SignOptions): Promise<SignResult> {
  const identity = chooseIdentity(name, options.identity);
  await using source = await openImageSource(name, asWritten(options.open ?? {}));
  const targets = await selectTargets(source, options.all === true);
  const top = targets.at(-1)!.manifest;
  const store = await openStore(name, top.digest, options.open ?? {});
  if (store.unwritable !== undefined) throw unwritable(store.unwritable);
  // Repositories lie at the image's own name; a dir: image needs none.
  const place = name.reference ?? parseCanonicalReference(identity);
  const warnings = new Set<string>();
  const made: { target: Target; signed: CreatedSignature | { location: string } }[] = [];
  if (targets.length === 1 && targets[0]!.role === "list") warnings.add(onlyListSigned);
  const keyring = makeKeyring(parseKeyring(options.signer.publicKey, nodeEngine).certificates);
  for (const target of targets) {
    const location =
      options.force === true
        ? undefined
        : await findEqual(store, place, target.manifest, { identity, keyring, now: options.now }, warnings);
    const signed = location === undefined ? await sign(target, identity, options) : { location };
    made.push({ target, signed });
  }
  const receipts: SignReceipt[] = [];
  for (const { target, signed } of made) {
    const isNew = "bytes" in signed;
    const location = isNew ? await store.add(place, fileDigest(target.manifest), signed.bytes) : signed.location;
    receipts.push({
      role: target.role,
      digest: target.manifest.digest,
      ...(target.platform === undefined ? {} : { platform: target.platform }),
      identity,
      outcome: isNew ? "signed" : "already-signed",
      location,
      fingerprint: options.signer.fingerprint,
    });
  }
  return { image: name.text, digest: top.digest, store: store.label, receipts, warnings: [...warnings] };
}

function chooseIdentity(name: ImageName, identity: string | undefined): string {
  if (identity !== undefined) return signingReference(parseCanonicalReference(identity));
  if (name.reference !== undefined) return signingReference(name.reference);
  throw new UsageError("identity-missing", `${name.text} has no docker reference that could be signed for`, {
    hint: "say which image it is with --identity host/repo:tag",
  });
}

/** No mirror decides what is signed: the image is read at the place where its signature goes, which is the one its name says. */
function asWritten(open: OpenOptions): OpenOptions {
  const { docker } = open;
  if (docker === undefined) return open;
  const { resolveEndpoints: _, resolveDestination, ...rest } = docker;
  if (resolveDestination === undefined) return { ...open, docker: rest };
  const resolveEndpoints: DockerOptions["resolveEndpoints"] = async (reference) => [
    await resolveDestination(reference),
  ];
  return { ...open, docker: { ...rest, resolveDestination, resolveEndpoints } };
}

async function selectTargets(source: ImageSource, all: boolean): Promise<readonly Target[]> {
  const top = await source.manifest();
  const content = readContent(top);
  if (content.kind === "image") return [{ role: "image", manifest: top }];
  const targets: Target[] = [];
  for (const instance of all ? distinctInstances(content.list) : []) {
    const manifest = await source.manifest(instance.digest);
    readInstanceContent(manifest, instance);
    const { platform } = instance;
    targets.push({ role: "instance", manifest, ...(platform === undefined ? {} : { platform }) });
  }
  return [...targets, { role: "list", manifest: top }];
}

async function openStore(name: ImageName, topDigest: Digest, open: OpenOptions): Promise<AddableStore> {
  if (name.transport === "docker" && name.reference !== undefined && open.docker !== undefined) {
    const { openSignatureStore } = await import("../transports/docker.ts");
    return openSignatureStore(name.reference, open.docker);
  }
  if (name.transport === "dir") return dirStore(name.path!, topDigest);
  throw new StoreError(
    "destination-unsuitable",
    `${name.text}: ${name.transport}: has no place for signatures that could be added to`,
    {
      side: "destination",
      hint: "copy the image to dir: or docker://, and sign it there",
    },
  );
}

function sign({ manifest }: Target, identity: string, options: SignOptions): Promise<CreatedSignature> {
  return createSignature(manifest.bytes, identity, options.signer, {
    engine: nodeEngine,
    now: options.now,
    ...(options.creator === undefined ? {} : { creator: options.creator }),
  });
}

/**
 * Where a signature lies that says the same and verifies with the signer's key; undefined when there is none. What a store merely claims to be such a
 * signature must not keep an image unsigned.
 */
async function findEqual(
  store: AddableStore,
  place: Reference,
  manifest: RawManifest,
  wanted: WantedSignature,
  warnings: Set<string>,
): Promise<string | undefined> {
  const digest = fileDigest(manifest);
  for (const read of [() => store.readWritten?.(place, digest), () => store.read(place, digest)]) {
    try {
      for (const { bytes, location } of (await read())?.signatures ?? [])
        if (isEqualSignature(bytes, manifest.digest, wanted)) return location;
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      // Signing need not wait for a public server that is down; at worst there are two equal signatures.
      warnings.add(`cannot tell whether the image is signed already: ${error.message}`);
    }
  }
  return undefined;
}

/** The digest under which stores file what belongs to a manifest. */
function fileDigest(manifest: RawManifest): Digest {
  return manifest.namedDigest ?? manifest.digest;
}

function unwritable(reason: string): StoreError {
  return new StoreError("signature-store-unwritable", `cannot store signatures: ${reason}`, {
    side: "destination",
    hint: "add `lookaside-staging: file:///…` to the section of registries.d",
  });
}
