/** The signing options of `copy`. */
import { type CopyOptions, type SignManifest, isEqualSignature } from "@signet/images";
import { createSignature, makeKeyring, parseKeyring } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Invocation } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import { readPassphrase } from "../keys/passphrase.ts";
import { openSigningKey } from "../keys/signing-key.ts";
import type { Runtime } from "../runtime.ts";
import { signByOption, signIdentityOption, signPassphraseFileOption } from "./copy-signing-options.ts";

/**
 * Opens the keys that the copy is to be signed by. Each makes a signature of its own, in the order given, unless the manifest has one of that key for that identity.
 * @throws UsageError `command-line-malformed`; what opening a key throws
 */
export async function readSigning(
  invocation: Invocation,
  runtime: Runtime,
): Promise<Pick<CopyOptions, "sign" | "signIdentity">> {
  const keys = [...new Set(invocation.get(signByOption))];
  const identity = invocation.get(signIdentityOption);
  const passphraseFile = invocation.get(signPassphraseFileOption);
  if (keys.length === 0) {
    for (const option of [signIdentityOption, signPassphraseFileOption])
      if (invocation.get(option) !== undefined) throw usage(`--${option.name} needs --sign-by`, "copy");
    return {};
  }
  if (keys.length > 1 && passphraseFile !== undefined) {
    throw usage(
      "--sign-passphrase-file holds the passphrase of one key, and --sign-by names several",
      "copy",
      "sign with one key a run, or use keys of the gpg agent",
    );
  }
  const reference = identity === undefined ? undefined : parseReferenceArgument(identity);
  if (reference !== undefined && reference.tag === undefined && reference.digest === undefined)
    throw usage("--sign-identity needs a tag or a digest", "copy", `such as ${identity}:latest`);
  const passphrase = await readPassphrase(invocation, runtime.env, signPassphraseFileOption);
  const sign: SignManifest[] = [];
  for (const key of keys) sign.push(await openSignManifest(key, passphrase, runtime));
  return { sign, ...(identity === undefined ? {} : { signIdentity: identity }) };
}

async function openSignManifest(key: string, passphrase: string | undefined, runtime: Runtime): Promise<SignManifest> {
  const signer = await openSigningKey(key, passphrase, runtime);
  const now = runtime.now();
  const keyring = makeKeyring(parseKeyring(signer.publicKey, nodeEngine).certificates);
  return async (manifestBytes, digest, identity, present) => {
    if (present.some((blob) => isEqualSignature(blob, digest, { identity, keyring, now }))) return undefined;
    return (await createSignature(manifestBytes, identity, signer, { engine: nodeEngine, now })).bytes;
  };
}
