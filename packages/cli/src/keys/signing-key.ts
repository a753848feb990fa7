import { existsSync } from "node:fs";
import { MAX_SECRET_KEY_BYTES, SignetError, type Signer, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { openGpgKey } from "@signet/images";
import type { Runtime } from "../runtime.ts";
import { readInput } from "../terminal/input.ts";

/**
 * Opens the key to sign with. What names an existing file, or is written as a path, is a secret key file; anything else is a key of the gpg keyring.
 *
 * A protected key without a passphrase is asked for on the terminal, if there is one; for a gpg key that is the agent's matter.
 * @param passphrase see `readPassphrase`
 * @throws FormatError and UsageError as `openSecretKey`; StoreError as `openGpgKey`
 */
export async function openSigningKey(key: string, passphrase: string | undefined, runtime: Runtime): Promise<Signer> {
  const given = passphrase === undefined ? {} : { passphrase };
  if (!isFile(key)) return openGpgKey(key, { ...given });
  const bytes = await readInput(key, MAX_SECRET_KEY_BYTES, "key file");
  const options = { engine: nodeEngine, now: runtime.now() };
  try {
    return await openSecretKey(bytes, { ...options, ...given });
  } catch (error) {
    const mayAsk = passphrase === undefined && process.stdin.isTTY && process.stderr.isTTY;
    if (!mayAsk || !(error instanceof SignetError) || error.code !== "passphrase-required") throw error;
  }
  const answer = await runtime.askSecret(`Passphrase for ${key}`);
  return openSecretKey(bytes, { ...options, passphrase: answer });
}

/** Fingerprints and e-mail addresses hold no slash; a path that does not exist must not end up as a gpg search. */
function isFile(key: string): boolean {
  return key.includes("/") || key === "-" || existsSync(key);
}
