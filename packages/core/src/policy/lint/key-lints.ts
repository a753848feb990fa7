/** Lints about keys: files that are not what they should be, and certificates that can accept nothing. */
import type { Certificate } from "../../keys/certificate.ts";
import type { CertificateAssessment, KeyAssessment } from "../../keys/assessment.ts";
import { quote } from "../policy-members.ts";
import type { ReadKeyFile, UnreadKeyFile } from "./lint-facts.ts";
import { findPemBlocks, holdsOpenPgpSecret, type PlacedCertificate } from "./key-material.ts";
import type { LintContext, LintedRequirement, LintedScope, NamedKeyFile } from "./lint-context.ts";
import type { Found, Lint, LintSeverity } from "./lint.ts";
import { atRequirement } from "./requirement-lints.ts";

/** Milliseconds of a day. */
const DAY_MS = 24 * 60 * 60 * 1000;

/** Days: a quarter, in which a new key can be rolled out to every machine. */
const EXPIRES_SOON_DAYS = 90;

/** Bits: what NIST SP 800-131A asks of RSA since 2014. */
const MIN_RSA_BITS = 2048;

interface NamedFile extends NamedKeyFile {
  readonly scope: LintedScope;
}

/** Key files of requirements whose keys are looked at by any tool. */
function* filesOf({ scopes }: LintContext): Iterable<NamedFile> {
  for (const scope of scopes) {
    for (const { files, requirement } of scope.items) {
      if (requirement.type === "signedBy" && requirement.keyType !== "GPGKeys") continue;
      for (const file of files) yield { ...file, scope };
    }
  }
}

function* readFilesOf(context: LintContext): Iterable<NamedFile & { readonly fact: ReadKeyFile }> {
  for (const file of filesOf(context)) {
    const fact = context.facts.keyFiles.get(file.file);
    if (fact?.outcome === "read") yield { ...file, fact };
  }
}

function* unreadFilesOf(context: LintContext): Iterable<NamedFile & { readonly fact: UnreadKeyFile }> {
  for (const file of filesOf(context)) {
    const fact = context.facts.keyFiles.get(file.file);
    if (fact !== undefined && fact.outcome !== "read") yield { ...file, fact };
  }
}

function atFile({ path, scope }: NamedFile, what: string): Found {
  return { place: { path, part: "value" }, scope: scope.label, what };
}

export const keyMissing: Lint = {
  name: "key-missing",
  severity: "error",
  reason:
    "A key file that is not there makes its requirement fail for every image, also when other keys of the list would do.",
  fix: "Put the key there, or correct the path.",
  *check(context) {
    for (const file of unreadFilesOf(context)) {
      if (file.fact.outcome === "missing") yield atFile(file, `${quote(file.file)}: ${file.fact.problem}`);
    }
  },
};

export const keyUnreadable: Lint = {
  name: "key-unreadable",
  severity: "error",
  reason: "A key file that cannot be read makes its requirement fail for every image.",
  fix: "Make it a regular file that everybody who pulls images may read.",
  *check(context) {
    for (const file of unreadFilesOf(context)) {
      if (file.fact.outcome === "unreadable") yield atFile(file, `${quote(file.file)}: ${file.fact.problem}`);
    }
  },
};

export const keyNotOpenpgp: Lint = {
  name: "key-not-openpgp",
  severity: "error",
  reason: "signedBy takes OpenPGP public keys; from anything else no key is imported, and every image is rejected.",
  fix: "Name a file that `gpg --export` wrote, binary or armored.",
  *check(context) {
    for (const file of readFilesOf(context)) {
      if (file.form !== "openpgp") continue;
      const keyring = context.keys.keyring(file.file);
      if (keyring !== undefined && keyring.certificates.length + keyring.strayRevocations.length > 0) continue;
      const why =
        keyring === undefined ? "it is larger than any keyring" : (keyring.warnings[0] ?? "there is no key in it");
      const pem = findPemBlocks(file.fact.bytes).hasPublic ? "; it is a PEM file, as sigstoreSigned takes" : "";
      yield atFile(file, `${quote(file.file)} has no usable OpenPGP key: ${why}${pem}`);
    }
    for (const { scope, item, blob, path } of dataOf(context)) {
      const keyring = context.keys.parse(blob);
      if (blob.length === 0 || (keyring !== undefined && keyring.certificates.length > 0)) continue;
      const why = keyring?.warnings[0] ?? "it is larger than any keyring";
      yield {
        ...atRequirement(scope, item, `keyData has no usable OpenPGP key: ${why}`),
        place: { path, part: "value" },
      };
    }
  },
};

