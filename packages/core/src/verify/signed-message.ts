import type { Engine } from "../bytes/engine.ts";
import { describeAlgorithm, describeHash, findHash } from "../formats/openpgp/algorithms.ts";
import { OpenPgpFault } from "../formats/openpgp/fault.ts";
import { canonicalText } from "../formats/openpgp/message-packets.ts";
import { type UntrustedSignature, signatureTypes } from "../formats/openpgp/signature.ts";
import type { MessageCompression, UntrustedMessage } from "../formats/openpgp/signed-message.ts";
import { parseMessage } from "../formats/openpgp/signed-message.ts";
import type { Certificate } from "../keys/certificate.ts";
import type { KeyCandidate, Keyring } from "../keys/keyring.ts";
import { verifySignature } from "../keys/signature-crypto.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import type { Check, Reason } from "./evidence.ts";
import {
  CheckList,
  addCrypto,
  addGrammarFault,
  checkSignature,
  checkSigner,
  grammarPassed,
  signatureExpiry,
} from "./signed-message-checks.ts";

/** How a signed message is judged. */
export interface SignedMessageOptions {
  /** The one that read the keyring. */
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Default: none set. */
  readonly switches?: OpenPgpSwitches;
  /** Octets of content at most. Default 64 KiB. */
  readonly maxContentBytes?: number;
}

/** A signed message that was accepted. */
export interface AcceptedMessage {
  readonly verdict: "accepted";
  /** The one signed content, as it stands in the message. */
  readonly content: Uint8Array;
  readonly certificate: Certificate;
  /** Full fingerprint of the key that made the signature: the primary key or a subkey. */
  readonly signingFingerprint: string;
  /** Milliseconds since 1970 UTC, as the signer claims. */
  readonly signedAt: number;
  /** Milliseconds since 1970 UTC: the earliest expiry of signature, signing key and primary key, where one is set. */
  readonly validUntil?: number;
  /** Key id of the signing key, 16 upper-case hex digits. */
  readonly keyId: string;
  readonly checks: readonly Check[];
}

/** A signed message that was rejected; it has no content. */
export interface RejectedMessage {
  readonly verdict: "rejected";
  /** At least one. */
  readonly reasons: readonly Reason[];
  readonly checks: readonly Check[];
  /** The key id that the message claims, where it could be read. Not verified. */
  readonly keyId?: string;
}

/** The verdict on one signed message. */
export type SignedMessageOutcome = AcceptedMessage | RejectedMessage;

const noSwitches: OpenPgpSwitches = {};

/**
 * Accepts a message only if it is exactly one signed message (`one-pass, literal, signature` or `signature, literal`, compressed at most once), made by a key of
 * `keyring` that may sign, with strong algorithms, and neither signature nor key has expired or was revoked. Everything else is rejected with
 * every reason that was found. Nothing is thrown for any message.
 *
 * Not checked: what the content says.
 *
 * Source: RFC 9580 sections 5.2 and 10.3; RFC 4880 section 5.2.2 for version 3.
 */
export function verifySignedMessage(
  message: Uint8Array,
  keyring: Keyring,
  options: SignedMessageOptions,
): SignedMessageOutcome {
  const list = new CheckList();
  let parsed: UntrustedMessage;
  try {
    parsed = parseMessage(message, options.engine, options);
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
    addGrammarFault(error, list);
    return { verdict: "rejected", reasons: list.reasons, checks: list.checks };
  }
  list.add(grammarPassed(parsed));
  return judgeSignature(parsed.signature, parsed.literal.content, keyring, options, list);
}

/**
 * Judges one signature over one content, when its form has been found good.
 * @param list what was checked before; goes into the outcome
 */
export function judgeSignature(
  signature: UntrustedSignature,
  content: Uint8Array,
  keyring: Keyring,
  options: SignedMessageOptions,
  list: CheckList,
): SignedMessageOutcome {
  const keyId = signature.keyId!;
  checkSignature(signature, options.now, options.switches ?? noSwitches, list);
  const signer = findSigner(signature, content, keyring, options, list);
  if (signer === undefined || list.reasons.length > 0) {
    return { verdict: "rejected", reasons: list.reasons, checks: list.checks, keyId };
  }
  return {
    verdict: "accepted",
    content,
    certificate: signer.certificate,
    signingFingerprint: signer.key.fingerprint,
    signedAt: signature.created! * 1000,
    ...(signer.validUntil === undefined ? {} : { validUntil: signer.validUntil }),
    keyId,
    checks: list.checks,
  };
}

