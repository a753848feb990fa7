/** A client of a cluster's API that can do one thing: list objects. It sends GET requests alone, follows no redirect, and uses no proxy. */
import { Agent, type RequestOptions, request } from "node:https";
import { StoreError } from "@signet/core";
import { isRecord } from "../kubernetes/manifests.ts";
import type { ClusterAccess } from "./kubeconfig.ts";

/** Bytes of one answer. A page of 500 nodes has about 10 MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Objects asked for in one page, as kubectl does, and pages of one list. */
const PAGE_SIZE = 500;
const MAX_PAGES = 100;

/** Milliseconds that one request may take in all. */
const REQUEST_MS = 60_000;

/** Characters of a server's own words that are shown. */
const MAX_SHOWN_LENGTH = 300;

/** Codes of Node for certificates that do not hold. */
const tlsCodes =
  /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|ERR_OSSL)/;

export interface ClusterClient {
  /**
   * Every object of a list.
   * @param path of the API, such as `/api/v1/nodes`
   * @throws StoreError `cluster-unreachable` (may pass: `retryable`), `cluster-refused`, `tls-failed`, `cluster-error`
   */
  list(path: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): void;
}

/** @throws StoreError `tls-failed` for certificates and keys that the TLS library refuses */
export function openCluster(access: ClusterAccess): ClusterClient {
  const { authorities, client, verifiesTls, serverName } = access;
  const agent = new Agent({
    keepAlive: true,
    rejectUnauthorized: verifiesTls,
    minVersion: "TLSv1.2",
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  return {
    async list(path) {
      const items: Readonly<Record<string, unknown>>[] = [];
      let next = "";
      for (let page = 0; page < MAX_PAGES; page++) {
        const query = `?limit=${PAGE_SIZE}${next === "" ? "" : `&continue=${encodeURIComponent(next)}`}`;
        const answer = readList(await get(access, agent, `${path}${query}`), access);
        items.push(...answer.items);
        next = answer.next;
        if (next === "") return items;
      }
      throw failure("cluster-error", access, `a list of more than ${MAX_PAGES} pages`);
    },
    close: () => agent.destroy(),
  };
}

function readList(
  body: Uint8Array,
  access: ClusterAccess,
): { readonly items: readonly Readonly<Record<string, unknown>>[]; readonly next: string } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw failure("cluster-error", access, "the answer is no JSON", { cause });
  }
  const items = isRecord(value) ? value["items"] : undefined;
  if (!isRecord(value) || !Array.isArray(items) || !items.every(isRecord))
    throw failure("cluster-error", access, "the answer is no list of objects");
  const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
  return { items, next: typeof metadata["continue"] === "string" ? metadata["continue"] : "" };
}

function get(access: ClusterAccess, agent: Agent, path: string): Promise<Uint8Array> {
  const { token, basic } = access;
  const options: RequestOptions = {
    agent,
    method: "GET",
    headers: {
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(token !== undefined || basic === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(`${basic.user}:${basic.password}`).toString("base64")}` }),
    },
    signal: AbortSignal.timeout(REQUEST_MS),
  };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(connectionFailure(error, access));
    try {
      const sent = request(`${access.server}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("error", fail);
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
          else sent.destroy(failure("cluster-error", access, `an answer of more than ${MAX_ANSWER_BYTES} bytes`));
        });
        response.on("end", () => {
          const body = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(body);
          else reject(statusFailure(response.statusCode ?? 0, body, access, path));
        });
      });
      sent.on("error", fail);
      sent.end();
    } catch (error) {
      // Certificates and keys are read when the first connection is made.
      fail(error);
    }
  });
}

function statusFailure(status: number, body: Uint8Array, access: ClusterAccess, path: string): StoreError {
  const what = path.replace(/\?.*$/, "");
  const said = wordsOf(body);
  if (status === 401 || status === 403)
    return failure("cluster-refused", access, `${what}: status ${status}${said}`, {
      status,
      hint:
        status === 401
          ? "the credentials of the kubeconfig are not, or no longer, accepted; `oc login` renews them"
          : "the account may not list these objects; role cluster-reader may",
    });
  if (status === 404)
    return failure("cluster-error", access, `${what}: status 404${said}`, {
      status,
      hint: "check that the server is the API of an OpenShift cluster",
    });
  const isPassing = status === 429 || status >= 500;
  return failure(isPassing ? "cluster-unreachable" : "cluster-error", access, `${what}: status ${status}${said}`, {
    status,
    retryable: isPassing,
  });
}

/** The message of a `Status` object. */
function wordsOf(body: Uint8Array): string {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body.subarray(0, MAX_ANSWER_BYTES)));
    const message = isRecord(value) ? value["message"] : undefined;
    return typeof message === "string" ? `: ${message.slice(0, MAX_SHOWN_LENGTH)}` : "";
  } catch {
    return "";
  }
}

function connectionFailure(error: unknown, access: ClusterAccess): StoreError {
  if (error instanceof StoreError) return error;
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === "TimeoutError" || name === "AbortError")
    return failure("cluster-unreachable", access, "it does not answer in time", { cause: error, retryable: true });
  if (code !== undefined && tlsCodes.test(code))
    return failure("tls-failed", access, `no trustworthy TLS connection: ${message.split("\n")[0]}`, {
      cause: error,
      hint: "the kubeconfig's certificate-authority-data must be that of the API server",
    });
  const isGone = code === "ENOTFOUND";
  return failure("cluster-unreachable", access, isGone ? "host name not found" : message.split("\n")[0]!, {
    cause: error,
    retryable: !isGone,
    hint: "check server, network and that the cluster runs",
  });
}

function failure(
  code: "cluster-error" | "cluster-refused" | "cluster-unreachable" | "tls-failed",
  { server }: ClusterAccess,
  problem: string,
  options: ConstructorParameters<typeof StoreError>[2] = {},
): StoreError {
  return new StoreError(code, `${new URL(server).host}: ${problem}`, { side: "source", ...options });
}