interface KeyData {
  readonly scope: LintedScope;
  readonly item: LintedRequirement;
  readonly blob: Uint8Array;
  readonly path: readonly (string | number)[];
}

function* dataOf({ scopes }: LintContext): Iterable<KeyData> {
  for (const scope of scopes) {
    for (const item of scope.items) {
      const { requirement, path } = item;
      if (requirement.type !== "signedBy" || requirement.keys.kind !== "data") continue;
      for (const blob of requirement.keys.blobs) yield { scope, item, blob, path: [...path, "keyData"] };
    }
  }
}

export const keyNotPem: Lint = {
  name: "key-not-pem",
  severity: "error",
  reason:
    "sigstoreSigned takes PEM public keys and certificates; anything else makes its requirement fail for every image.",
  fix: "Name the file that `cosign public-key` or `cosign generate-key-pair` wrote as .pub.",
  *check(context) {
    for (const file of readFilesOf(context)) {
      if (file.form !== "pem") continue;
      const { hasPublic, hasSecret } = findPemBlocks(file.fact.bytes);
      if (hasPublic || hasSecret) continue;
      const isOpenPgp = (context.keys.keyring(file.file)?.certificates.length ?? 0) > 0;
      yield atFile(
        file,
        `${quote(file.file)} has no PEM public key or certificate${isOpenPgp ? "; it is an OpenPGP key, as signedBy takes" : ""}`,
      );
    }
  },
};

export const keyIsSecret: Lint = {
  name: "key-is-secret",
  severity: "error",
  reason: "Whoever can read the policy's keys can sign with this one: verifying needs the public half alone.",
  fix: "Replace the file by its public half (`gpg --export`, or cosign's .pub file), and treat the key as exposed if others could read it.",
  *check(context) {
    for (const file of readFilesOf(context)) {
      const { bytes } = file.fact;
      const isSecret = file.form === "openpgp" ? holdsOpenPgpSecret(bytes) : false;
      if (isSecret || findPemBlocks(bytes).hasSecret) yield atFile(file, `${quote(file.file)} holds a secret key`);
    }
    for (const { scope, item, blob, path } of dataOf(context)) {
      if (!holdsOpenPgpSecret(blob)) continue;
      yield { ...atRequirement(scope, item, "keyData holds a secret key"), place: { path, part: "value" } };
    }
  },
};

export const keyPathRelative: Lint = {
  name: "key-path-relative",
  severity: "warning",
  reason:
    "A relative path starts at the working directory of whoever pulls an image: which key counts depends on where the command is run.",
  fix: "Write an absolute path.",
  isFixable: true,
  *check(context) {
    for (const file of filesOf(context)) {
      if (file.file === "" || file.file.startsWith("/")) continue;
      const fact = context.facts.keyFiles.get(file.file);
      const found = atFile(file, `${quote(file.file)} is a relative path`);
      if (fact?.outcome !== "read" || fact.absolutePath === undefined) yield found;
      else {
        const fix = `write ${quote(fact.absolutePath)}, where it was found now`;
        yield { ...found, fix, edits: [{ kind: "replace", path: file.path, value: fact.absolutePath }] };
      }
    }
  },
};

export const keyWritableByOthers: Lint = {
  name: "key-writable-by-others",
  severity: "error",
  reason: "Whoever can change the key file decides whose signatures are accepted.",
  fix: "Take the right to write away: `chmod go-w` on the file and its folder.",
  *check(context) {
    for (const file of readFilesOf(context)) {
      if (file.fact.writableBy !== undefined) yield atFile(file, `${quote(file.file)} ${file.fact.writableBy}`);
    }
  },
};

