/** Secret keys in files: finding the key that signs, unlocking it, signing with it. */
import type { Engine } from "../bytes/engine.ts";
import { FormatError, StoreError } from "../errors.ts";
import { readArmorBlocks } from "../formats/openpgp/armor.ts";
import { assessCertificate } from "../keys/assessment.ts";
import type { Certificate } from "../keys/certificate.ts";
import { parseKeyring } from "../keys/keyring.ts";
import type { Signer } from "../keys/signer.ts";
import { describeCertificate, selectCertificate } from "./key-selector.ts";
import { type OpenPgpLibrary, type SecretPacket, libraryConfig, loadOpenPgp, signMessage } from "./openpgp-library.ts";

/** Bytes: the largest secret key file read. An RSA-4096 key with many signatures on it has some dozen kilobytes. */
export const MAX_SECRET_KEY_BYTES: number = 1024 * 1024;

export interface SecretKeyOptions {
  readonly engine: Engine;
  /** Milliseconds since 1970 UTC: when the key must be able to sign. */
  readonly now: number;
  /** As it is, without a line end. Not looked at for a key that is not protected. */
  readonly passphrase?: string;
  /** Which key of several: a fingerprint, a key id, or a part of a user id. Default: the only one. */
  readonly selector?: string;
}

/**
 * Opens a secret key file for signing. It may be binary or hold one armored block, and may hold several keys if `selector` picks one. The signing key is chosen as gpg
 * chooses it: the newest signing subkey that is valid at `now`, else the primary key if it may sign; here only among those whose secret part is in the file.
 *
 * The passphrase is neither kept nor repeated in messages. openpgp.js is loaded by the first call.
 *
 * @throws FormatError `secret-key-unusable`, `input-too-large`; UsageError `key-ambiguous`; StoreError `passphrase-required`, `passphrase-wrong`
 */
export async function openSecretKey(bytes: Uint8Array, options: SecretKeyOptions): Promise<Signer> {
  const binary = readKeyBlock(bytes);
  const library = await loadOpenPgp();
  const secrets = await readSecretPackets(library, binary);
  const { certificates, warnings } = parseKeyring(binary, options.engine);
  const certificate = selectCertificate(
    certificates.filter((one) => [one.primary, ...one.subkeys].some((key) => secrets.has(key.fingerprint))),
    options.selector,
    "the key file",
  );
  if (certificate === undefined) throw noSuchKey(certificates, warnings, options.selector);
  const secret = chooseSecret(certificate, secrets, options.now);
  await unlock(secret, options.passphrase, certificate);
  return {
    label: certificate.userIds[0] ?? certificate.fingerprint,
    fingerprint: certificate.fingerprint,
    publicKey: certificate.raw,
    sign: async (content, now) => {
      try {
        return await signMessage(library, secret, content, now);
      } catch (cause) {
        throw unusable(`openpgp.js cannot sign with this key: ${(cause as Error).message}`, { cause, hint: useGpg });
      }
    },
  };
}

const useGpg = "import it into gpg and name it there by its fingerprint";

/** The packets of the file, without armor. */
function readKeyBlock(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_SECRET_KEY_BYTES) {
    throw new FormatError("input-too-large", `key file: ${bytes.length} bytes, the limit is ${MAX_SECRET_KEY_BYTES}`);
  }
  if ((bytes[0] ?? 0) >= 0x80) return bytes;
  const blocks = readArmorBlocks(bytes);
  const [block, second] = blocks.filter(({ type }) => type === "PRIVATE KEY BLOCK");
  if (block === undefined) {
    const hasPublic = blocks.some(({ type }) => type === "PUBLIC KEY BLOCK");
    throw unusable(hasPublic ? "the key file holds only a public key" : "the key file holds no OpenPGP key block");
  }
  if (second !== undefined) throw unusable("the key file holds several armored blocks; put one into a file of its own");
  if (block.bytes === undefined) throw unusable(`the armored block of the key file cannot be read: ${block.problem}`);
  return block.bytes;
}

