import { equalBytes } from "../../bytes/concat.ts";
import { encodeHexUpper } from "../../bytes/hex.ts";
import { OpenPgpFault } from "./fault.ts";
import { OctetReader } from "./octets.ts";
import type { UntrustedSignature } from "./signature.ts";
import { keyIdOf } from "./signature.ts";

/** The packet in front of the content that announces the signature behind it. RFC 9580 section 5.4. */
export interface UntrustedOnePass {
  readonly version: 3 | 6;
  readonly type: number;
  readonly hash: number;
  readonly algorithm: number;
  readonly keyId: string;
  /** Version 6 only. */
  readonly fingerprint: string | undefined;
  /** Version 6 only; empty otherwise. */
  readonly salt: Uint8Array;
}

/** The content and what stands around it. None of the latter is signed. */
export interface UntrustedLiteral {
  /** `b`, `t`, `u`, `l` or `1`. */
  readonly format: string;
  readonly fileName: Uint8Array;
  /** Seconds since 1970 UTC. */
  readonly date: number;
  readonly content: Uint8Array;
}

/** @throws OpenPgpFault `one-pass-mismatch` for what cannot be read, `message-several-signatures` when another is announced */
export function parseOnePass(body: Uint8Array): UntrustedOnePass {
  const reader = new OctetReader(body, "the one-pass signature packet", "one-pass-mismatch");
  const version = reader.octet();
  if (version !== 3 && version !== 6) throw reader.fault(`version ${version} is not supported`);
  const type = reader.octet();
  const hash = reader.octet();
  const algorithm = reader.octet();
  const salt = version === 6 ? reader.take(reader.octet()) : new Uint8Array(0);
  const issuer = encodeHexUpper(reader.take(version === 6 ? 32 : 8));
  const isLast = reader.octet() !== 0;
  reader.end();
  if (!isLast) {
    throw new OpenPgpFault("message-several-signatures", "the one-pass signature packet announces another one");
  }
  const keyId = version === 6 ? keyIdOf(issuer) : issuer;
  return { version, type, hash, algorithm, keyId, fingerprint: version === 6 ? issuer : undefined, salt };
}

/** Everything that the one-pass packet claims must be what the signature says. @throws OpenPgpFault `one-pass-mismatch` */
export function checkOnePass(onePass: UntrustedOnePass, signature: UntrustedSignature): void {
  const difference =
    (onePass.version === 6) !== (signature.version === 6)
      ? "version"
      : onePass.type !== signature.type
        ? "type"
        : onePass.hash !== signature.hash
          ? "hash algorithm"
          : onePass.algorithm !== signature.algorithm
            ? "key algorithm"
            : onePass.keyId !== signature.keyId ||
                (onePass.fingerprint !== undefined && onePass.fingerprint !== signature.fingerprint)
              ? "issuer"
              : equalBytes(onePass.salt, signature.salt)
                ? undefined
                : "salt";
  if (difference === undefined) return;
  throw new OpenPgpFault(
    "one-pass-mismatch",
    `the one-pass packet announces another ${difference} than the signature has`,
  );
}

const literalFormats = "btul1";

/**
 * @param maxContentBytes octets of content at most
 * @throws OpenPgpFault `packet-malformed`, `message-literal-too-large`
 */
export function parseLiteral(body: Uint8Array, maxContentBytes: number): UntrustedLiteral {
  const reader = new OctetReader(body, "the literal data packet", "packet-malformed");
  const format = String.fromCharCode(reader.octet());
  if (!literalFormats.includes(format)) throw reader.fault("its format is unknown");
  const fileName = reader.take(reader.octet());
  const date = reader.uint32();
  const content = reader.rest();
  if (content.length > maxContentBytes) {
    throw new OpenPgpFault("message-literal-too-large", `the content has more than ${maxContentBytes} octets`);
  }
  return { format, fileName, date, content };
}

/** The content as a text signature hashes it: every line end as CR LF. RFC 9580 section 5.2.1.2. */
export function canonicalText(content: Uint8Array): Uint8Array {
  let bare = 0;
  for (let i = 0; i < content.length; i++) if (content[i] === 0x0a && content[i - 1] !== 0x0d) bare++;
  if (bare === 0) return content;
  const text = new Uint8Array(content.length + bare);
  let at = 0;
  for (let i = 0; i < content.length; i++) {
    if (content[i] === 0x0a && content[i - 1] !== 0x0d) text[at++] = 0x0d;
    text[at++] = content[i]!;
  }
  return text;
}
