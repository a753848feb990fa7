/** For tests: holds what a server answers against the OpenAPI document. */
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { openApiDocument } from "./document.ts";

/** One operation of the document. */
export interface Operation {
  /** With its parameters in braces. */
  readonly template: string;
  readonly method: string;
  readonly id: string;
  /** By status, with references followed. */
  readonly responses: ReadonlyMap<number, DescribedResponse>;
  readonly requestBody: { readonly content: Readonly<Record<string, { readonly schema?: object }>> } | undefined;
}

export interface DescribedResponse {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
  readonly "x-signet-may-be-empty"?: boolean;
}

type PathItem = Readonly<Record<string, unknown>>;

const methodNames: ReadonlySet<string> = new Set(["delete", "get", "head", "options", "patch", "post", "put", "trace"]);

/** Every operation of the document. */
export const operations: readonly Operation[] = Object.entries(openApiDocument["paths"] as object).flatMap(
  ([template, item]: [string, PathItem]) =>
    Object.entries(item)
      .filter(([name]) => methodNames.has(name))
      .map(([name, value]) => readOperation(template, name.toUpperCase(), value as PathItem)),
);

function readOperation(template: string, method: string, operation: PathItem): Operation {
  const responses = Object.entries(operation["responses"] as Record<string, PathItem>).map(
    ([status, response]): [number, DescribedResponse] => [Number(status), follow(response)],
  );
  return {
    template,
    method,
    id: operation["operationId"] as string,
    responses: new Map(responses),
    requestBody: operation["requestBody"] as Operation["requestBody"],
  };
}

function follow(value: PathItem): PathItem {
  if (!("$ref" in value)) return value;
  const parts = (value["$ref"] as string).replace("#/", "").split("/");
  return parts.reduce((at, part) => at[part] as PathItem, openApiDocument as PathItem);
}

/** A request of an operation. */
export interface AskedRequest {
  /** With its query. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

/** Sends requests to a server, and fails where an answer is not one that the document names. */
export class DescribedServer {
  readonly #url: string;
  readonly #validators = new Map<object, ValidateFunction>();
  readonly #ajv: Ajv2020;
  /** Operations with the statuses that were answered. */
  readonly seen: Map<string, Set<number>> = new Map();

  constructor(url: string) {
    this.#url = url;
    this.#ajv = new Ajv2020({ strict: true, allErrors: true });
    formats.default(this.#ajv);
    this.#ajv.addVocabulary(["components"]);
    const { components } = closeObjects({ components: { schemas: schemasOf(openApiDocument) } }) as PathItem;
    this.#ajv.addSchema({ $id: "openapi:document", components });
  }

  async ask(
    id: string,
    { path, headers = {}, body }: AskedRequest,
  ): Promise<{ status: number; bytes: Buffer; headers: Headers }> {
    const operation = operations.find((one) => one.id === id);
    assert.ok(operation, `the document has no operation ${id}`);
    const { method, responses } = operation;
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      redirect: "error",
      ...(body === undefined ? {} : { body }),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const { status } = answer;
    const about = `${method} ${path.slice(0, 300)}: ${status} ${bytes.toString().slice(0, 300)}`;
    const response = responses.get(status);
    assert.ok(response, `${about}: the document names no such status`);
    for (const [name, { required }] of Object.entries(response.headers ?? {}))
      if (required === true) assert.ok(answer.headers.has(name), `${about}: there is no ${name}`);
    this.#checkBody(response, bytes, answer.headers.get("content-type"), method, about);
    this.seen.set(id, (this.seen.get(id) ?? new Set()).add(status));
    return { status, bytes, headers: answer.headers };
  }

  /** Whether a value is as the schema of a request or an answer has it, with no member more. */
  validate(schema: object, value: unknown, about: string): void {
    const known = this.#validators.get(schema);
    const validator = known ?? this.#ajv.compile(closeObjects(refer(schema)) as object);
    this.#validators.set(schema, validator);
    assert.ok(validator(value), `${about}: ${JSON.stringify(validator.errors)}`);
  }

  #checkBody(response: DescribedResponse, bytes: Buffer, type: string | null, method: string, about: string): void {
    const isBodiless = response.content === undefined || response["x-signet-may-be-empty"] === true;
    if (bytes.length === 0) return assert.ok(isBodiless, `${about}: there is no body`);
    assert.ok(response.content !== undefined && method !== "HEAD", `${about}: a body that the document does not name`);
    const mediaType = (type ?? "").split(";", 1)[0]!;
    const media = response.content[mediaType];
    assert.ok(media, `${about}: the document does not name the media type ${type}`);
    if (mediaType !== "application/json") return;
    assert.ok(media.schema, `${about}: the document says nothing of this JSON`);
    this.validate(media.schema, JSON.parse(bytes.toString()), about);
  }
}

function schemasOf(document: PathItem): unknown {
  return refer((document["components"] as PathItem)["schemas"] as object);
}

function refer(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi:document#/')) as object;
}

/** Clients may meet members that they do not know; the test must not, or a new one would go unsaid. */
function closeObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closeObjects);
  if (typeof value !== "object" || value === null) return value;
  const closed = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, closeObjects(member)]));
  const isObject = closed["type"] === "object" && typeof closed["properties"] === "object";
  return isObject ? { ...closed, additionalProperties: false } : closed;
}
