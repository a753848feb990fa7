/** One HTTP answer of the test registry, whole in memory so that faults can be applied to it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Error codes of the distribution specification 1.1 and of the signatures extension. */
export type RegistryErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIGNATURE_EXISTS"
  | "SIGNATURE_INVALID"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "UNAUTHORIZED"
  | "UNSUPPORTED";

/** An answer without a body. */
export function emptyAnswer(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: new Uint8Array() };
}

export function bytesAnswer(status: number, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body };
}

export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return bytesAnswer(status, Buffer.from(JSON.stringify(value)), { "content-type": "application/json", ...headers });
}

/** The error envelope of the distribution specification. */
export function errorAnswer(
  status: number,
  code: RegistryErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return jsonAnswer(status, { errors: [{ code, message }] }, headers);
}
