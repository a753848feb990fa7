/** New signing keys, in the form that GnuPG 2.2 and everything later reads. */
import type { Engine } from "../bytes/engine.ts";
import { InternalError, UsageError } from "../errors.ts";
import { assessCertificate } from "../keys/assessment.ts";
import { parseKeyring } from "../keys/keyring.ts";
import { type OpenPgpLibrary, libraryConfig, loadOpenPgp } from "./openpgp-library.ts";

/** Kinds of keys that can be made: version 4 keys of algorithms that every verifier of the last ten years knows. `ed25519` is the legacy form, algorithm 22. */
export type KeyAlgorithm = "rsa2048" | "rsa3072" | "rsa4096" | "ed25519" | "p256";

/** Every {@link KeyAlgorithm}. */
export const keyAlgorithms: readonly KeyAlgorithm[] = ["rsa4096", "rsa3072", "rsa2048", "ed25519", "p256"];

/**
 * What is made unless something else is asked for. Vendors of the field sign with it, and every verifier takes it; builds of containers/image on Go's own
 * OpenPGP code know no Ed25519.
 */
export const DEFAULT_KEY_ALGORITHM: KeyAlgorithm = "rsa4096";

export interface KeyRequest {
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC: when the key is made. */
  readonly now: number;
  /** At least one; each is written as it stands, such as `Release Signing <release@example.com>`. The first is the primary one. */
  readonly userIds: readonly string[];
  /** Default {@link DEFAULT_KEY_ALGORITHM}. */
  readonly algorithm?: KeyAlgorithm;
  /** Seconds from `now`, a whole number above 0. Default: it never expires. */
  readonly expiresInSeconds?: number;
  /** Protects the secret key. Default: it is not protected, and whoever reads the file can sign. */
  readonly passphrase?: string;
}

/** A key pair and what belongs to it, armored. */
export interface GeneratedKey {
  /** Full fingerprint, upper-case hex. */
  readonly fingerprint: string;
  readonly secretKey: string;
  readonly publicKey: string;
  /** Publishing it withdraws the key. To be kept apart from the secret key, for the day when that is lost or stolen. */
  readonly revocationCertificate: string;
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt?: number;
}

/** Octets of UTF-8: openpgp.js reads no longer user ids, and gpg writes none longer than 2 KiB. */
const MAX_USER_ID_BYTES = 2_000;

/** Seconds: what the 32-bit field of a self-signature holds. */
const MAX_EXPIRY_SECONDS = 0xffff_ffff;

/**
 * Makes a signing key: one primary key that certifies and signs, no subkeys, nothing for encryption.
 * @throws UsageError `key-request-malformed`
 */
export async function generateKey(request: KeyRequest): Promise<GeneratedKey> {
  const { engine, now, userIds, algorithm = DEFAULT_KEY_ALGORITHM, expiresInSeconds, passphrase } = request;
  checkRequest(request);
  const library = await loadOpenPgp();
  const made = await library.generateKey({
    ...libraryForms[algorithm],
    // A user id given as a name alone is written as it stands.
    userIDs: userIds.map((name) => ({ name })),
    subkeys: [],
    date: new Date(now),
    format: "object",
    config: libraryConfig(library),
    ...(expiresInSeconds === undefined ? {} : { keyExpirationTime: expiresInSeconds }),
    ...(passphrase === undefined ? {} : { passphrase }),
  });
  const [certificate] = parseKeyring(made.publicKey.write(), engine).certificates;
  const assessed = certificate === undefined ? undefined : assessCertificate(certificate, now).keys[0];
  if (certificate === undefined || assessed?.status !== "usable") {
    throw new InternalError("a key that was just made cannot be used");
  }
  return {
    fingerprint: certificate.fingerprint,
    secretKey: made.privateKey.armor(libraryConfig(library)),
    publicKey: made.publicKey.armor(libraryConfig(library)),
    revocationCertificate: made.revocationCertificate,
    ...(assessed.expiresAt === undefined ? {} : { expiresAt: assessed.expiresAt }),
  };
}

type LibraryForm = Pick<Parameters<OpenPgpLibrary["generateKey"]>[0], "type" | "curve" | "rsaBits">;

const libraryForms: Readonly<Record<KeyAlgorithm, LibraryForm>> = {
  rsa2048: { type: "rsa", rsaBits: 2048 },
  rsa3072: { type: "rsa", rsaBits: 3072 },
  rsa4096: { type: "rsa", rsaBits: 4096 },
  ed25519: { type: "ecc", curve: "ed25519Legacy" },
  p256: { type: "ecc", curve: "nistP256" },
};

function checkRequest({ userIds, algorithm, expiresInSeconds, passphrase }: KeyRequest): void {
  if (userIds.length === 0) throw malformed("a key needs a user id", "such as `Release Signing <release@example.com>`");
  for (const userId of userIds) {
    const text = JSON.stringify(userId.slice(0, 100));
    if (userId.trim() === "") throw malformed("a user id is empty");
    if (new TextEncoder().encode(userId).length > MAX_USER_ID_BYTES) {
      throw malformed(`user id ${text}… is longer than ${MAX_USER_ID_BYTES} octets`);
    }
    if (/\p{Cc}/u.test(userId) || !userId.isWellFormed()) throw malformed(`user id ${text} holds control characters`);
  }
  if (algorithm !== undefined && !keyAlgorithms.includes(algorithm)) {
    throw malformed(
      `keys of algorithm ${JSON.stringify(algorithm)} are not made`,
      `known: ${keyAlgorithms.join(", ")}`,
    );
  }
  if (
    expiresInSeconds !== undefined &&
    !(Number.isInteger(expiresInSeconds) && expiresInSeconds > 0 && expiresInSeconds <= MAX_EXPIRY_SECONDS)
  ) {
    throw malformed(
      `an expiry of ${expiresInSeconds} seconds is not possible`,
      "leave it out for a key that never expires",
    );
  }
  if (passphrase !== undefined && (passphrase === "" || /[\r\n]/.test(passphrase))) {
    throw malformed("a passphrase must not be empty, nor contain a line break");
  }
}

function malformed(problem: string, hint?: string): UsageError {
  return new UsageError("key-request-malformed", problem, hint === undefined ? {} : { hint });
}
