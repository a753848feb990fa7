/** Every operation of the document, asked of a running server: what comes back is what the document says. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { DescribedServer, operations } from "./described-answers.testing.ts";
import { basic } from "../serve-app.testing.ts";
import { type ServedDocument, serveDocument } from "./served-document.testing.ts";

const hex = "cddeb7006d914716e2728000746a0b23";

interface Bench {
  readonly served: ServedDocument;
  readonly asked: DescribedServer;
  /** Asks as admin; the status must be this one. */
  readonly admin: (
    status: number,
    id: string,
    path: string,
    more?: { body?: string | Uint8Array; headers?: Record<string, string> },
  ) => Promise<Buffer>;
}

async function runOn(work: (bench: Bench) => Promise<void>): Promise<DescribedServer> {
  await using served = await serveDocument();
  const asked = new DescribedServer(served.url);
  await work({
    served,
    asked,
    admin: async (status, id, path, { body, headers = {} } = {}) => {
      const request = { path, headers: { ...served.admin, ...headers }, ...(body === undefined ? {} : { body }) };
      const answer = await asked.ask(id, request);
      assert.equal(answer.status, status, `${id} ${path}: ${answer.bytes.toString()}`);
      return answer.bytes;
    },
  });
  return asked;
}

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const etagOf = (bytes: Uint8Array): string => `"${digestOf(bytes)}"`;

test("every answer is one that the document names, and every success that it names is met", async () => {
  const { seen } = await runOn(async (bench) => {
    await askExtension(bench);
    await askVerifications(bench);
    await askTrees(bench);
    await askServer(bench);
    await askWithoutRights(bench);
  });
  const missed = operations.flatMap(({ id, responses }) =>
    [...responses.keys()].filter((status) => status < 400 && seen.get(id)?.has(status) !== true).map((s) => [id, s]),
  );
  assert.deepEqual(missed, []);
  const statuses = new Set([...seen.values()].flatMap((one) => [...one]));
  assert.deepEqual(
    [400, 401, 403, 404, 409, 412, 413, 414, 429].filter((status) => !statuses.has(status)),
    [],
  );
});

