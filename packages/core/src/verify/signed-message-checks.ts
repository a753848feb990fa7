import { describeAlgorithm, describeHash, findHash } from "../formats/openpgp/algorithms.ts";
import type { OpenPgpFault, OpenPgpRule } from "../formats/openpgp/fault.ts";
import type { UntrustedMessage } from "../formats/openpgp/signed-message.ts";
import type { UntrustedSignature } from "../formats/openpgp/signature.ts";
import type { KeyCandidate } from "../keys/keyring.ts";
import type { KeyState } from "../keys/key-state.ts";
import { primaryKeyState, subkeyState } from "../keys/key-state.ts";
import type { CryptoResult } from "../keys/signature-crypto.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { MAX_CLOCK_SKEW_MS } from "../keys/switches.ts";
import type { Check, Reason } from "./evidence.ts";

/** Evidence as it is collected. Checks that pass are mostly constants: a hot path must not pay for prose. */
export class CheckList {
  readonly checks: Check[] = [];
  readonly reasons: Reason[] = [];

  add(check: Check): void {
    this.checks.push(check);
  }

  append(other: CheckList): void {
    this.checks.push(...other.checks);
    this.reasons.push(...other.reasons);
  }

  /** A check that failed, and so a reason to reject. */
  fail(
    name: string,
    message: string,
    more: Pick<Check, "expected" | "found" | "clause"> & Pick<Reason, "hint"> = {},
  ): void {
    const { hint, ...compared } = more;
    this.checks.push({ name, outcome: "failed", message, ...compared });
    this.reasons.push({ code: name, message, ...(hint === undefined ? {} : { hint }) });
  }

  /** A check that a switch lets pass. */
  warn(name: string, message: string, clause?: string): void {
    this.checks.push({ name, outcome: "warning", message, ...(clause === undefined ? {} : { clause }) });
  }

  /** Fails, or warns when the switch is set. */
  failUnless(isSwitchedOn: boolean | undefined, name: string, message: string, hint?: string): void {
    if (isSwitchedOn === true) this.warn(name, `${message}; a switch allows it`);
    else this.fail(name, message, hint === undefined ? {} : { hint });
  }
}

function passed(name: string, message: string, clause: string): Check {
  return Object.freeze({ name, outcome: "passed", message, clause });
}

const grammarClause = "RFC 9580 section 10.3";
const grammarPlain = passed("message-grammar", "exactly one signed message, not compressed", grammarClause);
const grammarCompressed = passed(
  "message-grammar",
  "exactly one signed message in one compressed packet",
  grammarClause,
);

/** The check that a message of the accepted form has passed. */
export function grammarPassed(message: UntrustedMessage): Check {
  return message.compression === undefined ? grammarPlain : grammarCompressed;
}

const grammarHints: Partial<Record<OpenPgpRule, string>> = {
  "message-armored": "remove the armor with `gpg --dearmor`",
  "message-cleartext": "sign again with `gpg --sign`, not `--clear-sign`",
  "message-detached": "sign again with `gpg --sign`, not `--detach-sign`",
  "message-several-signatures": "store one signature for each signer",
  "message-unsigned": "the content was packed without a signature; sign it with `gpg --sign`",
};

/** Records which rule of the accepted grammar a message breaks. */
export function addGrammarFault(fault: OpenPgpFault, list: CheckList): void {
  const hint = grammarHints[fault.rule];
  list.fail(fault.rule, fault.message, { clause: grammarClause, ...(hint === undefined ? {} : { hint }) });
}

const hashClause = "RFC 9580 section 9.5";
const hashPassed: ReadonlyMap<number, Check> = new Map(
  [8, 9, 10, 11, 12, 14].map((id) => [id, passed("signature-hash", `${describeHash(id)} is strong`, hashClause)]),
);
const creationPassed = passed(
  "signature-creation-time",
  "the signature was not made in the future",
  "RFC 9580 section 5.2.3.11",
);
const expiryPassed = passed("signature-expiry", "the signature has not expired", "RFC 9580 section 5.2.3.18");

const DSA = 17;

/** Milliseconds since 1970 UTC when the signature expires, or undefined for never. */
export function signatureExpiry(signature: UntrustedSignature): number | undefined {
  const after = signature.fields.expiresAfter;
  return after === undefined || after === 0 ? undefined : (signature.created! + after) * 1000;
}

