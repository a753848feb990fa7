import { FormatError } from "../../errors.ts";

/** The rule of the accepted OpenPGP grammar that some bytes break. Stable: it is the reason code of a rejected message. */
export type OpenPgpRule =
  | "message-empty"
  | "message-too-large"
  | "message-not-openpgp"
  | "message-armored"
  | "message-cleartext"
  | "message-truncated"
  | "message-encrypted"
  | "message-detached"
  | "message-unsigned"
  | "message-several-signatures"
  | "message-trailing-data"
  | "message-marker"
  | "message-nested-compression"
  | "message-compression"
  | "message-inflated-too-large"
  | "message-literal-too-large"
  | "message-unexpected-packet"
  | "armor-malformed"
  | "cleartext-malformed"
  | "packet-malformed"
  | "one-pass-mismatch"
  | "signature-malformed"
  | "signature-version"
  | "signature-type"
  | "signature-algorithm"
  | "signature-hash"
  | "signature-issuer"
  | "signature-creation-time"
  | "signature-critical-subpacket"
  | "signature-critical-notation"
  | "key-malformed"
  | "key-version"
  | "key-algorithm";

/** Bytes that are not the OpenPGP that is accepted; `rule` says why. */
export class OpenPgpFault extends FormatError {
  readonly rule: OpenPgpRule;

  /** @param offset octets from the start of what was being read: the file, or the inflated message */
  constructor(rule: OpenPgpRule, message: string, offset?: number) {
    super(rule.startsWith("key-") ? "key-malformed" : "openpgp-malformed", message, {
      details: { rule },
      ...(offset === undefined ? {} : { offset }),
    });
    this.rule = rule;
  }
}
