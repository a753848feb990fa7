/** Paths of the server as a whole: the catalog, tokens, and its pages about itself. */
import {
  type OpenApiObject,
  failures,
  headOf,
  jsonBody,
  linkHeader,
  mediaAnswer,
  pageParameters,
  queryParameter,
} from "./operations.ts";

const catalog: OpenApiObject = {
  operationId: "listRepositories",
  summary: "List the repositories that the client may pull",
  description:
    "Docker's catalog, which is no part of the OCI distribution specification. A page has at most 1,000. Needs credentials: who has no account gets a token of the scope `registry:catalog:*` without any.",
  tags: ["server"],
  parameters: pageParameters,
  responses: {
    200: jsonBody("One page.", { $ref: "#/components/schemas/Catalog" }, linkHeader),
    ...failures(400, 401, 403, 414, 429, 500, 503),
  },
};

const scopes: OpenApiObject = {
  type: "array",
  items: { type: "string" },
  description: "Such as `repository:team/app:pull,push`; several, or one with spaces between.",
};
const service: OpenApiObject = { type: "string", description: "As the challenge names it." };

const tokenResponses: OpenApiObject = {
  200: jsonBody("A bearer token.", { $ref: "#/components/schemas/Token" }),
  ...failures(400, 401, 429, 500, 503),
};

const noCredentials: OpenApiObject = {};

const getToken: OpenApiObject = {
  operationId: "getToken",
  summary: "Get a bearer token",
  description:
    "Docker's token authentication. With Basic credentials, with an access token as Bearer, or without any for what everybody may. A bearer token gets no other one.",
  tags: ["server"],
  security: [noCredentials, { basic: [] }, { bearer: [] }],
  parameters: [
    queryParameter("service", "As the challenge names it.", { type: "string" }),
    queryParameter("scope", "What the token is to allow.", scopes),
  ],
  responses: tokenResponses,
};

const postToken: OpenApiObject = {
  operationId: "postToken",
  summary: "Get a bearer token by a form",
  description: "The OAuth2 form of the same.",
  tags: ["server"],
  security: [noCredentials],
  requestBody: {
    required: true,
    content: {
      "application/x-www-form-urlencoded": {
        schema: {
          type: "object",
          required: ["grant_type"],
          properties: {
            grant_type: { enum: ["password", "refresh_token"] },
            service,
            scope: scopes,
            username: { type: "string", description: "For `password`." },
            password: { type: "string", description: "For `password`; an access token of this server also is one." },
            refresh_token: { type: "string", description: "For `refresh_token`: an access token of this server." },
          },
        },
      },
    },
  },
  responses: { ...tokenResponses, ...failures(413) },
};

const health: OpenApiObject = {
  operationId: "readHealth",
  summary: "Whether the process answers",
  description: "It looks at nothing else.",
  tags: ["server"],
  security: [noCredentials],
  responses: { 200: jsonBody("It does.", { $ref: "#/components/schemas/Alive" }), ...failures(429, 500) },
};

const readiness: OpenApiObject = {
  operationId: "readReadiness",
  summary: "Whether the server can do its work",
  description: "Database and blob store are asked, once a second at most.",
  tags: ["server"],
  security: [noCredentials],
  responses: {
    200: jsonBody("It can.", { $ref: "#/components/schemas/Ready" }),
    ...failures(429, 500),
    503: jsonBody("A part failed, or the server is about to stop.", { $ref: "#/components/schemas/Unready" }),
  },
};

const metrics: OpenApiObject = {
  operationId: "readMetrics",
  summary: "The server's numbers for Prometheus",
  description: "For accounts with the role admin; on the address that `metrics.listen` names, for whoever reaches it.",
  tags: ["server"],
  responses: {
    200: mediaAnswer("Prometheus' text form 0.0.4.", "text/plain"),
    ...failures(401, 403, 429, 500, 503),
  },
};

const document: OpenApiObject = {
  operationId: "readOpenApi",
  summary: "This document",
  tags: ["server"],
  security: [noCredentials],
  responses: {
    200: jsonBody("OpenAPI 3.1.", { type: "object", description: "As the OpenAPI specification 3.1 has it." }),
    304: { description: "The client has it already." },
    ...failures(429, 500),
  },
};

export const serverPaths: OpenApiObject = {
  "/v2/_catalog": { get: catalog, head: headOf(catalog) },
  "/token": { get: getToken, head: headOf(getToken), post: postToken },
  "/healthz": { get: health, head: headOf(health) },
  "/readyz": { get: readiness, head: headOf(readiness) },
  "/metrics": { get: metrics, head: headOf(metrics) },
  "/openapi.json": { get: document, head: headOf(document) },
};
