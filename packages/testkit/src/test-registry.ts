/** A real, small OCI registry in memory on loopback: for tests, whose faults it can be told to have, and for the tour that `npm start` gives. */

import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { Access } from "./registry/access.ts";
import type { AccessOptions, Action } from "./registry/access.ts";
import { emptyAnswer, errorAnswer } from "./registry/answer.ts";
import type { Answer } from "./registry/answer.ts";
import {
  handleBlob,
  handleManifest,
  handleReferrers,
  handleUpload,
  listTags,
  startUpload,
} from "./registry/distribution.ts";
import type { RegistryRequest } from "./registry/distribution.ts";
import { FaultScript } from "./registry/faults.ts";
import type { Fault } from "./registry/faults.ts";
import { replaceAnswer, sendAnswer } from "./registry/sending.ts";
import { readSignatures, writeSignature } from "./registry/signatures-extension.ts";
import { RegistryStorage } from "./registry/storage.ts";
import type { ExtensionSignature, StoredManifest } from "./registry/storage.ts";

export interface TestRegistryOptions extends Partial<AccessOptions> {
  /** Announces and serves the signatures API. Default false. */
  readonly signaturesExtension?: boolean;
  /** Serves the referrers API, and answers `OCI-Subject` to manifests with a subject. Default true. */
  readonly referrers?: boolean;
  /** Entries on one page of the referrers API. Default all. */
  readonly referrersPageSize?: number;
  /** Heeds `If-Match` and `If-None-Match` when a manifest is put. Default false, as most registries. */
  readonly conditionalPuts?: boolean;
  /** PEM texts; serves https. With `clientCa` a client certificate of that authority is demanded. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  readonly faults?: readonly Fault[];
}

/** One request as it came, without secrets. */
export interface LoggedRequest {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly query: string;
  /** What kind of credentials came along, and whose, where that can be told. */
  readonly auth: "none" | "basic" | "bearer";
  readonly user: string | undefined;
  readonly accept: string | undefined;
  readonly range: string | undefined;
  readonly userAgent: string | undefined;
  readonly bodyBytes: number;
  /** Undefined until answered, and for a fault that never answers. */
  status: number | undefined;
}

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in image names. */
  readonly host: string;
  /** With its scheme, without a final slash. */
  readonly url: string;
  /** Every request, oldest first. */
  readonly log: readonly LoggedRequest[];
  addFaults(...faults: readonly Fault[]): void;
  clearFaults(): void;
  /** Makes every token handed out so far invalid. */
  expireTokens(): void;
  /** Stores a manifest without any check, under its digest and, when `reference` is a tag, under that. */
  putManifest(repository: string, reference: string, bytes: Uint8Array, mediaType: string): StoredManifest;
  /** Stores a blob; returns its digest. */
  putBlob(repository: string, bytes: Uint8Array): string;
  manifest(repository: string, reference: string): StoredManifest | undefined;
  blob(repository: string, digest: string): Uint8Array | undefined;
  /** Lets the registry answer with other bytes where it should have those of `digest`; works for manifests and blobs that are there. */
  tamper(repository: string, digest: string, alter: (bytes: Uint8Array) => Uint8Array): void;
  /** What the signatures API keeps for a manifest. */
  signatures(repository: string, digest: string): readonly ExtensionSignature[];
  /** Stops listening and drops all connections, also those that hang. */
  dispose(): Promise<void>;
}

/** The account of a registry started without `users`. */
export const testRegistryAccount = { user: "tester", password: "registry-test-password" } as const;

/** Bytes: the largest request body taken; test images stay far below it. */
const MAX_BODY_BYTES = 512 * 1024 * 1024;

