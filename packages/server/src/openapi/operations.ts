/** What operations of the document have in common: failures, parameters, answers. */

/** A part of the document: JSON values only. */
export type OpenApiObject = { readonly [member: string]: unknown };

/** Statuses of failures that an operation can have, each with what it means. All have the same body. */
const failureMeanings = {
  400: "Malformed: a name, a digest, a number, a query or a body.",
  401: "Credentials are missing, wrong, or not enough: `WWW-Authenticate` says where a token comes from.",
  403: "The account may not do that, or the signature was withdrawn for good.",
  404: "It is not here, or the repository is not.",
  409: "There is such a signature already, or there are too many, or too many that recorded results; or it cannot be removed alone, since manifests carry it.",
  412: "Another signature has this place now.",
  413: "The body is too large.",
  414: "The query has more than 16,384 characters.",
  429: "Too many requests, or too many wrong passwords: `Retry-After` says when to come back.",
  500: "A failure of the server; its log says which, by the answer's `X-Request-Id`.",
  503: "The server is too busy for this just now.",
} as const;

export type FailureStatus = keyof typeof failureMeanings;

/** Failures of every operation of the data plane. */
export const dataPlaneFailures: readonly FailureStatus[] = [400, 401, 403, 404, 414, 429, 500, 503];

const errorContent: OpenApiObject = { "application/json": { schema: { $ref: "#/components/schemas/Errors" } } };

/** The answers for failures, one component a status. */
export const failureResponses: OpenApiObject = Object.fromEntries(
  Object.entries(failureMeanings).map(([status, description]) => [
    `Failure${status}`,
    { description, ...failureHeaders(status), content: errorContent },
  ]),
);

function failureHeaders(status: string): OpenApiObject {
  const header = (name: string, description: string, required: boolean): OpenApiObject => ({
    headers: { [name]: { description, required, schema: { type: "string" } } },
  });
  if (status === "401") return header("WWW-Authenticate", "A challenge, Bearer or Basic.", true);
  return status === "429" || status === "503" ? header("Retry-After", "Seconds.", status === "429") : {};
}

/** References to the answers for these failures, by status. */
export function failures(...statuses: readonly FailureStatus[]): OpenApiObject {
  const entries = statuses.map((status) => [status, { $ref: `#/components/responses/Failure${status}` }]);
  return Object.fromEntries(entries) as OpenApiObject;
}

/**
 * An answer with a body.
 * @param schema of JSON; other media types come by {@link mediaAnswer}
 */
export function jsonBody(description: string, schema: OpenApiObject, headers: OpenApiObject = {}): OpenApiObject {
  return { description, headers, content: { "application/json": { schema } } };
}

/** An answer of another media type. */
export function mediaAnswer(description: string, mediaType: string, headers: OpenApiObject = {}): OpenApiObject {
  return { description, headers, content: { [mediaType]: {} } };
}

/** The header to the next page of a list. */
export const linkHeader: OpenApiObject = {
  Link: {
    description: 'The next page, with `rel="next"`; missing on the last one (RFC 8288).',
    schema: { type: "string" },
  },
};

export const etagHeader: OpenApiObject = {
  ETag: { description: "Of these bytes, for `If-None-Match` and `If-Match`.", schema: { type: "string" } },
};

/** A part of a path. */
export function pathParameter(name: string, description: string, schema: OpenApiObject): OpenApiObject {
  return { name, in: "path", required: true, description, schema };
}

export function queryParameter(name: string, description: string, schema: OpenApiObject): OpenApiObject {
  return { name, in: "query", required: false, description, schema };
}

export const pageParameters: readonly OpenApiObject[] = [
  queryParameter("n", "Entries of a page at most; the server may send fewer. With 0 none.", {
    type: "integer",
    minimum: 0,
    maximum: 999_999_999_999_999,
  }),
  queryParameter("last", "The page begins after this entry; taken from `Link`.", { type: "string", maxLength: 512 }),
];

/** HEAD of what GET answers: the same without a body. */
export function headOf(get: OpenApiObject): OpenApiObject {
  const { operationId, responses, ...rest } = get as { operationId: string; responses: OpenApiObject };
  const bodiless = Object.entries(responses).map(([status, response]) => {
    const { description, headers } = response as OpenApiObject;
    const reference = (response as { $ref?: string }).$ref?.replace("Failure", "HeadFailure");
    if (reference !== undefined) return [status, { $ref: reference }];
    return [status, { description, ...(headers === undefined ? {} : { headers }) }];
  });
  return { ...rest, operationId: `${operationId}Headers`, responses: Object.fromEntries(bodiless) as OpenApiObject };
}

/** The same failures in answer to HEAD, which has no body. */
export const headFailureResponses: OpenApiObject = Object.fromEntries(
  Object.entries(failureResponses).map(([name, response]) => {
    const { content: _content, ...rest } = response as OpenApiObject;
    return [`Head${name}`, rest];
  }),
);
