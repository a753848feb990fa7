/** The keys that a policy names, as lints see them: what a file holds, and what can be relied on now. */
import { parseKeyring, makeKeyring, revokeCertificates, type ParsedKeyring } from "../../keys/keyring.ts";
import { assessCertificate, type CertificateAssessment } from "../../keys/assessment.ts";
import type { Certificate } from "../../keys/certificate.ts";
import { FormatError } from "../../errors.ts";
import { readArmorBlocks } from "../../formats/openpgp/armor.ts";
import { OpenPgpFault } from "../../formats/openpgp/fault.ts";
import { readPacket, tags } from "../../formats/openpgp/packet.ts";
import type { SignedByRequirement } from "../policy.ts";
import type { JsonPath } from "./document-places.ts";
import type { LintFacts } from "./lint-facts.ts";
import type { LintedRequirement } from "./lint-context.ts";

/** A certificate that a requirement trusts. */
export interface PlacedCertificate {
  readonly certificate: Certificate;
  readonly assessment: CertificateAssessment;
  /** The file, as written, or `keyData`. */
  readonly from: string;
  /** Where the policy names it. */
  readonly path: JsonPath;
}

/** Reads key files for lints, each once. */
export class KeyMaterial {
  readonly #facts: LintFacts;
  readonly #keyrings = new Map<string, ParsedKeyring | undefined>();
  readonly #requirements = new Map<SignedByRequirement, readonly PlacedCertificate[]>();

  constructor(facts: LintFacts) {
    this.#facts = facts;
  }

  /** What a file that was read holds; undefined when it was not read, or is larger than any keyring. */
  keyring(file: string): ParsedKeyring | undefined {
    if (this.#keyrings.has(file)) return this.#keyrings.get(file);
    const fact = this.#facts.keyFiles.get(file);
    const keyring = fact?.outcome === "read" ? this.parse(fact.bytes) : undefined;
    this.#keyrings.set(file, keyring);
    return keyring;
  }

  /** A keyring; undefined when it is larger than any keyring. */
  parse(bytes: Uint8Array): ParsedKeyring | undefined {
    try {
      return parseKeyring(bytes, this.#facts.engine);
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }

  /** Every certificate of a requirement once, with all revocations of its files, where the first file names it. */
  certificates(requirement: SignedByRequirement, item: LintedRequirement): readonly PlacedCertificate[] {
    const known = this.#requirements.get(requirement);
    if (known !== undefined) return known;
    const { keys } = requirement;
    const parts =
      keys.kind === "files"
        ? item.files.map(({ file, path }) => ({ from: file, path, read: this.keyring(file) }))
        : keys.blobs.map((blob) => ({ from: "keyData", path: [...item.path, "keyData"], read: this.parse(blob) }));
    const { engine, now } = this.#facts;
    const all = parts.flatMap(({ read }) => read?.certificates ?? []);
    const revocations = parts.flatMap(({ read }) => read?.strayRevocations ?? []);
    const placed = makeKeyring(revokeCertificates(all, revocations, engine)).certificates.map((certificate) => {
      const { from, path } = parts.find(({ read }) => {
        return read?.certificates.some(({ fingerprint }) => fingerprint === certificate.fingerprint) === true;
      })!;
      return { certificate, assessment: assessCertificate(certificate, now), from, path };
    });
    this.#requirements.set(requirement, placed);
    return placed;
  }
}

/** True when secret OpenPGP key material stands in it, whether or not a passphrase protects it. */
export function holdsOpenPgpSecret(bytes: Uint8Array): boolean {
  if ((bytes[0] ?? 0) < 0x80) return readArmorBlocks(bytes).some(({ type }) => type === "PRIVATE KEY BLOCK");
  try {
    for (let at = 0; at < bytes.length;) {
      const packet = readPacket(bytes, at);
      if (packet.tag === tags.secretKey || packet.tag === tags.secretSubkey) return true;
      at = packet.end;
    }
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
  }
  return false;
}

/** What PEM blocks a file has: of public keys or certificates, and of private keys. */
export function findPemBlocks(bytes: Uint8Array): { readonly hasPublic: boolean; readonly hasSecret: boolean } {
  const text = new TextDecoder("latin1").decode(bytes);
  const labels = [...text.matchAll(/^-----BEGIN ([A-Z0-9 ]{1,64})-----/gm)].map(([, label]) => label!);
  return {
    hasPublic: labels.some((label) => /^(?:(?:RSA |EC )?PUBLIC KEY|CERTIFICATE)$/.test(label)),
    hasSecret: labels.some((label) => label.endsWith("PRIVATE KEY")),
  };
}