export const keyListEmpty: Lint = {
  name: "key-list-empty",
  severity: "error",
  reason: "A requirement without a key parses and rejects every image.",
  fix: 'Name a key, or write {"type":"reject"} when that is meant.',
  *check({ scopes }) {
    for (const scope of scopes) {
      for (const { requirement, path } of scope.items) {
        if (requirement.type !== "signedBy") continue;
        const { keys } = requirement;
        const isEmpty =
          keys.kind === "files" ? keys.paths.length === 0 : keys.blobs.every(({ length }) => length === 0);
        if (!isEmpty) continue;
        const member = keys.kind === "files" ? "keyPaths" : "keyData";
        yield {
          place: { path: [...path, member], part: "value" },
          scope: scope.label,
          what: `${member} is empty: there is no key that could have signed`,
        };
      }
    }
  },
};

export const keyDuplicate: Lint = {
  name: "key-duplicate",
  severity: "info",
  reason: "A key that is listed twice counts once.",
  fix: "Remove one of the two.",
  isFixable: true,
  *check(context) {
    for (const scope of context.scopes) {
      for (const { files, requirement } of scope.items) {
        if (requirement.type !== "signedBy") continue;
        const seen = new Map<string, string>();
        const names = new Set<string>();
        for (const { file, path } of files) {
          const place = { path, part: "value" } as const;
          if (names.has(file)) {
            const what = `${quote(file)} is listed twice`;
            yield { place, scope: scope.label, what, edits: [{ kind: "remove", path }] };
            continue;
          }
          names.add(file);
          for (const { fingerprint } of context.keys.keyring(file)?.certificates ?? []) {
            const earlier = seen.get(fingerprint);
            if (earlier !== undefined && earlier !== file) {
              const what = `key ${fingerprint} of ${quote(file)} stands in ${quote(earlier)} as well`;
              yield { place, scope: scope.label, what };
            }
            seen.set(fingerprint, earlier ?? file);
          }
        }
      }
    }
  },
};

/** Why a certificate can accept nothing, in the order in which it is looked for. */
type Trouble = "revoked" | "expired" | "unusable";

interface TrustedCertificate extends PlacedCertificate {
  readonly scope: LintedScope;
  /** Undefined: signatures by it are accepted now. */
  readonly trouble: Trouble | undefined;
  /** True when no other key of the requirement can sign. */
  readonly isLast: boolean;
}

function* certificatesOf(context: LintContext): Iterable<TrustedCertificate> {
  for (const scope of context.scopes) {
    for (const item of scope.items) {
      const { requirement } = item;
      if (requirement.type !== "signedBy" || requirement.keyType !== "GPGKeys") continue;
      const certificates = context.keys.certificates(requirement, item);
      const usable = certificates.filter(({ assessment }) => assessment.signingKeys.length > 0).length;
      for (const placed of certificates) {
        yield { ...placed, scope, trouble: troubleOf(placed.assessment), isLast: usable === 0 };
      }
    }
  }
}

function troubleOf({ signingKeys, keys }: CertificateAssessment): Trouble | undefined {
  if (signingKeys.length > 0) return undefined;
  const statuses = keys.map(({ status }) => status);
  if (statuses.includes("revoked")) return "revoked";
  return statuses.includes("expired") ? "expired" : "unusable";
}

function* withTrouble(
  context: LintContext,
  trouble: Trouble,
  say: (placed: TrustedCertificate) => string,
): Iterable<Found> {
  for (const placed of certificatesOf(context)) {
    if (placed.trouble !== trouble) continue;
    const others = placed.isLast ? "no image can be accepted" : "other keys of the requirement can still sign";
    const severity: LintSeverity = placed.isLast ? "error" : "warning";
    yield { ...atCertificate(placed, `${nameOf(placed.certificate)} ${say(placed)}; ${others}`), severity };
  }
}

function atCertificate({ path, scope, from }: TrustedCertificate, what: string): Found {
  const where = from === "keyData" ? "keyData" : quote(from);
  return { place: { path, part: "value" }, scope: scope.label, what: `${where}: ${what}` };
}