async function askExtension({ served, asked, admin }: Bench): Promise<void> {
  const { image, sign } = served;
  const list = "/extensions/v2/team/app/signatures";
  const path = `${list}/${image.digest}`;
  const object = async (suffix: string, by?: "other"): Promise<string> => {
    const content = Buffer.from(await sign(by)).toString("base64");
    const value = { schemaVersion: 2, name: `${image.digest}@${suffix}`, type: "atomic", content };
    const { requestBody } = operations.find((one) => one.id === "addSignature")!;
    asked.validate(requestBody!.content["application/json"]!.schema!, value, "the body of addSignature");
    return JSON.stringify(value);
  };
  const first = await object(hex);
  await admin(201, "addSignature", path, { body: first });
  await admin(409, "addSignature", path, { body: first });
  await admin(201, "addSignature", path, { body: await object("other", "other") });
  await admin(400, "addSignature", path, { body: "{" });
  await admin(413, "addSignature", path, { body: "x".repeat(8_000_000) });
  const unknown = new TextEncoder().encode("{}");
  const missing = `${list}/${digestOf(unknown)}`;
  const content = Buffer.from(await sign("trusted", unknown)).toString("base64");
  const ofUnknown = { schemaVersion: 2, name: `${digestOf(unknown)}@${hex}`, content };
  await admin(404, "addSignature", missing, { body: JSON.stringify(ofUnknown) });
  await admin(400, "addSignature", `${list}/sha256:0`, { body: first });

  const read = async (of: string): Promise<{ signatures: Record<string, unknown>[] }> =>
    JSON.parse(
      (await admin(200, of.includes("sha256:") ? "listImageSignatures" : "listRepositorySignatures", of)).toString(),
    ) as {
      signatures: Record<string, unknown>[];
    };
  assert.equal((await read(path)).signatures.length, 2);
  const all = (await read(`${path}?view=all`)).signatures;
  // One of each kind, so that each form of the list is looked at.
  assert.deepEqual(
    all.map((one) => String(one["verdict"])).toSorted((a, b) => (a < b ? -1 : 1)),
    ["accepted", "not-checked", "unknown-key"],
  );
  assert.ok(all.some((one) => one["carrier"] !== undefined && one["format"] === "sigstore-attachment"));
  assert.ok(all.every((one) => typeof one["content"] === "string"));
  assert.deepEqual(await read(path.replace("team/app", "team%2Fapp")), await read(path));
  for (const base of [list, `${path}?view=all`]) {
    const paged: unknown[] = [];
    for (let next: string | undefined = `${base}${base.includes("?") ? "&" : "?"}n=1`; next !== undefined;) {
      const id = base === list ? "listRepositorySignatures" : "listImageSignatures";
      const { bytes, headers } = await asked.ask(id, { path: next, headers: served.admin });
      paged.push(...(JSON.parse(bytes.toString()) as { signatures: unknown[] }).signatures);
      next = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(paged, (await read(base)).signatures);
    assert.equal(paged.length, 3);
  }
  await admin(200, "listRepositorySignaturesHeaders", list);
  for (const query of ["", "?view=all"]) await admin(200, "listImageSignaturesHeaders", `${path}${query}`);
  await admin(400, "listRepositorySignatures", `${list}?n=many`);
  await admin(414, "listRepositorySignatures", `${list}?last=${"x".repeat(16_384)}`);
  await admin(404, "listRepositorySignatures", "/extensions/v2/team/none/signatures");
  await admin(400, "listImageSignatures", `${path}?view=some`);
  await admin(404, "listImageSignatures", missing);
  await admin(404, "listImageSignatures", `${missing}?view=all`);
  await admin(404, "listImageSignatures", path.replace("team/app", "team/none"));
  await admin(404, "removeSignature", `${path}/none`);
  await admin(204, "removeSignature", `${path}/${hex}`);
  await admin(204, "removeSignature", `${path}/other`);
}

async function askVerifications({ served, asked, admin }: Bench): Promise<void> {
  const signatures = `/extensions/v2/team/app/signatures/${served.image.digest}`;
  const bytes = await served.sign();
  const content = Buffer.from(bytes).toString("base64");
  const named = { schemaVersion: 2, name: `${served.image.digest}@${hex}`, type: "atomic", content };
  await admin(201, "addSignature", signatures, { body: JSON.stringify(named) });
  const image = `/extensions/v2/team/app/verifications/${served.image.digest}`;
  const one = `${image}/${digestOf(bytes)}`;
  const result = {
    verdict: "accepted",
    expectedIdentity: "registry.example.com/team/app:1",
    signingKey: "0123456789ABCDEF",
    signedIdentity: "registry.example.com/team/app:1",
    verifiedAt: "2026-01-31T12:00:00.5Z",
  };
  const rejected = { ...result, verdict: "rejected", reason: "the key was withdrawn" };
  const { requestBody } = operations.find(({ id }) => id === "recordVerification")!;
  for (const body of [result, rejected]) {
    asked.validate(requestBody!.content["application/json"]!.schema!, body, "the body of recordVerification");
    await admin(201, "recordVerification", one, { body: JSON.stringify(body) });
  }
  await admin(400, "recordVerification", one, { body: "{}" });
  await admin(413, "recordVerification", one, { body: " ".repeat(100_000) });
  await admin(404, "recordVerification", `${image}/${served.image.digest}`, { body: JSON.stringify(result) });
  const history = await admin(200, "listSignatureVerifications", one);
  assert.equal((JSON.parse(history.toString()) as { verifications: unknown[] }).verifications.length, 2);
  for (const [id, path] of [
    ["listVerifications", image],
    ["listSignatureVerifications", one],
  ] as const) {
    await admin(200, id, `${path}?n=1`);
    await admin(200, `${id}Headers`, path);
    await admin(400, id, `${path}?n=x`);
    await admin(404, id, path.replace("team/app", "team/none"));
  }
  await admin(400, "removeVerifications", `${image}?by=a%20b`);
  for (const path of [image, `${image}?by=robot%24stranger`]) await admin(204, "removeVerifications", path);
  await admin(204, "removeSignatureVerifications", one);
  await admin(404, "removeSignatureVerifications", `${image}/${served.image.digest}`);
  await admin(204, "removeSignature", `${signatures}/${hex}`);
}

async function askTrees({ served, admin }: Bench): Promise<void> {
  const folder = `${served.image.digest.replace(":", "=")}/signature-`;
  const tree = `/lookaside/team/app@${folder}`;
  const [first, second] = [await served.sign(), await served.sign()];
  await admin(404, "readLookasideSignature", `${tree}1`);
  await admin(201, "writeLookasideSignature", `${tree}1`, { body: first });
  await admin(204, "writeLookasideSignature", `${tree}1`, { body: first });
  await admin(409, "writeLookasideSignature", `${tree}1`, { body: second });
  await admin(201, "writeLookasideSignature", `${tree}2`, { body: second });
  await admin(400, "writeLookasideSignature", `${tree}3`, { body: "no signature" });
  const own = etagOf(first).slice(1, -1).replace(":", "=");
  await admin(204, "writeLookasideSignature", `${tree}${own}`, { body: first });
  await admin(400, "writeLookasideSignature", `${tree}${own}`, { body: second });
  await admin(404, "writeLookasideSignature", tree.replace("team/app", "team/none").concat("1"), { body: first });
  const known = { headers: { "if-none-match": etagOf(first) } };
  for (const [id, at] of [
    ["readLookasideSignature", tree],
    ["readReleaseSignature", `/signatures/${folder}`],
  ] as const) {
    assert.deepEqual(await admin(200, id, `${at}1`), Buffer.from(first));
    assert.deepEqual(await admin(200, id, `${at}${own}`), Buffer.from(first));
    assert.deepEqual(await admin(200, `${id}Headers`, `${at}1`), Buffer.of());
    await admin(304, id, `${at}1`, known);
    await admin(304, `${id}Headers`, `${at}1`, known);
    for (const one of [id, `${id}Headers`]) for (const end of ["3", "0"]) await admin(404, one, `${at}${end}`);
  }
  await admin(412, "removeLookasideSignature", `${tree}2`, { headers: { "if-match": etagOf(first) } });
  await admin(204, "removeLookasideSignature", `${tree}2`, { headers: { "if-match": etagOf(second) } });
  await admin(204, "removeLookasideSignature", `${tree}${own}`);
  await admin(404, "removeLookasideSignature", `${tree}1`);
}

async function askServer({ served, asked, admin }: Bench): Promise<void> {
  const { repositories } = JSON.parse((await admin(200, "listRepositories", "/v2/_catalog")).toString()) as {
    repositories: string[];
  };
  assert.deepEqual(repositories, ["team/app"]);
  await admin(400, "listRepositories", "/v2/_catalog?n=-1");
  for (const id of ["listRepositories", "listRepositoriesHeaders"]) await admin(200, id, "/v2/_catalog?n=1");

  const query = "service=signet&scope=repository:team/app:pull";
  await admin(200, "getToken", `/token?${query}`);
  await admin(200, "getTokenHeaders", `/token?${query}`);
  await admin(400, "getToken", "/token?scope=nonsense");
  assert.equal((await asked.ask("getToken", { path: `/token?${query}` })).status, 200);
  const post = async (status: number, form: Record<string, string> | string): Promise<void> => {
    const body = new URLSearchParams(form).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await asked.ask("postToken", { path: "/token", headers, body });
    assert.equal(answer.status, status, answer.bytes.toString());
  };
  await post(200, { grant_type: "password", username: "admin", password: served.adminPassword, service: "signet" });
  await post(200, { grant_type: "refresh_token", refresh_token: served.strangerToken, scope: "repository:a:pull" });
  await post(400, { grant_type: "none" });
  await post(401, { grant_type: "refresh_token", refresh_token: "sgn_none" });
  await post(413, { grant_type: "x".repeat(70_000) });

  for (const [id, path] of [
    ["readHealth", "/healthz"],
    ["readReadiness", "/readyz"],
    ["readMetrics", "/metrics"],
    ["readOpenApi", "/openapi.json"],
  ] as const)
    for (const one of [id, `${id}Headers`]) await admin(200, one, path);
  const { headers } = await asked.ask("readOpenApi", { path: "/openapi.json" });
  const known = { headers: { "if-none-match": headers.get("etag")! } };
  for (const one of ["readOpenApi", "readOpenApiHeaders"]) await admin(304, one, "/openapi.json", known);
}

/** Each operation as nobody, as an account without rights, and with a wrong password until the server has enough of it. */
async function askWithoutRights({ served, asked }: Bench): Promise<void> {
  const digest = served.image.digest;
  const values: Readonly<Record<string, string>> = {
    name: "team/app",
    digest,
    signature: hex,
    verified: `sha256:${"0".repeat(64)}`,
    algorithm: "sha256",
    hex: digest.slice("sha256:".length),
    place: "1",
  };
  const { strangerToken } = served;
  const callers: readonly ((id: string) => Record<string, string>)[] = [
    () => ({}),
    () => basic("robot$stranger", strangerToken),
    () => ({ authorization: `Bearer ${strangerToken}` }),
    () => ({ authorization: "Bearer e30.e30.e30" }),
    // Another one each time: the same again would be no new guess.
    (id) => basic("nobody", `a wrong password ${id}`),
  ];
  for (const caller of callers) {
    for (const { id, template, method } of operations) {
      const path = template.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => values[name]!);
      const body = method === "PUT" ? { body: await served.sign() } : {};
      const { status } = await asked.ask(id, { path, headers: caller(id), ...body });
      const isOpen = ["/healthz", "/openapi.json", "/readyz", "/token", "/v2/_catalog"].includes(template);
      const isRead = method === "GET" || method === "HEAD";
      if (!isOpen && !(isRead && template.startsWith("/signatures/"))) assert.ok(status >= 401, `${id}: ${status}`);
    }
  }
}

test("a server that is asked too often, and one whose blobs are gone, answer as the document says", async () => {
  await using served = await serveDocument({ SIGNET_LIMITS_REQUESTS_PER_SECOND: "20" });
  const asked = new DescribedServer(served.url);
  rmSync(served.blobs, { recursive: true });
  const statuses = new Set<number>();
  for (let count = 0; count < 200 && !statuses.has(429); count += 1)
    statuses.add((await asked.ask("readReadiness", { path: "/readyz" })).status);
  assert.deepEqual(
    [...statuses].toSorted((a, b) => a - b),
    [429, 503],
  );
});
