/** Keys that live in gpg: in its keyring, its agent, or on a card. */
import { FormatError, MAX_KEYRING_BYTES, MAX_SIGNATURE_BYTES, StoreError, UsageError } from "@signet/core";
import type { Signer } from "@signet/core";
import { type GpgOptions, type GpgResult, runGpg } from "./run-gpg.ts";

export interface GpgSignerOptions extends GpgOptions {
  /** Without a line end. Default: gpg's agent knows it, or asks for it. */
  readonly passphrase?: string;
}

/** A key of gpg's keyring. */
export interface GpgKey {
  /** Full fingerprint of the primary key, upper-case hex. */
  readonly fingerprint: string;
  /** Untrusted texts. */
  readonly userIds: readonly string[];
  /** True when gpg can sign with the key or one of its subkeys, itself or by a card. */
  readonly hasSecretKey: boolean;
}

/**
 * Opens a secret key of gpg's keyring for signing. The signing key is gpg's choice: the newest valid signing subkey, else the primary key; `FINGERPRINT!` forces one.
 *
 * The messages that gpg makes are not trusted here: `createSignature` verifies each before anybody gets it.
 *
 * @param selector whatever gpg takes: a fingerprint, a key id, an e-mail address, a part of a user id
 * @throws FormatError `secret-key-unusable` when there is none; UsageError `key-ambiguous` when there are several; StoreError `gpg-missing`,
 *   `gpg-failed`, `passphrase-wrong`. Signing throws the same ones, and `passphrase-required`.
 */
export async function openGpgKey(selector: string, options: GpgSignerOptions = {}): Promise<Signer> {
  const { passphrase, ...gpg } = options;
  if (passphrase !== undefined && /[\r\n]/.test(passphrase)) {
    throw new StoreError("passphrase-wrong", "the passphrase must not contain a line break", {
      hint: "of a passphrase file only the first line counts",
    });
  }
  const { fingerprint, userIds } = await findSecretKey(selector, gpg);
  const publicKey = await exportGpgKey(fingerprint, gpg);
  const localUser = /^(?:0x)?[0-9A-Fa-f ]+!$/.test(selector) ? selector : fingerprint;
  return {
    label: userIds[0] ?? fingerprint,
    fingerprint,
    publicKey,
    sign: async (content) => {
      const result = await runGpg(
        {
          // gpg.conf may ask for armor or text mode; a signature for storing has neither.
          args: ["--no-armor", "--no-textmode", "--local-user", localUser, "--output", "-", "--sign"],
          input: content,
          maxOutputBytes: MAX_SIGNATURE_BYTES,
          ...(passphrase === undefined ? {} : { passphrase }),
        },
        gpg,
      );
      checkSigned(result, fingerprint, passphrase !== undefined);
      return result.output;
    },
  };
}

async function findSecretKey(selector: string, options: GpgOptions): Promise<GpgKey> {
  checkSelector(selector);
  const result = await runGpg(
    { args: [...listing, "--list-secret-keys", "--", selector], maxOutputBytes: MAX_KEYRING_BYTES },
    options,
  );
  // gpg ends with 2 when nothing fits; no keys and any other ending is a failure.
  const keys = result.exitCode === 0 ? parseKeyListing(result.output) : [];
  const [key] = keys;
  const quoted = JSON.stringify(selector.slice(0, 100));
  if (key === undefined) {
    if (result.exitCode !== 0 && !isNotFound(result)) throw failed("gpg cannot list its secret keys", result);
    throw new FormatError("secret-key-unusable", `gpg has no secret key for ${quoted}`, {
      hint: "gpg --list-secret-keys shows those it has",
    });
  }
  if (keys.length > 1) {
    const listed = keys.slice(0, 10).map(describe).join(", ");
    throw new UsageError("key-ambiguous", `gpg has ${keys.length} secret keys for ${quoted}: ${listed}`, {
      hint: "name the key by its full fingerprint",
    });
  }
  return key;
}

