/** Paths of signatures: the extension, the lookaside tree of a repository, and the tree over all repositories. */
import {
  type OpenApiObject,
  dataPlaneFailures,
  etagHeader,
  failures,
  headOf,
  jsonBody,
  linkHeader,
  mediaAnswer,
  pageParameters,
  pathParameter,
  queryParameter,
} from "./operations.ts";
import { digestSchema } from "./schemas.ts";

export const name: OpenApiObject = pathParameter(
  "name",
  "The repository's path, such as `team/app`. Its slashes may be sent as they are or as `%2F`.",
  { type: "string", maxLength: 255 },
);
export const digest: OpenApiObject = pathParameter("digest", "The manifest's digest.", digestSchema);
const fileParameters: readonly OpenApiObject[] = [
  pathParameter("algorithm", "Of the manifest's digest.", { enum: ["sha256", "sha384", "sha512"] }),
  pathParameter("hex", "The digest's hex digits.", { type: "string", pattern: "^[0-9a-f]{64,128}$" }),
  pathParameter(
    "place",
    "From 1, without gaps: the place of a signature, which moves up when one before it is removed. Or `sha256=` and the hex digits of the digest of its own bytes, as lists and its `ETag` have it: under this name nothing else is ever found.",
    {
      anyOf: [
        { type: "integer", minimum: 1, maximum: 99_999 },
        { type: "string", pattern: "^sha256=[0-9a-f]{64}$" },
      ],
    },
  ),
];

const ifNoneMatch: OpenApiObject = {
  name: "If-None-Match",
  in: "header",
  description: "An `ETag`: where it still holds, the answer is 304.",
  schema: { type: "string" },
};
const unchanged: OpenApiObject = { 304: { description: "These bytes the client has already." } };

/** The image is not in the repository: as OpenShift's registry says it, without a body. A repository that is not there is said in one. */
const imageUnknown: OpenApiObject = {
  404: {
    description: "The image is not in this repository, said without a body; or there is no such repository.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/Errors" } } },
    "x-signet-may-be-empty": true,
  },
};

/** Of files of a tree: clients stop at the first one that is missing. */
const fileUnknown: OpenApiObject = {
  404: {
    description: "There is no such signature; or no such repository; or this is no name of a file of the tree.",
    content: {
      "application/json": { schema: { $ref: "#/components/schemas/Errors" } },
      "text/plain": {},
    },
  },
};

const repositoryList: OpenApiObject = {
  operationId: "listRepositorySignatures",
  summary: "List the signatures of a repository",
  description:
    "Of every format, in the order of their digests, with what each claims and how the server judged it, without their bytes. A page has at most 200. Needs the right to pull.",
  tags: ["signatures"],
  parameters: pageParameters,
  responses: {
    200: jsonBody("One page.", { $ref: "#/components/schemas/RepositorySignatures" }, linkHeader),
    ...failures(...dataPlaneFailures),
  },
};

const imageList: OpenApiObject = {
  operationId: "listImageSignatures",
  summary: "List the signatures of an image",
  description:
    "Without `view`, those of simple signing, oldest first, in one answer, as clients of OpenShift's registry know it. With `view=all`, those of every format in the order of their digests, by pages of at most 200 and about 4 MiB of content. Needs the right to pull.",
  tags: ["signatures"],
  parameters: [queryParameter("view", "The richer form.", { const: "all" }), ...pageParameters],
  responses: {
    200: jsonBody(
      "The signatures.",
      {
        anyOf: [{ $ref: "#/components/schemas/Signatures" }, { $ref: "#/components/schemas/ImageSignatures" }],
      },
      linkHeader,
    ),
    ...failures(...dataPlaneFailures),
    ...imageUnknown,
  },
};

const putSignature: OpenApiObject = {
  operationId: "addSignature",
  summary: "Add a signature to an image",
  description:
    "It must be an OpenPGP message about just this image. It is judged as it arrives, and kept whatever the verdict. Names of members are matched without case and unknown ones are ignored, as clients in Go expect. Needs the right to sign.",
  tags: ["signatures"],
  requestBody: {
    required: true,
    description: "The media type is not looked at.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/Signature" } } },
  },
  responses: {
    201: { description: "It is kept. There is no body." },
    ...failures(...dataPlaneFailures, 409, 413),
    ...imageUnknown,
  },
};

