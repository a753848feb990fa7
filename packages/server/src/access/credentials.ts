/** The Authorization header, taken apart; nothing is believed yet. */
import { MAX_PASSWORD_BYTES } from "./passwords.ts";

/** Characters: Node takes 16 KiB of all headers together; a bearer token of ours is at most 8 KiB. */
const MAX_HEADER_LENGTH = 8_300;
/** Bytes of user and password together: names are at most 150. */
const MAX_BASIC_BYTES = 1_024;

export type UntrustedCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly name: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "malformed"; readonly problem: string };

/**
 * Reads the header. Nobody in particular are: no header, Pulp's `Basic Og==` (neither user nor password), and OpenShift's `Bearer anonymous`.
 * The problem of a malformed one repeats no part of it.
 */
export function parseAuthorization(header: string | undefined): UntrustedCredentials {
  if (header === undefined) return { kind: "none" };
  if (header.length > MAX_HEADER_LENGTH) return malformed("the Authorization header is too long");
  // RFC 9110 section 11.4: the scheme in any case, then spaces, then its credentials.
  const [, scheme = "", rest = ""] = /^([A-Za-z]+) +(\S+)$/.exec(header.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case "basic":
      return parseBasic(rest);
    case "bearer":
      if (rest === "anonymous") return { kind: "none" };
      // RFC 6750 section 2.1: b64token.
      if (!/^[A-Za-z0-9._~+/-]+=*$/.test(rest)) return malformed("the bearer token has characters that no token has");
      return { kind: "bearer", token: rest };
    default:
      return malformed("the Authorization header is neither Basic nor Bearer");
  }
}

// RFC 7617: base64 of `user:password` in UTF-8, which the challenge asks for.
function parseBasic(text: string): UntrustedCredentials {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return malformed("the credentials of Basic are not base64");
  const bytes = Buffer.from(text, "base64");
  if (bytes.length > MAX_BASIC_BYTES) return malformed("the credentials of Basic are too long");
  let plain: string;
  try {
    plain = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return malformed("the credentials of Basic are not UTF-8");
  }
  const colon = plain.indexOf(":");
  if (colon === -1) return malformed("the credentials of Basic have no colon");
  if (/\p{Cc}/u.test(plain)) return malformed("the credentials of Basic have control characters");
  const [name, password] = [plain.slice(0, colon), plain.slice(colon + 1)];
  if (name === "" && password === "") return { kind: "none" };
  if (password === "") return malformed("the password is empty");
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return malformed("the password is too long");
  return { kind: "basic", name, password };
}

function malformed(problem: string): UntrustedCredentials {
  return { kind: "malformed", problem };
}
