/** What the bodies of requests and answers look like, as JSON Schema 2020-12. */
import { MAX_LISTED_CARRIERS } from "../content/signature-list.ts";
import {
  MAX_IDENTITY_CHARACTERS,
  MAX_PAGE_RESULTS,
  MAX_REASON_CHARACTERS,
  signingKeyForm,
} from "../registry/verification-door.ts";
import type { OpenApiObject } from "./operations.ts";

const text: OpenApiObject = { type: "string" };
const time: OpenApiObject = { type: "string", format: "date-time", description: "ISO 8601, UTC." };

export const digestSchema: OpenApiObject = {
  type: "string",
  pattern: "^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$",
};

const path: OpenApiObject = { type: "string", maxLength: 255, description: "The repository's path." };

const resultProperties: OpenApiObject = {
  verdict: { enum: ["accepted", "rejected"] },
  expectedIdentity: {
    type: "string",
    minLength: 1,
    maxLength: MAX_IDENTITY_CHARACTERS,
    description: "The image name that the signature was to be for.",
  },
  signingKey: {
    type: "string",
    pattern: signingKeyForm.source,
    description: "Fingerprint or key id of the key that signed. Required when accepted.",
  },
  signedIdentity: {
    type: "string",
    minLength: 1,
    maxLength: MAX_IDENTITY_CHARACTERS,
    description: "The image name that the signature says it is for.",
  },
  reason: {
    type: "string",
    minLength: 1,
    maxLength: MAX_REASON_CHARACTERS,
    description: "Required when rejected.",
  },
  verifiedAt: {
    ...time,
    description: "By the auditor's clock, at most an hour ahead of the server's. ISO 8601, UTC, at most milliseconds.",
  },
};