/** Characters; user ids and fingerprints are shorter. */
const MAX_SELECTOR_LENGTH = 1_000;

/** To gpg an empty name means every key; control characters and endless names mean none. */
function checkSelector(selector: string): void {
  if (selector !== "" && selector.length <= MAX_SELECTOR_LENGTH && !/\p{Cc}/u.test(selector)) return;
  throw new FormatError("secret-key-unusable", `${JSON.stringify(selector.slice(0, 100))} names no key of gpg`, {
    hint: "name it by its fingerprint",
  });
}

/**
 * The public keys of gpg's keyring, with the knowledge of which ones it can sign with.
 * @throws StoreError `gpg-missing`, `gpg-failed`
 */
export async function listGpgKeys(options: GpgOptions = {}): Promise<readonly GpgKey[]> {
  // One after the other: two runs of gpg in a fresh home can meet while one of them makes the keyring.
  const listed = await listKeys("--list-keys", options);
  const secret = await listKeys("--list-secret-keys", options);
  const signing = new Set(secret.filter((key) => key.hasSecretKey).map((key) => key.fingerprint));
  return listed.map((key) => ({ ...key, hasSecretKey: signing.has(key.fingerprint) }));
}

async function listKeys(command: string, options: GpgOptions): Promise<readonly GpgKey[]> {
  const result = await runGpg({ args: [...listing, command], maxOutputBytes: MAX_KEYRING_BYTES }, options);
  if (result.exitCode !== 0 && !isNotFound(result)) throw failed("gpg cannot list its keys", result);
  return parseKeyListing(result.output);
}

/**
 * The public half of one key of gpg's keyring, binary, with its own signatures only.
 * @throws StoreError `gpg-missing`, `gpg-failed`, also when there is no such key
 */
export async function exportGpgKey(selector: string, options: GpgOptions = {}): Promise<Uint8Array> {
  checkSelector(selector);
  const exported = await exportKeys(["--", selector], options);
  if (exported.length > 0) return exported;
  throw new StoreError("gpg-failed", `gpg has no public key for ${JSON.stringify(selector.slice(0, 100))}`, {
    side: "local",
    hint: "gpg --list-keys shows those it has",
  });
}

/**
 * All public keys of gpg's keyring, binary; empty when it has none.
 * @throws StoreError `gpg-missing`, `gpg-failed`
 */
export async function exportGpgKeyring(options: GpgOptions = {}): Promise<Uint8Array> {
  return await exportKeys([], options);
}

async function exportKeys(which: readonly string[], options: GpgOptions): Promise<Uint8Array> {
  const args = ["--no-armor", "--export-options", "export-minimal", "--output", "-", "--export", ...which];
  const result = await runGpg({ args, maxOutputBytes: MAX_KEYRING_BYTES }, options);
  if (result.exitCode === 0) return result.output;
  if (isNotFound(result)) return new Uint8Array();
  throw failed("gpg cannot export its keys", result);
}

const listing: readonly string[] = ["--with-colons", "--fixed-list-mode"];

/** Machine-readable listing: `pub` or `sec` begins a key, the first `fpr` after it is its fingerprint, `uid` its user ids. GnuPG's doc/DETAILS. */
function parseKeyListing(bytes: Uint8Array): readonly GpgKey[] {
  const keys: { fingerprint: string; userIds: string[]; hasSecretKey: boolean }[] = [];
  let needsFingerprint = false;
  for (const line of Buffer.from(bytes).toString("utf8").split("\n")) {
    const fields = line.split(":");
    const [type] = fields;
    const key = keys.at(-1);
    if (type === "pub" || type === "sec") {
      if (needsFingerprint) throw unreadableListing();
      keys.push({ fingerprint: "", userIds: [], hasSecretKey: hasSecret(fields) });
      needsFingerprint = true;
    } else if (type === "fpr" && needsFingerprint) {
      const fingerprint = fields[9] ?? "";
      if (!/^(?:[0-9A-F]{40}|[0-9A-F]{64})$/.test(fingerprint)) throw unreadableListing();
      key!.fingerprint = fingerprint;
      needsFingerprint = false;
    } else if (type === "uid" && key !== undefined) {
      key.userIds.push(unescapeField(fields[9] ?? ""));
    } else if (type === "ssb" && key !== undefined && hasSecret(fields)) {
      key.hasSecretKey = true;
    }
  }
  if (needsFingerprint) throw unreadableListing();
  return keys;
}