/** What can be judged of a signature without its key: algorithms and times. */
export function checkSignature(
  signature: UntrustedSignature,
  now: number,
  switches: OpenPgpSwitches,
  list: CheckList,
): void {
  checkHash(signature, switches, list);
  if (signature.algorithm === DSA) {
    list.failUnless(
      switches.allowDsaSignatures,
      "signature-algorithm",
      "DSA keys are only accepted for old signatures",
      "sign again with a newer key; --allow-dsa accepts it all the same (in the library allowDsaSignatures)",
    );
  }
  const signedAt = signature.created! * 1000;
  if (signedAt > now + MAX_CLOCK_SKEW_MS) {
    list.failUnless(
      switches.acceptSignaturesFromTheFuture,
      "signature-creation-time",
      `the signature was made at ${formatTime(signedAt)}, which is in the future`,
      "check the clocks of this machine and of the signer",
    );
  } else list.add(creationPassed);
  const expiresAt = signatureExpiry(signature);
  if (expiresAt !== undefined && expiresAt <= now) {
    list.fail("signature-expiry", `the signature expired at ${formatTime(expiresAt)}`, {
      clause: expiryPassed.clause!,
    });
  } else list.add(expiryPassed);
}

function checkHash(signature: UntrustedSignature, switches: OpenPgpSwitches, list: CheckList): void {
  const ready = hashPassed.get(signature.hash);
  if (ready !== undefined) {
    list.add(ready);
    return;
  }
  const hash = findHash(signature.hash);
  if (hash?.strength === "switch") {
    const [isAllowed, option, name] =
      hash.name === "sha1"
        ? [switches.allowSha1Signatures, "--allow-sha1", "allowSha1Signatures"]
        : [switches.allowRipemd160Signatures, "--allow-ripemd160", "allowRipemd160Signatures"];
    list.failUnless(
      isAllowed,
      "signature-hash",
      `the signature uses ${hash.label}, which is weak`,
      `sign again with SHA-256 or better; ${option} accepts it all the same (in the library ${name})`,
    );
  } else {
    const problem = hash === undefined ? "which is unknown" : "which is broken";
    list.fail("signature-hash", `the signature uses ${describeHash(signature.hash)}, ${problem}`, {
      clause: hashClause,
    });
  }
}

const cryptoFailures: Readonly<Record<Exclude<CryptoResult, "good">, string>> = {
  "version-mismatch": "the signature packet's version does not belong to the key's version",
  "algorithm-mismatch": "the signature names another algorithm than the key has",
  "hash-unknown": "the signature's hash algorithm is unknown",
  "hash-too-short": "the signature's hash is too short for the key's algorithm",
  malformed: "the signature's numbers do not have the form of the key's algorithm",
  "digest-start": "the content is not what was signed: the digest begins with other octets",
  bad: "the signature does not verify: content or signature was changed, or another key made it",
};
const cryptoClause = "RFC 9580 section 5.2.4";

/** Records how the cryptography went with one key. */
export function addCrypto(
  result: CryptoResult,
  signature: UntrustedSignature,
  { key }: KeyCandidate,
  list: CheckList,
): void {
  if (result === "good") {
    list.add({
      name: "signature-crypto",
      outcome: "passed",
      message: "the signature verifies",
      found: `${key.algorithm} by ${key.fingerprint}`,
      clause: cryptoClause,
    });
    return;
  }
  list.fail("signature-crypto", cryptoFailures[result], {
    expected: `a ${key.algorithm} signature by ${key.fingerprint}`,
    found: `${describeAlgorithm(signature.algorithm)}, ${describeHash(signature.hash)}`,
    clause: cryptoClause,
  });
}

const primaryPassed = passed(
  "key-validity",
  "the primary key is valid: described by itself, not revoked, not expired",
  "RFC 9580 section 5.2.3.10",
);
const subkeyPassed = passed(
  "subkey-validity",
  "the subkey is valid: bound to its primary key by both, not revoked, not expired",
  "RFC 9580 section 10.1.5",
);
const usagePassed = passed("key-usage", "the key may sign", "RFC 9580 section 5.2.3.29");

/**
 * Judges the key that made a signature, and its primary key: self-signatures, use, creation, revocation, expiry.
 * @returns milliseconds since 1970 UTC until which all of this can stay true, or undefined for ever
 */