interface Signer extends KeyCandidate {
  readonly validUntil: number | undefined;
}

/** Tries every key that the signature can mean; records the first that is good in every way, else the one that came closest. */
function findSigner(
  signature: UntrustedSignature,
  content: Uint8Array,
  keyring: Keyring,
  options: SignedMessageOptions,
  list: CheckList,
): Signer | undefined {
  const candidates = keyring.find(signature.keyId!, signature.fingerprint);
  if (candidates.length === 0) {
    const found = signature.fingerprint ?? signature.keyId!;
    list.fail("signer-known", `the signature names key ${found}, which is not among the trusted keys`, {
      expected: "a key of the keyring",
      found,
      hint: "check that the key file that is configured here holds the signer's key",
    });
    return undefined;
  }
  // What is broken beyond any switch is not even tried; `checkSignature` has said so.
  if (findHash(signature.hash)?.strength === "never") return undefined;
  const data = [signature.type === signatureTypes.text ? canonicalText(content) : content];
  let closest: CheckList | undefined;
  for (const candidate of candidates) {
    const attempt = new CheckList();
    const result = verifySignature(signature, candidate.key, data, options.engine);
    addCrypto(result, signature, candidate, attempt);
    const validUntil =
      result === "good"
        ? checkSigner(signature, candidate, options.now, options.switches ?? noSwitches, attempt)
        : undefined;
    if (attempt.reasons.length === 0) {
      list.append(attempt);
      return { ...candidate, validUntil };
    }
    if (closest === undefined || result === "good") closest = attempt;
  }
  list.append(closest!);
  return undefined;
}

/** What a signed message claims. Nothing in it is verified. */
export interface UntrustedSignedMessage {
  /** 16 upper-case hex digits. */
  readonly keyId: string;
  /** Where the signature names its issuer in full: upper-case hex. */
  readonly fingerprint?: string;
  /** Version of the signature packet. */
  readonly version: 3 | 4 | 6;
  readonly type: "binary" | "text";
  /** As people write it: `SHA-256`. */
  readonly hash: string;
  /** As people write it: `RSA`. */
  readonly algorithm: string;
  /** Milliseconds since 1970 UTC. */
  readonly signedAt: number;
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt?: number;
  /** Undefined: not compressed. */
  readonly compression?: MessageCompression;
  /** The signed content as it stands in the message. */
  readonly content: Uint8Array;
  /** Octets that follow the message; more than 0 and it would be rejected. */
  readonly trailingOctets: number;
  /** The bytes that were read. */
  readonly raw: Uint8Array;
}

/**
 * Takes a signed message apart without keys, for showing and debugging. No signature is verified, no time and no algorithm is judged; the form must
 * be the one that {@link verifySignedMessage} accepts, except that octets after it are counted instead of refused.
 *
 * @throws FormatError `openpgp-malformed`; `details.rule` says which rule is broken
 */
export function inspectSignedMessage(message: Uint8Array, engine: Pick<Engine, "inflate">): UntrustedSignedMessage {
  const { signature, literal, compression, raw, trailingOctets } = parseMessage(message, engine, {
    toleratesTrailingData: true,
  });
  const expiresAt = signatureExpiry(signature);
  return {
    keyId: signature.keyId!,
    ...(signature.fingerprint === undefined ? {} : { fingerprint: signature.fingerprint }),
    version: signature.version,
    type: signature.type === signatureTypes.text ? "text" : "binary",
    hash: describeHash(signature.hash),
    algorithm: describeAlgorithm(signature.algorithm),
    signedAt: signature.created! * 1000,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(compression === undefined ? {} : { compression }),
    content: literal.content,
    trailingOctets,
    raw,
  };
}
