import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { type TestContext, after, before, describe, test } from "node:test";
import { SignetError } from "@signet/core";
import {
  type TlsCertificates,
  findTool,
  makeTempDir,
  makeTlsCertificates,
  requireTool,
  startLoopbackServer,
} from "@signet/testkit";
import { openCluster } from "./cluster-client.ts";
import { loadKubeconfig } from "./kubeconfig.ts";

const folder = makeTempDir();
let certificates: TlsCertificates | undefined;
before(async () => {
  if (findTool("openssl") !== undefined) certificates = await makeTlsCertificates();
});
after(() => {
  certificates?.dispose();
  folder.dispose();
});

interface KubeconfigParts {
  readonly cluster?: object;
  readonly user?: object;
}

function writeKubeconfig(server: string, parts: KubeconfigParts = {}): string {
  const config = {
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server, ...parts.cluster } }],
    users: [{ name: "u", user: parts.user ?? { token: "a-secret" } }],
  };
  writeFileSync(folder.join("kubeconfig"), JSON.stringify(config));
  return folder.join("kubeconfig");
}

/** What is thrown; it must not speak of any secret. */
async function failureOf(work: Promise<unknown>): Promise<SignetError> {
  const error = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SignetError, String(error));
  assert.doesNotMatch(`${error.message} ${error.hint} ${JSON.stringify(error.details)}`, /a-secret/);
  return error;
}

/** What a list from a server with this listener ends with; undefined when the test is skipped. */
async function failureFrom(t: TestContext, listener: RequestListener): Promise<SignetError | undefined> {
  if (requireTool(t, "openssl") === undefined || certificates === undefined) return undefined;
  await using server = await startLoopbackServer(listener, { tls: certificates });
  const authority = { "certificate-authority": certificates.caFile };
  const cluster = openCluster(await loadKubeconfig(writeKubeconfig(server.url, { cluster: authority })));
  try {
    return await failureOf(cluster.list("/api/v1/nodes"));
  } finally {
    cluster.close();
  }
}

describe("the answers of a cluster's API", () => {
  const answers: readonly (readonly [string, RequestListener, string, RegExp])[] = [
    [
      "403",
      (_, response) => response.writeHead(403).end('{"message":"pools is forbidden"}'),
      "cluster-refused",
      /status 403: pools is forbidden/,
    ],
    ["404", (_, response) => response.writeHead(404).end("x"), "cluster-error", /status 404$/],
    ["503", (_, response) => response.writeHead(503).end("x"), "cluster-unreachable", /status 503$/],
    [
      "a redirect",
      (_, response) => response.writeHead(302, { location: "https://127.0.0.1:1/" }).end(),
      "cluster-error",
      /status 302$/,
    ],
    ["a page", (_, response) => response.end("<html>"), "cluster-error", /the answer is no JSON/],
    ["no list", (_, response) => response.end('{"items":[1]}'), "cluster-error", /no list of objects/],
    [
      "pages without end",
      (_, response) => response.end('{"metadata":{"continue":"x"},"items":[]}'),
      "cluster-error",
      /more than 100 pages/,
    ],
    [
      "too much",
      (_, response) => response.end(Buffer.alloc(64 * 1024 * 1024 + 1, 0x20)),
      "cluster-error",
      /more than 67108864 bytes/,
    ],
    [
      "a cut answer",
      (_, response) => void response.writeHead(200, { "content-length": 99 }).write("{", () => response.destroy()),
      "cluster-unreachable",
      /aborted|hang up/,
    ],
  ];
  for (const [name, listener, code, message] of answers) {
    test(`${name} is an error of its own`, async (t) => {
      const error = await failureFrom(t, listener);
      if (error !== undefined) assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
    });
  }

  test("a server that is not there may come back", async () => {
    const error = await failureOf(
      openCluster(await loadKubeconfig(writeKubeconfig("https://127.0.0.1:1"))).list("/api"),
    );
    assert.deepEqual([error.code, "retryable" in error && error.retryable], ["cluster-unreachable", true]);
  });

  test("a key that is none is an error of TLS", async () => {
    const pem = Buffer.from("-----BEGIN X-----\na-secret\n").toString("base64");
    const user = { "client-certificate-data": pem, "client-key-data": pem };
    const access = await loadKubeconfig(writeKubeconfig("https://127.0.0.1:1", { user }));
    assert.equal((await failureOf(openCluster(access).list("/api"))).code, "tls-failed");
  });
});

test("a kubeconfig that is broken, or wants more than is done, is refused", async () => {
  for (const [parts, message] of [
    [{ user: { exec: { command: "touch", args: ["x"] } } }, /exec is not supported, since it starts a program/],
    [{ user: { "auth-provider": {} } }, /auth-provider is not supported/],
    [{ user: { token: "x", as: "admin" } }, /as is not supported/],
    [{ user: { token: "x", other: "y" } }, /other is not supported/],
    [{ user: { "client-certificate-data": "AAAA" } }, /belong together/],
    [{ user: { "client-key-data": "a-secret!" } }, /client-key-data is not base64/],
    [{ user: { token: "a-secret\nx: y" } }, /the token is none/],
    [{ user: { tokenFile: "nowhere" } }, /no such file/],
    [{ cluster: { "proxy-url": "http://p" } }, /proxy-url is not supported/],
    [{ cluster: { server: "http://127.0.0.1:1" } }, /is no https URL/],
    [{ cluster: { server: "https://x:a-secret@127.0.0.1" } }, /is no https URL/],
    [{ cluster: { "insecure-skip-tls-verify": "yes" } }, /true or false/],
  ] as const)
    assert.match((await failureOf(loadKubeconfig(writeKubeconfig("https://127.0.0.1:1", parts)))).message, message);
  const other = await failureOf(loadKubeconfig(writeKubeconfig("https://127.0.0.1:1"), "prod"));
  assert.deepEqual([other.code, other.hint], ["kubeconfig-malformed", "it has test"]);
  for (const text of ["a: [", "", "kind: Config\n", "kind: Config\ncurrent-context: x\ncontexts: 1\n"]) {
    writeFileSync(folder.join("broken"), text);
    await failureOf(loadKubeconfig(folder.join("broken")));
  }
});
