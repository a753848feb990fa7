import { constants, deflateRawSync } from "node:zlib";
import type { MessageChange, PayloadChange } from "./case.ts";

const encoder = new TextEncoder();

/** The payload's octets for one recipe. Texts are put together by hand: most of them are what no JSON writer would write. */
export function makePayload(change: PayloadChange, reference: string, digest: string): Uint8Array {
  const usual = (
    parts: { critical?: string; optional?: string; type?: string; image?: string; identity?: string } = {},
  ): string => {
    const identity = parts.identity ?? `{"docker-reference":${JSON.stringify(reference)}}`;
    const image = parts.image ?? `{"docker-manifest-digest":${JSON.stringify(digest)}}`;
    const type = parts.type ?? '"atomic container signature"';
    const critical = parts.critical ?? `{"identity":${identity},"image":${image},"type":${type}}`;
    return `{"critical":${critical},"optional":${parts.optional ?? '{"creator":"differential","timestamp":1700000000}'}}`;
  };
  const image = (text: string): string => usual({ image: `{"docker-manifest-digest":${text}}` });
  const optional = (text: string): string => usual({ optional: text });
  const plain = usual();
  const texts: Readonly<Record<PayloadChange, () => string | Uint8Array>> = {
    none: () => plain,
    "other-digest": () => image(JSON.stringify(`sha256:${"0".repeat(64)}`)),
    "digest-upper-case": () => image(JSON.stringify(digest.toUpperCase().replace("SHA256", "sha256"))),
    "digest-sha512": () => image(JSON.stringify(`sha512:${"0".repeat(128)}`)),
    "digest-null": () => image("null"),
    "type-other": () => usual({ type: '"cosign container image signature"' }),
    "type-case": () => usual({ type: '"Atomic container signature"' }),
    "critical-extra": () => plain.replace('"critical":{', '"critical":{"extra":1,'),
    "critical-duplicate": () => plain.replace('"critical":{', '"critical":{"type":"atomic container signature",'),
    "critical-case-variant": () => plain.replace('"type"', '"Type"'),
    "optional-extra": () => optional('{"extra":{"a":[1,2,{}]},"creator":"x"}'),
    "optional-duplicate-extra": () => optional('{"x":1,"x":2}'),
    "optional-nested-duplicate": () => optional('{"x":{"a":1,"a":2}}'),
    "optional-null": () => optional("null"),
    "optional-missing": () => plain.replace(/,"optional".*$/, "}"),
    "creator-null": () => optional('{"creator":null}'),
    "creator-number": () => optional('{"creator":1}'),
    "timestamp-null": () => optional('{"timestamp":null}'),
    "timestamp-half": () => optional('{"timestamp":0.5}'),
    "timestamp-exponent": () => optional('{"timestamp":1e3}'),
    "timestamp-string": () => optional('{"timestamp":"1"}'),
    "timestamp-huge": () => optional('{"timestamp":9223372036854775807}'),
    "timestamp-negative-zero": () => optional('{"timestamp":-0}'),
    "reference-null": () => usual({ identity: '{"docker-reference":null}' }),
    "reference-missing": () => usual({ identity: "{}" }),
    "trailing-newline": () => `${plain}\n`,
    "trailing-object": () => `${plain}{}`,
    "trailing-nul": () => `${plain}\0`,
    "leading-bom": () => `\uFEFF${plain}`,
    "leading-space": () => `\n\t ${plain}`,
    pretty: () => plain.replaceAll(/([{},:])/g, "$1 ").replaceAll(/(sha256|\d|[a-z]): /g, "$1:"),
    reordered: () => plain.replace(/^\{"critical":(.*),"optional":(.*)\}$/, '{"optional":$2,"critical":$1}'),
    "invalid-utf8-creator": () => withOctet(optional('{"creator":"#"}'), 0xff),
    "escaped-key": () => plain.replace('"critical"', '"\\u0063ritical"'),
    "proto-optional": () => optional('{"__proto__":1}'),
    "proto-critical": () => plain.replace('"critical":{', '"critical":{"__proto__":1,'),
    "deep-optional": () => optional(`{"x":${"[".repeat(200)}${"]".repeat(200)}}`),
    "overflow-optional": () => optional('{"x":1e999}'),
    "array-top": () => `[${plain}]`,
    comment: () => `${plain}// c`,
    "lone-surrogate-creator": () => optional('{"creator":"\\ud800"}'),
  };
  const made = texts[change]();
  return typeof made === "string" ? encoder.encode(made) : made;
}

/** `text` with its first `#` replaced by a raw octet. */
function withOctet(text: string, octet: number): Uint8Array {
  const bytes = encoder.encode(text);
  bytes[text.indexOf("#")] = octet;
  return bytes;
}

/** What is stored, made from a good signed message. `place` is a fraction of its length. */
export function changeMessage(
  change: MessageChange,
  message: Uint8Array,
  payload: Uint8Array,
  place: number,
): Uint8Array {
  const at = Math.min(message.length - 1, Math.floor(place * message.length));
  switch (change) {
    case "none":
      return message;
    case "compressed":
      return compress(message);
    case "bit-flip": {
      const flipped = message.slice();
      flipped[at]! ^= 1 << (Math.floor(place * 8192) % 8);
      return flipped;
    }
    case "truncated":
      return message.slice(0, at);
    case "trailing-garbage":
      return Buffer.concat([message, encoder.encode("garbage")]);
    case "trailing-garbage-compressed":
      return Buffer.concat([compress(message), encoder.encode("garbage")]);
    case "armored":
      return encoder.encode(
        `-----BEGIN PGP MESSAGE-----\n\n${Buffer.from(message).toString("base64").replaceAll(/.{64}/g, "$&\n")}\n-----END PGP MESSAGE-----\n`,
      );
    case "empty":
      return new Uint8Array(0);
    case "text":
      return encoder.encode("<html>not found</html>");
    case "leading-nul":
      return Buffer.concat([Uint8Array.of(0), message]);
    case "leading-marker":
      return Buffer.concat([Uint8Array.of(0xca, 0x03, 0x50, 0x47, 0x50), message]);
    case "framed":
      return Buffer.concat([encoder.encode("\0simple-signing\n"), message]);
    case "framed-unknown":
      return Buffer.concat([encoder.encode("\0other-format\n"), message]);
    case "two-messages":
      return Buffer.concat([message, message]);
    case "payload-alone":
      return payload;
  }
}

/** One compressed-data packet (ZIP, indeterminate length), as gpg writes it. */
function compress(message: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0xa3, 0x01), deflateRawSync(message, { level: constants.Z_BEST_COMPRESSION })]);
}