/** Secret keys and subkeys by fingerprint, without those whose secret part is kept elsewhere or in a form the library does not know. */
async function readSecretPackets(library: OpenPgpLibrary, binary: Uint8Array): Promise<Map<string, SecretPacket>> {
  const secrets = new Map<string, SecretPacket>();
  let keys: Awaited<ReturnType<OpenPgpLibrary["readKeys"]>>;
  try {
    keys = await library.readKeys({ binaryKeys: binary, config: libraryConfig(library) });
  } catch (cause) {
    throw unusable(`the key file cannot be read: ${(cause as Error).message}`, { cause });
  }
  for (const key of keys) {
    if (!key.isPrivate()) continue;
    for (const { keyPacket } of key.getKeys()) {
      const packet = keyPacket as SecretPacket;
      if (!packet.isMissingSecretKeyMaterial()) secrets.set(packet.getFingerprint().toUpperCase(), packet);
    }
  }
  return secrets;
}

function noSuchKey(
  certificates: readonly Certificate[],
  warnings: readonly string[],
  selector: string | undefined,
): FormatError {
  const there = certificates.map(describeCertificate).join(", ");
  const detail = there === "" ? warnings.slice(0, 3).join("; ") : `it holds ${there}`;
  const what =
    selector === undefined
      ? "the key file holds no secret key, or only such whose secret part is kept elsewhere"
      : `the key file holds no secret key for ${JSON.stringify(selector.slice(0, 100))}`;
  return unusable(detail === "" ? what : `${what}; ${detail}`);
}

/** The newest subkey that can sign now, else the primary key; or an error that says of each key why it cannot. */
function chooseSecret(certificate: Certificate, secrets: ReadonlyMap<string, SecretPacket>, now: number): SecretPacket {
  const { keys } = assessCertificate(certificate, now);
  const usable = keys
    .filter(({ status, fingerprint }) => status === "usable" && secrets.has(fingerprint))
    .toSorted((a, b) => Number(a.isPrimary) - Number(b.isPrimary) || b.created - a.created);
  const [best] = usable;
  if (best !== undefined) {
    const secret = secrets.get(best.fingerprint)!;
    const { curve = "" } = secret.getAlgorithmInfo();
    // openpgp.js needs a further module for them, which it does not bring.
    if (!curve.startsWith("brainpool")) return secret;
    throw unusable(`${describeCertificate(certificate)} uses ${curve}, with which openpgp.js cannot sign`, {
      hint: useGpg,
    });
  }
  const problems = keys.map(({ fingerprint, isPrimary, status, explanation }) => {
    const reason = status === "usable" ? "its secret part is not in the file" : explanation;
    return `${isPrimary ? "primary key" : "subkey"} ${fingerprint}: ${reason}`;
  });
  throw unusable(`${describeCertificate(certificate)} has no key that can sign now: ${problems.join("; ")}`);
}

async function unlock(secret: SecretPacket, passphrase: string | undefined, certificate: Certificate): Promise<void> {
  if (secret.isDecrypted()) return;
  const name = describeCertificate(certificate);
  if (passphrase === undefined || passphrase === "") {
    throw new StoreError("passphrase-required", `${name} is protected by a passphrase`, {
      hint: "give it with --passphrase-file FILE",
    });
  }
  if (/[\r\n]/.test(passphrase)) {
    throw new StoreError("passphrase-wrong", "the passphrase must not contain a line break", {
      hint: "of a passphrase file only the first line counts",
    });
  }
  try {
    await secret.decrypt(passphrase);
  } catch (cause) {
    // The library's error is left out on purpose: nothing that saw the passphrase may reach a log.
    const problem = (cause as Error).message;
    if (problem.includes("passphrase")) {
      throw new StoreError("passphrase-wrong", `${name} cannot be unlocked with this passphrase`);
    }
    throw unusable(`${name} cannot be unlocked: ${problem}`, {
      hint: "export it again with a current gpg, which protects it in a form of today",
    });
  }
}

function unusable(problem: string, more: { readonly cause?: unknown; readonly hint?: string } = {}): FormatError {
  return new FormatError("secret-key-unusable", problem, more);
}