export const schemas: OpenApiObject = {
  Errors: {
    type: "object",
    description: "What went wrong, as the OCI distribution specification 1.1 words it.",
    required: ["errors"],
    properties: {
      errors: {
        type: "array",
        minItems: 1,
        items: {
          type: "object",
          required: ["code", "message"],
          properties: {
            code: { type: "string", pattern: "^[A-Z_]+$", examples: ["SIGNATURE_EXISTS"] },
            message: text,
            detail: { description: "More, in whatever form: for people." },
          },
        },
      },
    },
  },
  Catalog: {
    type: "object",
    required: ["repositories"],
    properties: { repositories: { type: "array", items: path } },
  },
  Signature: {
    type: "object",
    description:
      "A signature of simple signing, as OpenShift's registry has them. Nothing about it is verified. In a request `version` may stand for `schemaVersion`, and `type` may be missing, null, empty or `AtomicImageV1`; an answer always has these members in this form.",
    required: ["schemaVersion", "name", "type", "content"],
    properties: {
      schemaVersion: { const: 2 },
      name: {
        type: "string",
        description: "The image's digest, `@`, and a name of at most 253 characters; clients write 32 hex digits.",
        pattern: "^[a-z0-9]+:[0-9a-f]+@[A-Za-z0-9][A-Za-z0-9._-]{0,252}$",
      },
      type: { const: "atomic" },
      content: {
        type: "string",
        contentEncoding: "base64",
        description: "The signature's own bytes, an OpenPGP message.",
      },
    },
  },
  Signatures: {
    type: "object",
    required: ["signatures"],
    properties: {
      signatures: {
        type: "array",
        maxItems: 128,
        description: "Oldest first; those of simple signing alone.",
        items: { $ref: "#/components/schemas/Signature" },
      },
    },
  },
  ListedSignature: {
    type: "object",
    description: "A signature with what the server found of it.",
    required: ["digest", "manifest", "format", "name", "size", "createdAt", "unverifiedClaims", "verdict"],
    properties: {
      digest: { ...digestSchema, description: "Of the signature's own bytes." },
      manifest: {
        ...digestSchema,
        description: "Of what it is about. Where it is about several images of the repository, `carriers` has them.",
      },
      format: { enum: ["simple-signing", "sigstore-attachment", "sigstore-bundle", "notation"] },
      name: text,
      size: { type: "integer", minimum: 0, description: "Bytes." },
      carrier: { ...digestSchema, description: "Of the first manifest that carries it, where it came as one." },
      carriers: {
        type: "array",
        minItems: 1,
        maxItems: MAX_LISTED_CARRIERS,
        description:
          "The manifests that carry it, where it came as one. It stays as long as one of them does; in the list of one image, those by which it is a signature of that image.",
        items: {
          type: "object",
          required: ["digest", "manifest"],
          properties: {
            digest: { ...digestSchema, description: "Of the manifest that carries it." },
            manifest: { ...digestSchema, description: "Of what it is about there." },
            tag: { type: "string", description: "Under which the manifest carries it; a referrer has none." },
          },
        },
      },
      createdAt: { ...time, description: "When it arrived. ISO 8601, UTC." },
      unverifiedClaims: {
        type: "object",
        description: "What the signature says of itself. Nothing in here is verified.",
        properties: { reference: text, signedAt: time, creator: text, keyId: text, fingerprint: text },
      },
      verdict: {
        enum: ["accepted", "rejected", "unknown-key", "not-checked"],
        description:
          "By the server's keyring, when it was last looked at: `not-checked` for formats that the server does not verify. Which image name it is for is no part of it: that is a policy's matter.",
      },
      signer: { type: "string", description: "Fingerprint of the primary key. Only when accepted." },
      keyringVersion: { type: "integer", minimum: 0 },
      verifiedAt: time,
      validUntil: { ...time, description: "When the verdict is looked at again at the latest. ISO 8601, UTC." },
      evidence: { $ref: "#/components/schemas/Evidence" },
      content: {
        type: "string",
        contentEncoding: "base64",
        description: "The signature's own bytes. Only in the list of one image.",
      },
    },
  },
  Evidence: {
    type: "object",
    required: ["checks", "reasons"],
    properties: {
      checks: {
        type: "array",
        items: {
          type: "object",
          required: ["name", "outcome", "message"],
          properties: {
            name: { type: "string", description: "Stable, such as `signature-crypto`." },
            outcome: { enum: ["passed", "failed", "warning", "skipped", "undetermined"] },
            message: text,
            expected: text,
            found: text,
            clause: { type: "string", description: "Where the rule stands, such as `RFC 9580 section 5.2.3`." },
          },
        },
      },
      reasons: {
        type: "array",
        description: "Why it was rejected; empty otherwise.",
        items: {
          type: "object",
          required: ["code", "message"],
          properties: { code: text, message: text, hint: text },
        },
      },
      signingKey: { type: "string", description: "Fingerprint of the key, or subkey, that signed." },
    },
  },
  ImageSignatures: {
    type: "object",
    required: ["path", "manifest", "signatures"],
    properties: {
      path,
      manifest: digestSchema,
      signatures: { type: "array", maxItems: 200, items: { $ref: "#/components/schemas/ListedSignature" } },
    },
  },
  RepositorySignatures: {
    type: "object",
    required: ["path", "signatures"],
    properties: {
      path,
      signatures: { type: "array", maxItems: 200, items: { $ref: "#/components/schemas/ListedSignature" } },
    },
  },
  VerificationResult: {
    type: "object",
    description:
      "What an auditor found of one signature. Members beside these are refused, and texts that hold characters that cannot be printed.",
    required: ["verdict", "expectedIdentity", "verifiedAt"],
    properties: resultProperties,
    additionalProperties: false,
    oneOf: [
      { properties: { verdict: { const: "accepted" }, signingKey: {} }, required: ["signingKey"] },
      { properties: { verdict: { const: "rejected" }, reason: {} }, required: ["reason"] },
    ],
  },
  RecordedVerification: {
    type: "object",
    description:
      "What an account says that it found. The server vouches for who recorded it and when, and for nothing else.",
    required: ["signature", "by", "number", "verdict", "expectedIdentity", "verifiedAt", "since", "recordedAt"],
    properties: {
      signature: { ...digestSchema, description: "Of the signature's own bytes." },
      by: { type: "string", maxLength: 160, description: "The account that recorded it." },
      number: {
        type: "integer",
        minimum: 1,
        description:
          "Grows with each other result of this account about this signature; the largest is the present status.",
      },
      ...resultProperties,
      since: { ...time, description: "When this result was recorded first. ISO 8601, UTC." },
      recordedAt: { ...time, description: "When it was recorded last. ISO 8601, UTC." },
    },
  },
  RecordedVerifications: {
    type: "object",
    required: ["path", "manifest", "verifications"],
    properties: {
      path,
      manifest: digestSchema,
      verifications: {
        type: "array",
        maxItems: MAX_PAGE_RESULTS,
        items: { $ref: "#/components/schemas/RecordedVerification" },
      },
    },
  },
  Token: {
    type: "object",
    required: ["token", "access_token", "expires_in", "issued_at"],
    properties: {
      token: { type: "string", description: "A JWT. It can grant less than was asked for." },
      access_token: { type: "string", description: "The same, for clients of the OAuth2 form." },
      expires_in: { type: "integer", minimum: 1, description: "Seconds." },
      issued_at: time,
    },
  },
  Alive: { type: "object", required: ["status"], properties: { status: { const: "alive" } } },
  Ready: { type: "object", required: ["status"], properties: { status: { const: "ready" } } },
  Unready: {
    type: "object",
    required: ["status", "failed"],
    properties: {
      status: { const: "unready" },
      failed: { type: "array", minItems: 1, items: { enum: ["blobs", "database", "draining"] } },
    },
  },
};
