import { readFileSync, writeFileSync } from "node:fs";
import { makeTempDir } from "./temp-dir.ts";
import { findTool, run, runChecked } from "./tools.ts";
import type { RunOptions, RunResult } from "./tools.ts";

/** What `gpg --quick-generate-key` takes; Debian 12's gpg 2.2 knows these. */
export type GpgAlgorithm =
  | "rsa1024"
  | "rsa2048"
  | "rsa3072"
  | "rsa4096"
  | "dsa2048"
  | "ed25519"
  | "nistp256"
  | "nistp384"
  | "nistp521"
  | "brainpoolP256r1"
  | "brainpoolP384r1"
  | "brainpoolP512r1";

export interface GpgKeyOptions {
  /** Default `Signet Test <test@example.com>`. */
  readonly userId?: string;
  /** Default ed25519, the quickest to make. */
  readonly algorithm?: GpgAlgorithm;
  /** Default none. */
  readonly passphrase?: string;
  /** gpg's words: `never` (default), `1d`, `2y`, `20300101T000000`. */
  readonly expires?: string;
  /** Further signing subkeys, made one by one. */
  readonly signingSubkeys?: readonly GpgAlgorithm[];
  /** Makes the primary for certifying only, so that signatures come from a subkey. */
  readonly certifyOnly?: boolean;
  /** gpg's clock while the key is made, `20200101T000000`; default the real time. */
  readonly fakedTime?: string;
}

export interface GpgKey {
  /** Of the primary, upper-case hex. */
  readonly fingerprint: string;
  readonly subkeyFingerprints: readonly string[];
  readonly userId: string;
  readonly passphrase: string;
}

/** A GNUPGHOME of its own. Disposing it stops its agent and removes it. */
export interface GpgHome extends AsyncDisposable {
  readonly path: string;
  /** For running skopeo, podman or Signet against this keyring. */
  readonly env: { readonly GNUPGHOME: string };
  generateKey(options?: GpgKeyOptions): Promise<GpgKey>;
  /** Binary, or armored with `armor`. Without a key, the whole keyring. */
  exportPublic(key?: GpgKey | string, options?: { readonly armor?: boolean }): Promise<Uint8Array>;
  /** Secret key material, protected by the key's passphrase as gpg stores it. */
  exportSecret(key: GpgKey, options?: { readonly armor?: boolean }): Promise<Uint8Array>;
  importKeys(bytes: Uint8Array): Promise<void>;
  /** Publishes the revocation certificate that gpg made with the key. */
  revokeKey(key: GpgKey): Promise<void>;
  /** `gpg --sign`: an opaque signed message over `content`. More gpg options go before the input, such as `--compress-algo none`. */
  sign(key: GpgKey, content: Uint8Array | string, more?: readonly string[]): Promise<Uint8Array>;
  /** gpg in this home, in batch mode, whatever its exit status. */
  gpg(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  dispose(): Promise<void>;
}

/** @throws Error when gpg is not installed: call `requireTool(t, "gpg")` first */
export async function makeGpgHome(): Promise<GpgHome> {
  const gpgPath = findTool("gpg");
  if (gpgPath === undefined) throw new Error("gpg is missing; install it with: apt-get install gnupg");
  const dir = makeTempDir("signet-gpg-");
  // The fewest iterations OpenPGP has: else the agent measures the machine and each use of a passphrase takes a tenth of a second.
  writeFileSync(dir.join("gpg-agent.conf"), "s2k-count 1024\n");
  const env = { GNUPGHOME: dir.path };
  const batch = ["--batch", "--no-tty", "--yes", "--quiet", "--no-permission-warning"];

  const gpg = (args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    run(gpgPath, [...batch, ...args], { ...options, env: { ...env, ...options.env } });
  const gpgChecked = (args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    runChecked(gpgPath, [...batch, ...args], { ...options, env: { ...env, ...options.env } });
  /** Takes the passphrase from the arguments, which only throw-away keys may do, and never asks a person. */
  const withPassphrase = (passphrase: string): readonly string[] => [
    "--pinentry-mode",
    "loopback",
    "--passphrase",
    passphrase,
  ];

  const dispose = async (): Promise<void> => {
    const gpgconf = findTool("gpgconf");
    if (gpgconf !== undefined) await run(gpgconf, ["--homedir", dir.path, "--kill", "all"], { env });
    dir.dispose();
  };

  return {
    path: dir.path,
    env,
    gpg,
    dispose,
    [Symbol.asyncDispose]: dispose,

    async generateKey(options = {}) {
      const userId = options.userId ?? "Signet Test <test@example.com>";
      const passphrase = options.passphrase ?? "";
      const expires = options.expires ?? "never";
      const time = options.fakedTime === undefined ? [] : ["--faked-system-time", options.fakedTime];
      const unlocked = [...time, ...withPassphrase(passphrase)];
      const algorithm = options.algorithm ?? "ed25519";
      const usage = options.certifyOnly === true ? "cert" : "sign";
      const made = await gpgChecked([
        ...unlocked,
        "--status-fd",
        "1",
        "--quick-generate-key",
        userId,
        algorithm,
        usage,
        expires,
      ]);
      const fingerprint = /KEY_CREATED \S+ ([0-9A-F]{40})/.exec(made.stdout)?.[1];
      if (fingerprint === undefined) throw new Error(`gpg did not name the key it made: ${made.stdout}${made.stderr}`);
      for (const subkey of options.signingSubkeys ?? [])
        await gpgChecked([...unlocked, "--quick-add-key", fingerprint, signingForm(subkey), "sign", expires]);
      const subkeyFingerprints = await listSubkeys(gpgChecked, fingerprint);
      return { fingerprint, subkeyFingerprints, userId, passphrase };
    },

    async exportPublic(key, options = {}) {
      const which = key === undefined ? [] : [typeof key === "string" ? key : key.fingerprint];
      return (await gpgChecked([...armorOption(options), "--export", ...which])).stdoutBytes;
    },

    async exportSecret(key, options = {}) {
      const args = [...withPassphrase(key.passphrase), ...armorOption(options)];
      return (await gpgChecked([...args, "--export-secret-keys", key.fingerprint])).stdoutBytes;
    },

    async importKeys(bytes) {
      await gpgChecked(["--import"], { input: bytes });
    },

    async revokeKey(key) {
      const certificate = readFileSync(dir.join("openpgp-revocs.d", `${key.fingerprint}.rev`), "utf8");
      // gpg puts a colon before the armor so that nobody imports the file by accident.
      await gpgChecked(["--import"], { input: certificate.replace(":-----BEGIN", "-----BEGIN") });
    },

    async sign(key, content, more = []) {
      const args = [...withPassphrase(key.passphrase), "--local-user", key.fingerprint, ...more, "--sign"];
      return (await gpgChecked(args, { input: content })).stdoutBytes;
    },
  };
}

/** A bare NIST or Brainpool curve means ECDH when gpg adds a subkey. */
function signingForm(algorithm: GpgAlgorithm): string {
  return /^(nist|brainpool)/.test(algorithm) ? `${algorithm}/sign` : algorithm;
}

function armorOption(options: { readonly armor?: boolean }): readonly string[] {
  return options.armor === true ? ["--armor"] : [];
}

async function listSubkeys(
  gpg: (args: readonly string[]) => Promise<RunResult>,
  fingerprint: string,
): Promise<readonly string[]> {
  const listing = await gpg(["--with-colons", "--list-keys", fingerprint]);
  const fingerprints = [...listing.stdout.matchAll(/^fpr:{9}([0-9A-F]{40}):/gm)].map((match) => match[1]!);
  return fingerprints.slice(1);
}