const deleteSignature: OpenApiObject = {
  operationId: "removeSignature",
  summary: "Remove a signature from an image",
  description:
    "One of simple signing. Those that manifests carry go with the last of these and are refused here. Needs the right to sign.",
  tags: ["signatures"],
  responses: {
    204: { description: "It is gone from this repository." },
    ...failures(...dataPlaneFailures, 409),
  },
};

const file: OpenApiObject = mediaAnswer("The signature's own bytes.", "application/octet-stream", {
  ...etagHeader,
  "Cache-Control": {
    description:
      "`immutable` for a year by its own digest; `no-cache` by its place, which another one may come to have.",
    schema: { type: "string" },
  },
  "Content-Location": {
    description: "Of a file that was asked for by its place: its name by its own digest.",
    schema: { type: "string" },
  },
});

const readLookaside: OpenApiObject = {
  operationId: "readLookasideSignature",
  summary: "Read a signature from the lookaside tree of a repository",
  description:
    "The tree of containers/image (containers-registries.d(5)), with `/lookaside` for its root. Signatures of simple signing, oldest first. Needs the right to pull.",
  tags: ["lookaside"],
  parameters: [ifNoneMatch],
  responses: { 200: file, ...unchanged, ...failures(...dataPlaneFailures), ...fileUnknown },
};

const writeLookaside: OpenApiObject = {
  operationId: "writeLookasideSignature",
  summary: "Add a signature in the lookaside tree of a repository",
  description:
    "At the first free place, or by the digest of its bytes, with the same checks as at the extension. The same bytes under their own name again change nothing. Needs the right to sign.",
  tags: ["lookaside"],
  requestBody: {
    required: true,
    description: "The media type is not looked at.",
    content: { "application/octet-stream": {} },
  },
  responses: {
    201: { description: "It is kept.", headers: etagHeader },
    204: { description: "These bytes are there already." },
    ...failures(...dataPlaneFailures, 409, 413),
    ...fileUnknown,
  },
};

const deleteLookaside: OpenApiObject = {
  operationId: "removeLookasideSignature",
  summary: "Remove a signature from the lookaside tree of a repository",
  description:
    "Those after it move up by one place, so a place may have another signature by the time the request comes: by its own digest, or with `If-Match`, just that one is meant. Needs the right to sign.",
  tags: ["lookaside"],
  parameters: [
    {
      name: "If-Match",
      in: "header",
      description: "An `ETag`: only these bytes are removed.",
      schema: { type: "string" },
    },
  ],
  responses: {
    204: { description: "It is gone from this repository." },
    ...failures(...dataPlaneFailures, 412),
    ...fileUnknown,
  },
};

const readRelease: OpenApiObject = {
  operationId: "readReleaseSignature",
  summary: "Read a signature of a manifest, whatever repository holds it",
  description:
    "The form in which signatures of OpenShift releases are published. Signatures of simple signing from the repositories that the client may pull (the first 10,000 of those that hold some), each once, those first that the server's keyring accepts.",
  tags: ["lookaside"],
  parameters: [ifNoneMatch],
  responses: { 200: file, ...unchanged, ...failures(401, 414, 429, 500, 503), ...fileUnknown },
};

export const signaturePaths: OpenApiObject = {
  "/extensions/v2/{name}/signatures": {
    parameters: [name],
    get: repositoryList,
    head: headOf(repositoryList),
  },
  "/extensions/v2/{name}/signatures/{digest}": {
    parameters: [name, digest],
    get: imageList,
    head: headOf(imageList),
    put: putSignature,
  },
  "/extensions/v2/{name}/signatures/{digest}/{signature}": {
    parameters: [
      name,
      digest,
      pathParameter("signature", "What follows the `@` in the signature's name.", { type: "string", maxLength: 253 }),
    ],
    delete: deleteSignature,
  },
  "/lookaside/{name}@{algorithm}={hex}/signature-{place}": {
    parameters: [name, ...fileParameters],
    get: readLookaside,
    head: headOf(readLookaside),
    put: writeLookaside,
    delete: deleteLookaside,
  },
  "/signatures/{algorithm}={hex}/signature-{place}": {
    parameters: fileParameters,
    get: readRelease,
    head: headOf(readRelease),
  },
};
