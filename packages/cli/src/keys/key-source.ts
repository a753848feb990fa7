import { existsSync } from "node:fs";
import { type Certificate, MAX_KEYRING_BYTES, concatBytes, makeKeyring, parseKeyring } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { exportGpgKey, exportGpgKeyring } from "@signet/images";
import { readInput } from "../terminal/input.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** Certificates with where they were read. */
export interface KeySource {
  /** A path, or `gpg keyring`. */
  readonly label: string;
  /** Each fingerprint once, in the order of the source. */
  readonly certificates: readonly Certificate[];
  /** What was left out and why, one line each. Untrusted texts. */
  readonly warnings: readonly string[];
}

/** Reads a file of OpenPGP keys, binary or armored; `-` is standard input. Secret keys are read for their public half. */
export async function readKeyFile(path: string): Promise<KeySource> {
  const bytes = await readInput(path, MAX_KEYRING_BYTES, "key file");
  return readKeys(path, bytes);
}

/**
 * Reads keys of the user's gpg keyring.
 * @param keys whatever gpg takes for a key; none means the whole keyring. Those that it does not have are passed over unless it has none of them
 * @throws StoreError `gpg-missing`, `gpg-failed`
 */
export async function readGpgKeyring(keys: readonly string[] = []): Promise<KeySource> {
  if (keys.length === 0) return readKeys(GPG_LABEL, await exportGpgKeyring());
  const exported = await Promise.allSettled(keys.map((key) => exportGpgKey(key)));
  const found = exported.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const [first] = exported;
  if (found.length === 0 && first?.status === "rejected") throw first.reason as Error;
  return readKeys(GPG_LABEL, concatBytes(found));
}

const GPG_LABEL = "gpg keyring";

/**
 * The public keys that `verify --key` names: a fingerprint, key id or e-mail address means a key of the gpg keyring, anything else a file.
 * @throws as {@link readInput} and {@link readGpgKeyring}
 */
export async function readPublicKeys(key: string): Promise<Uint8Array> {
  const isGpgKey = key.includes("@") || /^(?:0x)?(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/.test(key);
  if (isGpgKey && !existsSync(key)) return exportGpgKey(key);
  return readInput(key, MAX_KEYRING_BYTES, "public key file");
}

/** Says on standard error which keys were left out. */
export function warnOfSkippedKeys(sources: readonly KeySource[], terminal: Terminal): void {
  for (const { label, warnings } of sources) for (const warning of warnings) terminal.warn(`${label}: ${warning}`);
}

function readKeys(label: string, bytes: Uint8Array): KeySource {
  const { certificates, warnings } = parseKeyring(bytes, nodeEngine);
  return { label, certificates: makeKeyring(certificates).certificates, warnings };
}