export function checkSigner(
  signature: UntrustedSignature,
  candidate: KeyCandidate,
  now: number,
  switches: OpenPgpSwitches,
  list: CheckList,
): number | undefined {
  const { certificate, key } = candidate;
  const signedAt = signature.created! * 1000;
  const isPrimary = key === certificate.primary;
  const primary = primaryKeyState(certificate, now);
  const failuresBefore = list.reasons.length;

  checkDescribed(primary, "key", certificate.primary.fingerprint, list);
  checkRevocation(primary, "key", signedAt, switches, list);
  checkExpiry(primary.expiresAt, "key", signedAt, now, switches.acceptKeyExpiredSinceSigning, list);
  checkCreation(certificate.primary.created, "key", signedAt, now, list);
  if (list.reasons.length === failuresBefore) list.add(primaryPassed);
  if (isPrimary) {
    checkUsage(primary, "the primary key", list);
    return earliest(signatureExpiry(signature), primary.expiresAt);
  }

  const subkey = subkeyState(certificate, key, now);
  const failuresOfPrimary = list.reasons.length;
  checkDescribed(subkey, "subkey", key.fingerprint, list);
  if (subkey.selfSignature?.isSignedBack === false) {
    list.fail("subkey-binding", "the subkey did not confirm its primary key, so anybody could have claimed it", {
      clause: "RFC 9580 section 5.2.1.9",
    });
  }
  checkRevocation(subkey, "subkey", signedAt, switches, list);
  checkExpiry(subkey.expiresAt, "subkey", signedAt, now, switches.acceptSubkeyExpiredSinceSigning, list);
  checkCreation(key.created, "subkey", signedAt, now, list);
  if (list.reasons.length === failuresOfPrimary) list.add(subkeyPassed);
  if (subkey.selfSignature?.isSignedBack === true) checkUsage(subkey, "the subkey", list);
  return earliest(signatureExpiry(signature), primary.expiresAt, subkey.expiresAt);
}

function checkDescribed(state: KeyState, which: "key" | "subkey", fingerprint: string, list: CheckList): void {
  const name = which === "key" ? "key-self-signature" : "subkey-binding";
  if (state.selfSignature === undefined) {
    const what = which === "key" ? "no valid self-signature" : "no valid binding to its primary key";
    list.fail(name, `${which} ${fingerprint} has ${what}`, { clause: "RFC 9580 section 10.1" });
  } else if (state.selfSignature.isHashWeak) {
    list.warn(
      name,
      `${which} ${fingerprint} is described by a signature with ${state.selfSignature.hash}; it counts because the key was pinned`,
    );
  }
}

function checkRevocation(
  state: KeyState,
  which: "key" | "subkey",
  signedAt: number,
  switches: OpenPgpSwitches,
  list: CheckList,
): void {
  const { revocation } = state;
  if (revocation === undefined) return;
  const reason = revocationReasons.get(revocation.code) ?? "for a reason of its own";
  const message = `the ${which} was revoked at ${formatTime(revocation.created)}, ${reason}`;
  const mayStand = !revocation.isHard && signedAt < revocation.created;
  list.failUnless(
    mayStand && switches.acceptSoftRevocationAfterSigning,
    `${which}-revocation`,
    message,
    "get the signer's new key and signature",
  );
}

const revocationReasons: ReadonlyMap<number, string> = new Map([
  [0, "without a reason"],
  [1, "because it was superseded"],
  [2, "because it was compromised"],
  [3, "because it was retired"],
]);

function checkExpiry(
  expiresAt: number | undefined,
  which: "key" | "subkey",
  signedAt: number,
  now: number,
  isSwitchedOn: boolean | undefined,
  list: CheckList,
): void {
  if (expiresAt === undefined) return;
  if (expiresAt <= signedAt) {
    list.fail(`${which}-expiry`, `the ${which} expired at ${formatTime(expiresAt)}, before the signature was made`);
  } else if (expiresAt <= now) {
    list.failUnless(
      isSwitchedOn,
      `${which}-expiry`,
      `the ${which} expired at ${formatTime(expiresAt)}, after the signature was made`,
      "get the key again if its holder has extended it",
    );
  }
}

function checkCreation(created: number, which: "key" | "subkey", signedAt: number, now: number, list: CheckList): void {
  if (created > now + MAX_CLOCK_SKEW_MS) {
    list.fail(`${which}-creation-time`, `the ${which} was made at ${formatTime(created)}, which is in the future`);
  } else if (signedAt < created) {
    list.fail(
      `${which}-creation-time`,
      `the signature is older than the ${which}, which was made at ${formatTime(created)}`,
    );
  }
}

function checkUsage(state: KeyState, what: string, list: CheckList): void {
  if (state.canSign) list.add(usagePassed);
  else list.fail("key-usage", `${what} may not sign, by its own key flags`, { clause: usagePassed.clause! });
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  let found: number | undefined;
  for (const time of times) if (time !== undefined && (found === undefined || time < found)) found = time;
  return found;
}

function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(".000Z", "Z");
}
