import type { OpenPgpSwitches } from "@signet/core";
import type { FlagOption, Invocation } from "./command.ts";

/** One flag for each relaxation of the OpenPGP rules. All are off by default. */
const switchOptions: { readonly [Name in keyof OpenPgpSwitches]-?: FlagOption } = {
  allowSha1Signatures: flag("allow-sha1", "Accept signatures made with SHA-1, which can be forged"),
  allowRipemd160Signatures: flag("allow-ripemd160", "Accept signatures made with RIPEMD-160"),
  allowDsaSignatures: flag("allow-dsa", "Accept signatures made by DSA keys"),
  acceptKeyExpiredSinceSigning: flag("accept-expired-key", "Accept a key that expired after it signed"),
  acceptSubkeyExpiredSinceSigning: flag("accept-expired-subkey", "Accept a subkey that expired after it signed"),
  acceptSoftRevocationAfterSigning: flag(
    "accept-superseded-key",
    "Accept a key that was revoked as superseded or retired after it signed",
  ),
  acceptSignaturesFromTheFuture: flag(
    "accept-future-signature",
    "Accept a signature whose time lies ahead of the clock",
  ),
};

function flag(name: string, summary: string): FlagOption {
  return { kind: "flag", name, summary };
}

/** In the order of the help. */
export const openPgpOptions: readonly FlagOption[] = Object.values(switchOptions);

/** The relaxations that were asked for. */
export function readSwitches(invocation: Invocation): OpenPgpSwitches {
  const chosen = Object.entries(switchOptions).filter(([, option]) => invocation.get(option));
  return Object.fromEntries(chosen.map(([name]) => [name, true]));
}
