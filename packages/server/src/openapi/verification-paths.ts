/** Paths of the results that auditors record. */
import { MAX_AUDITORS, MAX_KEPT_RESULTS } from "../content/recorded-verifications.ts";
import {
  type OpenApiObject,
  dataPlaneFailures,
  failures,
  headOf,
  jsonBody,
  linkHeader,
  pageParameters,
  pathParameter,
  queryParameter,
} from "./operations.ts";
import { digestSchema } from "./schemas.ts";
import { digest, name } from "./signature-paths.ts";

const doorHeader: OpenApiObject = {
  "X-Signet-Verifications": {
    description: "On every answer of these paths: clients know by it that the server records results.",
    required: true,
    schema: { const: "1" },
  },
};

const page: OpenApiObject = jsonBody(
  "One page.",
  { $ref: "#/components/schemas/RecordedVerifications" },
  { ...doorHeader, ...linkHeader },
);

const ofImage: OpenApiObject = {
  operationId: "listVerifications",
  summary: "List what auditors recorded of an image's signatures",
  description:
    "Of each signature and account the newest result, by signature and account, by pages of at most 200. What the server itself verified is in the list of signatures and not here. Needs the right to pull.",
  tags: ["verifications"],
  parameters: pageParameters,
  responses: { 200: page, ...failures(...dataPlaneFailures) },
};

const ofSignature: OpenApiObject = {
  operationId: "listSignatureVerifications",
  summary: "List what auditors recorded of a signature",
  description: `With the history: by account, of each the newest first, at most ${MAX_KEPT_RESULTS}. Needs the right to pull.`,
  tags: ["verifications"],
  parameters: pageParameters,
  responses: { 200: page, ...failures(...dataPlaneFailures) },
};

const record: OpenApiObject = {
  operationId: "recordVerification",
  summary: "Record what was found of a signature",
  description: `In the name of whoever asks. It takes the place of the account's last result, which becomes history; the same again renews its times. Of one account and signature ${MAX_KEPT_RESULTS} are kept, and results of ${MAX_AUDITORS} accounts. It changes no verdict of the server and no pull. Needs the right to audit.`,
  tags: ["verifications"],
  requestBody: {
    required: true,
    description: "The media type is not looked at.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/VerificationResult" } } },
  },
  responses: {
    201: { description: "It is kept. There is no body.", headers: doorHeader },
    ...failures(...dataPlaneFailures, 409, 413),
  },
};

const by: OpenApiObject = queryParameter("by", "The account whose results go; without it that of whoever asks.", {
  type: "string",
  minLength: 1,
  maxLength: 160,
});

const removal = (operationId: string, what: string): OpenApiObject => ({
  operationId,
  summary: `Take back what was recorded of ${what}`,
  description:
    "With the history; also where there is nothing. One's own results need the right to audit, those of another account the right to delete.",
  tags: ["verifications"],
  parameters: [by],
  responses: { 204: { description: "Nothing of it is left.", headers: doorHeader }, ...failures(...dataPlaneFailures) },
});

export const verificationPaths: OpenApiObject = {
  "/extensions/v2/{name}/verifications/{digest}": {
    parameters: [name, digest],
    get: ofImage,
    head: headOf(ofImage),
    delete: removal("removeVerifications", "an image's signatures"),
  },
  "/extensions/v2/{name}/verifications/{digest}/{verified}": {
    parameters: [name, digest, pathParameter("verified", "The digest of the signature's own bytes.", digestSchema)],
    get: ofSignature,
    head: headOf(ofSignature),
    post: record,
    delete: removal("removeSignatureVerifications", "a signature"),
  },
};