function nameOf({ fingerprint, userIds }: Certificate): string {
  const [userId] = userIds;
  return userId === undefined ? `key ${fingerprint}` : `key ${fingerprint} (${quote(userId)})`;
}

/** ISO 8601, the day alone. */
function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** Beyond this a date is not shown: milliseconds since 1970 that no calendar has. */
const MAX_TIME_MS = 8_640_000_000_000_000;

export const keyExpired: Lint = {
  name: "key-expired",
  severity: "error",
  reason:
    "Signatures by an expired key are rejected, also those made before. A warning where another key of the requirement can still sign.",
  fix: "Fetch the key again if its owner extended it; else add the new key and remove this one.",
  *check(context) {
    yield* withTrouble(context, "expired", ({ assessment }) => {
      const times = assessment.keys.flatMap(({ expiresAt }) => (expiresAt === undefined ? [] : [expiresAt]));
      return `expired on ${day(Math.min(...times, MAX_TIME_MS))}`;
    });
  },
};

export const keyExpiresSoon: Lint = {
  name: "key-expires-soon",
  severity: "warning",
  reason:
    "When the key expires, all images that it signed are rejected, on every machine at the same time. Looked 90 days ahead.",
  fix: "Fetch the key again if its owner extended it; else add the new key beside it before that day.",
  *check(context) {
    const { now } = context.facts;
    for (const placed of certificatesOf(context)) {
      const end = lastDayOf(placed.assessment);
      if (placed.trouble !== undefined || end > now + EXPIRES_SOON_DAYS * DAY_MS) continue;
      const days = Math.ceil((end - now) / DAY_MS);
      yield atCertificate(placed, `${nameOf(placed.certificate)} expires on ${day(end)}, in ${days} days`);
    }
  },
};

/** When the last of its keys that can sign now will stop to; a subkey ends with its primary key at the latest. */
function lastDayOf({ keys }: CertificateAssessment): number {
  const primaryEnd = keys.find(({ isPrimary }) => isPrimary)?.expiresAt ?? Infinity;
  const ends = keys.filter(({ status }) => status === "usable").map(({ expiresAt = Infinity }) => expiresAt);
  return Math.min(primaryEnd, Math.max(...ends));
}

export const keyRevoked: Lint = {
  name: "key-revoked",
  severity: "error",
  reason: "Signatures by a revoked key are rejected. A warning where another key of the requirement can still sign.",
  fix: "Remove the key, and name the one that its owner uses now.",
  *check(context) {
    yield* withTrouble(context, "revoked", ({ assessment }) => {
      const revocation = assessment.keys.find((key) => key.revocation !== undefined)?.revocation;
      return `was revoked${revocation === undefined || revocation.created === 0 ? "" : ` on ${day(revocation.created)}`}`;
    });
  },
};

export const keyUnusable: Lint = {
  name: "key-unusable",
  severity: "error",
  reason:
    "None of the keys in the certificate can make a signature that is accepted: made for encrypting, of an algorithm that is not taken, or made in the future. A warning where another key of the requirement can still sign.",
  fix: "Name a key that can sign; `signet keys show FILE` says what each can do.",
  *check(context) {
    yield* withTrouble(context, "unusable", ({ assessment }) => {
      const [primary] = assessment.keys;
      return `cannot sign: ${primary === undefined ? "it has no key" : `${primary.algorithm}, ${primary.explanation}`}`;
    });
  },
};

export const keyWeak: Lint = {
  name: "key-weak",
  severity: "warning",
  reason: "RSA keys below 2048 bits have not been thought safe for signatures since 2014 (NIST SP 800-131A).",
  fix: "Ask its owner for a new key.",
  *check(context) {
    for (const placed of certificatesOf(context)) {
      const weak = placed.assessment.keys.find((key) => key.status === "usable" && isWeak(key));
      if (weak === undefined) continue;
      yield atCertificate(placed, `${nameOf(placed.certificate)} signs with ${weak.algorithm}`);
    }
  },
};

function isWeak({ algorithm }: KeyAssessment): boolean {
  const bits = /^RSA-([0-9]+)$/.exec(algorithm)?.[1];
  return bits !== undefined && Number(bits) < MIN_RSA_BITS;
}
