/** Makes OpenPGP signed messages: inline, binary, one signature, never armored. Implemented over a secret key file and over gpg. */
export interface Signer {
  /** For people: user id or fingerprint of the key. Never a secret; untrusted text. */
  readonly label: string;
  /** Full fingerprint of the primary key, upper-case hex. */
  readonly fingerprint: string;
  /** The certificate, binary, public packets only. Every signature is checked with it before anybody gets to see the signature. */
  readonly publicKey: Uint8Array;
  /**
   * Signs `content` as it stands and returns the whole message. Callers do not trust the result: `createSignature` verifies it.
   * @param content payload octets
   * @param now signature time, milliseconds since 1970 UTC; implementations on gpg use gpg's own clock
   */
  sign(content: Uint8Array, now: number): Promise<Uint8Array>;
}
