import { equalBytes } from "../bytes/concat.ts";
import type { Engine } from "../bytes/engine.ts";
import { FormatError, SignetError } from "../errors.ts";
import { describeHash, findHash } from "../formats/openpgp/algorithms.ts";
import { type UntrustedMessage, parseMessage } from "../formats/openpgp/signed-message.ts";
import { signatureTypes } from "../formats/openpgp/signature.ts";
import { parseSignatureBlob } from "../formats/signature-blob/signature-blob.ts";
import { assessCertificate } from "../keys/assessment.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { verifySignature } from "../keys/signature-crypto.ts";
import type { Signer } from "../keys/signer.ts";

/**
 * Verifies a signature that a signer just made, as a stranger would: it is a message of the one accepted form, over exactly `payload`, with a strong hash, made by a key
 * of the signer's certificate that may sign now.
 *
 * The signer's clock is believed for the time of the signature: gpg may have waited long for a passphrase.
 *
 * @returns full fingerprint of the key that made it
 * @throws FormatError `signing-failed`
 */
export function checkNewSignature(
  bytes: Uint8Array,
  payload: Uint8Array,
  signer: Signer,
  { engine, now }: { readonly engine: Engine; readonly now: number },
): string {
  const { signature, literal } = readMessage(bytes, engine);
  if (signature.type !== signatureTypes.binary || !equalBytes(literal.content, payload)) {
    throw failed("it is not over the payload as it stands", "text mode must be off");
  }
  const hash = findHash(signature.hash);
  if (hash?.strength !== "good") {
    throw failed(`it uses ${describeHash(signature.hash)}`, "ask for SHA-256 or better: digest-algo in gpg.conf");
  }
  const keyring = makeKeyring(parseKeyring(signer.publicKey, engine).certificates);
  const candidates = keyring.find(signature.keyId!, signature.fingerprint);
  const maker = candidates.find(({ key }) => verifySignature(signature, key, [literal.content], engine) === "good");
  if (maker === undefined) throw failed(`it does not verify with the public key of ${signer.fingerprint}`);
  if (maker.certificate.fingerprint !== signer.fingerprint) {
    throw failed(`it is by ${maker.certificate.fingerprint} instead of ${signer.fingerprint}`);
  }
  const at = Math.max(now, signature.created! * 1000);
  const key = assessCertificate(maker.certificate, at).keys.find((one) => one.fingerprint === maker.key.fingerprint);
  if (key?.status !== "usable") {
    throw failed(
      `${maker.key.fingerprint} made it, and nobody would accept that: ${key?.explanation ?? "unknown key"}`,
    );
  }
  return maker.key.fingerprint;
}

/** The message by the gate that every stored signature passes: first octet, then grammar. */
function readMessage(bytes: Uint8Array, engine: Engine): UntrustedMessage {
  try {
    const blob = parseSignatureBlob(bytes);
    if (blob.format === "simple-signing" && blob.message.length === bytes.length) return parseMessage(bytes, engine);
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    throw failed(error.message);
  }
  throw failed("it would not be read as a simple-signing signature");
}

function failed(problem: string, hint?: string): FormatError {
  return new FormatError("signing-failed", `the signature that was made is thrown away: ${problem}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}
