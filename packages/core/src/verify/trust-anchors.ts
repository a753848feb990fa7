/** The keys that a policy names, read once and kept for as many verdicts as are asked for. */
import type { Engine } from "../bytes/engine.ts";
import { PolicyError } from "../errors.ts";
import { type Keyring, makeKeyring, type ParsedKeyring, parseKeyring, revokeCertificates } from "../keys/keyring.ts";
import type { SignedByRequirement } from "../policy/policy.ts";

/** What is needed to read keys. */
export interface TrustAnchorDeps {
  /** The one that later verifies with them. */
  readonly engine: Engine;
  /** The content of a key file, by the path that the policy writes. Throws a StoreError when it cannot be read. */
  readonly readKeyFile: (path: string) => Uint8Array;
}

/** The keys of one requirement. */
export interface TrustedKeys {
  /** At least one certificate. */
  readonly keyring: Keyring;
  /** Keys that were left out and why, one line each. Untrusted texts. */
  readonly warnings: readonly string[];
}

/**
 * The keys of `signedBy` requirements, ready for verification. Each file is read and parsed once, however many requirements name it, and stays as it was
 * read: make a new one to see a changed file. Failures are not kept.
 */
export class TrustAnchors {
  readonly #deps: TrustAnchorDeps;
  readonly #files = new Map<string, ParsedKeyring>();
  readonly #requirements = new WeakMap<SignedByRequirement, TrustedKeys>();

  constructor(deps: TrustAnchorDeps) {
    this.#deps = deps;
  }

  /**
   * The keys that may sign for `requirement`: those of all its files together, or those inside the policy.
   *
   * @throws PolicyError `no-trust-anchors` when not a single key can be used; FormatError `input-too-large`; and whatever `readKeyFile` throws, for any one
   * of several files: a key that cannot be read may be the one that matters
   */
  keysOf(requirement: SignedByRequirement): TrustedKeys {
    const known = this.#requirements.get(requirement);
    if (known !== undefined) return known;
    const keys = this.#read(requirement);
    this.#requirements.set(requirement, keys);
    return keys;
  }

  #read({ keys }: SignedByRequirement): TrustedKeys {
    const { engine } = this.#deps;
    const parts =
      keys.kind === "files"
        ? keys.paths.map((path) => ({ from: path, read: this.#readFile(path) }))
        : keys.blobs.map((blob) => ({ from: "key inside the policy", read: parseKeyring(blob, engine) }));
    const warnings = parts.flatMap(({ from, read }) => read.warnings.map((warning) => `${from}: ${warning}`));
    const certificates = parts.flatMap(({ read }) => read.certificates);
    if (certificates.length === 0) throw noKeys(requirementKeys(keys), warnings);
    // A revocation certificate may be a file of its own beside the key's.
    const revocations = parts.flatMap(({ read }) => read.strayRevocations);
    return { keyring: makeKeyring(revokeCertificates(certificates, revocations, engine)), warnings };
  }

  #readFile(path: string): ParsedKeyring {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const read = parseKeyring(this.#deps.readKeyFile(path), this.#deps.engine);
    this.#files.set(path, read);
    return read;
  }
}

function requirementKeys(keys: SignedByRequirement["keys"]): string {
  if (keys.kind === "data") return keys.blobs.length === 0 ? "an empty list of keys" : "the keys inside the policy";
  return keys.paths.length === 0 ? "an empty list of key files" : keys.paths.join(", ");
}

function noKeys(where: string, warnings: readonly string[]): PolicyError {
  const why = warnings.length === 0 ? "" : ` (${warnings.slice(0, MAX_SHOWN_WARNINGS).join("; ")})`;
  return new PolicyError("no-trust-anchors", `No public keys imported: there is no usable key in ${where}${why}`, {
    hint: "name files with OpenPGP public keys, binary or armored; gpg --export writes such",
    details: { warnings },
  });
}

/** Warnings repeated in the message of an error; the rest is in its details. */
const MAX_SHOWN_WARNINGS = 3;