/** Starts a registry on a free port of 127.0.0.1. */
export async function startTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const storage = new RegistryStorage();
  const faults = new FaultScript();
  faults.add(...(options.faults ?? []));
  const access = new Access({
    auth: options.auth ?? "none",
    users: options.users ?? { [testRegistryAccount.user]: testRegistryAccount.password },
    readOnlyUsers: options.readOnlyUsers ?? [],
    anonymousPull: options.anonymousPull ?? false,
    identityTokens: options.identityTokens ?? {},
    tokenRealm: options.tokenRealm,
    tokenLifetimeSeconds: options.tokenLifetimeSeconds ?? 300,
  });
  const log: LoggedRequest[] = [];
  const rules = { referrers: options.referrers !== false, conditionalPuts: options.conditionalPuts === true };
  const scheme = options.tls === undefined ? "http" : "https";
  let ownUrl = "";

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    const url = new URL(request.url ?? "/", ownUrl);
    const method = request.method ?? "GET";
    const { authorization } = request.headers;
    const { kind, user } = access.describe(authorization);
    const entry: LoggedRequest = {
      method,
      path: url.pathname,
      query: url.search,
      auth: kind,
      user,
      accept: request.headers.accept,
      range: request.headers.range,
      userAgent: request.headers["user-agent"],
      bodyBytes: body.length,
      status: undefined,
    };
    log.push(entry);
    const fault = faults.next(method, url.pathname);
    if (fault?.delayMs !== undefined) await wait(fault.delayMs);
    if (fault?.hang === true) return;
    if (fault?.disconnect === true) {
      request.socket.destroy();
      return;
    }
    const answer =
      replaceAnswer(fault) ?? answerRequest(url, { method, query: url.searchParams, headers: request.headers, body });
    entry.status = answer.status;
    await sendAnswer(response, method, answer, fault);
  };

  const answerRequest = (url: URL, request: RegistryRequest): Answer => {
    const authorization = request.headers["authorization"] as string | undefined;
    const path = url.pathname;
    if (path === "/token")
      return access.issueToken(request.method, request.query, authorization, Buffer.from(request.body).toString());
    const common = {
      "docker-distribution-api-version": "registry/2.0",
      ...(options.signaturesExtension === true && { "x-registry-supports-signatures": "1" }),
    };
    const answer = answerApi(path, request, authorization);
    return answer === undefined ? emptyAnswer(404) : { ...answer, headers: { ...common, ...answer.headers } };
  };

  /** Undefined for a path that no route knows. */
  const answerApi = (path: string, request: RegistryRequest, authorization: string | undefined): Answer | undefined => {
    const guard = (name: string | undefined, action: Action, answer: () => Answer): Answer => {
      const refusal = access.refuse(authorization, ownUrl, name, action);
      if (refusal !== undefined) return refusal;
      if (name !== undefined && !nameGrammar.test(name))
        return errorAnswer(400, "NAME_INVALID", "invalid repository name");
      return answer();
    };
    const actionOf: Action =
      request.method === "GET" || request.method === "HEAD" ? "pull" : request.method === "DELETE" ? "delete" : "push";
    if (path === "/v2/" || path === "/v2") return guard(undefined, "pull", () => emptyAnswer(200));

    const [, name = "", kind = "", reference = ""] = routeGrammar.exec(path) ?? [];
    if (kind === "manifests")
      return guard(name, actionOf, () => handleManifest(storage, name, reference, request, rules));
    if (kind === "blobs/uploads" && reference === "" && request.method === "POST") {
      const mayPull = (from: string): boolean => access.refuse(authorization, ownUrl, from, "pull") === undefined;
      return guard(name, "push", () => startUpload(storage, name, request, mayPull));
    }
    if (kind === "blobs/uploads") return guard(name, "push", () => handleUpload(storage, name, reference, request));
    if (kind === "blobs") return guard(name, actionOf, () => handleBlob(storage, name, reference, request));
    if (kind === "tags" && reference === "list")
      return guard(name, "pull", () => listTags(storage, name, request.query));
    if (kind === "referrers" && rules.referrers)
      return guard(name, "pull", () =>
        handleReferrers(storage, name, reference, request.query, options.referrersPageSize),
      );

    const extension = options.signaturesExtension === true ? extensionGrammar.exec(path) : null;
    if (extension === null) return undefined;
    const [, extensionName = "", digest = ""] = extension;
    if (request.method === "GET")
      return guard(extensionName, "pull", () => readSignatures(storage, extensionName, digest));
    if (request.method !== "PUT") return emptyAnswer(405);
    return guard(extensionName, "push", () => writeSignature(storage, extensionName, digest, request.body));
  };

  const listener: RequestListener = (request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      response.writeHead(500, { "content-type": "text/plain" }).end(text);
    });
  };
  const { tls } = options;
  const server: Server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer(
          {
            cert: tls.cert,
            key: tls.key,
            ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          },
          listener,
        );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  ownUrl = `${scheme}://${host}`;

  const dispose = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    host,
    url: ownUrl,
    log,
    addFaults: (...more) => faults.add(...more),
    clearFaults: () => faults.clear(),
    expireTokens: () => access.expireTokens(),
    putManifest: (...args) => storage.putManifest(...args),
    putBlob: (...args) => storage.putBlob(...args),
    manifest: (...args) => storage.manifest(...args),
    blob: (repository, digest) => storage.repositories.get(repository)?.blobs.get(digest),
    tamper(repository, digest, alter) {
      const { manifests, blobs } = storage.open(repository);
      const manifest = manifests.get(digest);
      const blob = blobs.get(digest);
      if (manifest !== undefined) manifests.set(digest, { ...manifest, bytes: alter(manifest.bytes) });
      else if (blob !== undefined) blobs.set(digest, alter(blob));
      else throw new Error(`${repository} has nothing with digest ${digest}`);
    },
    signatures: (repository, digest) => storage.repositories.get(repository)?.signatures.get(digest) ?? [],
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

const nameGrammar = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const routeGrammar = /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs|tags|referrers)\/([^/]*)$/;
const extensionGrammar =
  /^\/extensions\/v2\/(.+)\/signatures\/([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,})$/;

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("request body too large for the test registry");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
