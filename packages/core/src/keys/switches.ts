/**
 * What may be relaxed when OpenPGP signatures are judged. Every switch is off unless set: the strictest reading is the default, and each relaxation
 * is asked for by its own name.
 */
export interface OpenPgpSwitches {
  /** Signatures over messages may use SHA-1. Collisions have been made since 2017 and with chosen prefixes since 2020. */
  readonly allowSha1Signatures?: boolean;
  /** Signatures over messages may use RIPEMD-160, whose 160 bits are too few. */
  readonly allowRipemd160Signatures?: boolean;
  /** DSA keys may sign messages. FIPS 186-5 keeps DSA for old signatures only. */
  readonly allowDsaSignatures?: boolean;
  /** A primary key that has expired by now, and had not when it signed (or when its subkey did), is accepted. */
  readonly acceptKeyExpiredSinceSigning?: boolean;
  /** A signing subkey that has expired by now, and had not when it signed, is accepted. */
  readonly acceptSubkeyExpiredSinceSigning?: boolean;
  /**
   * A key or subkey that was revoked as superseded or retired, after it made the signature by that signature's own time, is accepted. Other revocations
   * never are: whoever holds a stolen key can write any time into a signature.
   */
  readonly acceptSoftRevocationAfterSigning?: boolean;
  /** A signature whose creation time lies ahead of the clock by more than {@link MAX_CLOCK_SKEW_MS} is accepted. */
  readonly acceptSignaturesFromTheFuture?: boolean;
}

/** Milliseconds: how far a signer's clock may run ahead of ours. Kerberos and most certificate checks allow the same five minutes. */
export const MAX_CLOCK_SKEW_MS: number = 5 * 60 * 1000;