/** Field 15: `#` for a stub without secret, `+` for a secret key, else the number of the card that has it. */
function hasSecret(fields: readonly string[]): boolean {
  const token = fields[14] ?? "";
  return token !== "" && token !== "#";
}

/** Colons, control characters and backslashes stand as `\xNN`. */
function unescapeField(field: string): string {
  return field.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function unreadableListing(): StoreError {
  return new StoreError("gpg-failed", "gpg listed a key without its fingerprint", { side: "local" });
}

/** The numbers of libgpg-error that say why signing failed; the upper half of the word names the part of gpg that said it. */
const gpgErrors = {
  noPublicKey: 9,
  badPassphrase: 11,
  noSecretKey: 17,
  notFound: 27,
  unusableSecretKey: 54,
  noPinentry: 85,
  canceled: 99,
} as const;

/** What a pinentry without a terminal ends with: the system's error ENOTTY, marked as one. */
const NO_TERMINAL = 0x8066;

function errorNumber(result: GpgResult): number | undefined {
  const last = result.status.findLast(({ keyword }) => keyword === "FAILURE" || keyword === "ERROR");
  const code = Number(last?.values[1]);
  return Number.isInteger(code) ? code & 0xffff : undefined;
}

function isNotFound(result: GpgResult): boolean {
  const code = errorNumber(result);
  return code === gpgErrors.noPublicKey || code === gpgErrors.noSecretKey || code === gpgErrors.notFound;
}

/** Exactly one signature, inline and binary, and nothing that went wrong. */
function checkSigned(result: GpgResult, fingerprint: string, hasPassphrase: boolean): void {
  const created = result.status.filter(({ keyword }) => keyword === "SIG_CREATED");
  if (result.exitCode === 0) {
    const [only] = created;
    const [type, , , signatureClass] = only?.values ?? [];
    if (created.length === 1 && type === "S" && signatureClass === "00") return;
    throw failed("gpg did not make one inline binary signature", result);
  }
  const code = errorNumber(result);
  if (code === gpgErrors.badPassphrase && hasPassphrase) {
    throw new StoreError("passphrase-wrong", `gpg cannot unlock ${fingerprint} with this passphrase`);
  }
  if (
    code === gpgErrors.noPinentry ||
    code === gpgErrors.canceled ||
    code === NO_TERMINAL ||
    code === gpgErrors.badPassphrase
  ) {
    throw new StoreError("passphrase-required", `gpg needs the passphrase of ${fingerprint}: ${result.message}`, {
      hint: "give it with --passphrase-file FILE",
    });
  }
  if (code === gpgErrors.unusableSecretKey || code === gpgErrors.noSecretKey) {
    throw new FormatError(
      "secret-key-unusable",
      `gpg has no key of ${fingerprint} that can sign now: ${result.message}`,
      {
        hint: "it may have expired, be revoked, or not be for signing: gpg --list-secret-keys shows it",
      },
    );
  }
  throw failed(`gpg cannot sign with ${fingerprint}`, result);
}

function failed(what: string, result: GpgResult): StoreError {
  const why = result.message === "" ? `exit status ${result.exitCode}` : result.message;
  return new StoreError("gpg-failed", `${what}: ${why}`, { side: "local" });
}

function describe({ fingerprint, userIds }: GpgKey): string {
  return userIds[0] === undefined ? fingerprint : `${fingerprint} (${JSON.stringify(userIds[0].slice(0, 100))})`;
}
