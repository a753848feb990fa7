import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { after, before, describe, test } from "node:test";
import {
  type TlsCertificates,
  findTool,
  makeTempDir,
  makeTlsCertificates,
  requireTool,
  startLoopbackServer,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir();
let certificates: TlsCertificates | undefined;
before(async () => {
  if (findTool("openssl") !== undefined) certificates = await makeTlsCertificates();
});
after(() => {
  certificates?.dispose();
  folder.dispose();
});

const status = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["machineconfig", "status", ...args], { cwd: folder.path });

const NEW = "rendered-worker-2";
const OLD = "rendered-worker-1";
const TOKEN = "sha256~a-secret-token";

/** A pool of three workers of which some have the new configuration. */
function pool(updated: number, more: { readonly degraded?: boolean; readonly paused?: boolean } = {}): object {
  const isDone = updated === 3;
  const condition = (type: string, isTrue: boolean, message = ""): object => ({
    type,
    status: isTrue ? "True" : "False",
    message,
  });
  return {
    metadata: { name: "worker", generation: 1 },
    spec: {
      configuration: { name: NEW, source: [{ name: "99-worker-trust" }] },
      nodeSelector: { matchLabels: { worker: "" } },
      paused: more.paused ?? false,
    },
    status: {
      observedGeneration: 1,
      configuration: { name: isDone ? NEW : OLD },
      conditions: [
        condition("Updated", isDone),
        condition("Updating", !isDone && more.paused !== true),
        condition("Degraded", more.degraded ?? false),
        condition(
          "NodeDegraded",
          more.degraded ?? false,
          more.degraded === true ? 'Node w2 is reporting: "disk full"' : "",
        ),
      ],
      machineCount: 3,
      updatedMachineCount: updated,
      readyMachineCount: 3,
      unavailableMachineCount: 0,
      degradedMachineCount: more.degraded === true ? 1 : 0,
    },
  };
}

function nodes(updated: number): readonly object[] {
  return [1, 2, 3].map((number) => {
    const config = number <= updated ? NEW : OLD;
    const annotations = Object.fromEntries(
      Object.entries({ currentConfig: config, desiredConfig: config, state: "Done" }).map(([key, value]) => [
        `machineconfiguration.openshift.io/${key}`,
        value,
      ]),
    );
    return {
      metadata: { name: `w${number}`, labels: { worker: "" }, annotations },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    };
  });
}

const withKinds = (items: readonly object[], kind: string): readonly object[] =>
  items.map((item) => ({ apiVersion: "v1", kind, ...item }));
const list = (updated: number, more = {}): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [...withKinds([pool(updated, more)], "MachineConfigPool"), ...withKinds(nodes(updated), "Node")],
  });

/** What an API server answers: lists page by page, to those who have the token. */
function api(answer: () => { readonly pools: readonly object[]; readonly nodes: readonly object[] }): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const reply = (code: number, body: object): void => {
      response.writeHead(code, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    const isKnown = request.headers.authorization === `Bearer ${TOKEN}`;
    if (request.method !== "GET" || !isKnown) return reply(401, { kind: "Status", message: "Unauthorized" });
    const url = new URL(request.url ?? "", "https://api");
    const isPools = url.pathname === "/apis/machineconfiguration.openshift.io/v1/machineconfigpools";
    if (!isPools && url.pathname !== "/api/v1/nodes")
      return reply(404, { kind: "Status", message: "the server could not find the requested resource" });
    const items = isPools ? answer().pools : answer().nodes;
    // Two objects a page, whatever was asked for.
    const from = Number(url.searchParams.get("continue") ?? 0);
    const next = from + 2 < items.length ? `${from + 2}` : "";
    return reply(200, {
      kind: isPools ? "MachineConfigPoolList" : "NodeList",
      metadata: { continue: next },
      items: items.slice(from, from + 2),
    });
  };
}

interface KubeconfigParts {
  readonly cluster?: object;
  readonly user?: object;
}

function writeKubeconfig(server: string, parts: KubeconfigParts = {}): string {
  const authority = Buffer.from(certificates?.ca ?? "").toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "c", user: "u", namespace: "default" } }],
    clusters: [{ name: "c", cluster: { server, "certificate-authority-data": authority, ...parts.cluster } }],
    users: [{ name: "u", user: parts.user ?? { token: TOKEN } }],
  };
  writeFileSync(folder.join("kubeconfig"), JSON.stringify(config), { mode: 0o600 });
  return "kubeconfig";
}

describe("machineconfig status from files", () => {
  test("says where every pool stands, with its exit status", async () => {
    for (const [text, exit, sentence] of [
      [list(3), 0, /^done {5}worker: all 3 nodes have rendered-worker-2\n$/],
      [
        list(1),
        2,
        /^updating worker: 1 of 3 nodes have rendered-worker-2; w2 has rendered-worker-1 and waits for its turn \(maxUnavailable 1\) \(and 1 more\)\n {2}w2 .*\n {2}w3 .*\n$/,
      ],
      [
        list(1, { degraded: true }),
        1,
        /^degraded worker: degraded \(NodeDegraded: Node w2 is reporting: "disk full"\)\n/,
      ],
      [list(1, { paused: true }), 1, /^paused {3}worker: it is paused; /],
    ] as const) {
      const input = text;
      const found = await runSignet(["machineconfig", "status", "-"], { input });
      assert.deepEqual([found.status, found.stderr], [exit, ""]);
      assert.match(found.stdout, sentence);
    }
    writeFileSync(folder.join("pools.json"), list(2));
    const json = await status("pools.json", "-o", "json");
    const { pools } = JSON.parse(json.stdout) as {
      pools: readonly { name: string; state: string; lagging: readonly { name: string }[] }[];
    };
    assert.deepEqual(
      pools.map(({ name, state, lagging }) => [name, state, lagging.map((node) => node.name)]),
      [["worker", "updating", ["w3"]]],
    );
    const missing = await status("pools.json", "--config", "99-worker-other");
    assert.match(missing.stdout, /99-worker-other is not part of/);
  });

  test("nothing to judge, broken files and wrong calls are never success", async () => {
    writeFileSync(folder.join("pools.json"), list(3));
    for (const [input, message] of [
      ["kind: ConfigMap\n", /no MachineConfigPool is there/],
      ["", /no MachineConfigPool/],
      ["a: [", /error: standard input:/],
    ] as const) {
      const found = await runSignet(["machineconfig", "status", "-"], { input });
      assert.deepEqual([found.status, found.stdout], [2, ""]);
      assert.match(found.stderr, message);
    }
    const unknown = await status("pools.json", "--pool", "infra");
    assert.deepEqual([unknown.status, /no pool infra is there; there are worker/.test(unknown.stderr)], [2, true]);
    for (const args of [
      [],
      ["pools.json", "--kubeconfig", "k"],
      ["pools.json", "--context", "c"],
      ["-", "--watch"],
      ["pools.json", "--interval", "5"],
    ])
      assert.equal((await status(...args)).status, 64, args.join(" "));
  });

  test("a file is watched until it says that the roll-out is over", async () => {
    writeFileSync(folder.join("watched.json"), list(1));
    const running = status("watched.json", "--watch", "--interval", "1");
    setTimeout(() => writeFileSync(folder.join("watched.json"), list(3)), 1500);
    const { status: exit, stdout, stderr } = await running;
    assert.equal(exit, 0);
    assert.match(stderr, /^worker: 1 of 3 nodes have rendered-worker-2; w2 /);
    assert.equal(stdout, "done     worker: all 3 nodes have rendered-worker-2\n");
    writeFileSync(folder.join("watched.json"), list(1));
    const late = await status("watched.json", "--watch", "--interval", "1", "--timeout", "1", "--quiet");
    assert.deepEqual([late.status, late.stderr], [2, "error: not done in time\n"]);
  });
});

test("without the nodes the sentence stands alone, with what would say more", async () => {
  const pools = JSON.stringify({ apiVersion: "v1", kind: "List", items: withKinds([pool(1)], "MachineConfigPool") });
  writeFileSync(folder.join("alone.yaml"), pools);
  const alone = await status("alone.yaml");
  assert.deepEqual([alone.status, alone.stdout], [2, `updating worker: 1 of 3 nodes have ${NEW}\n`]);
  assert.match(alone.stderr, /^hint: with the nodes beside the pools /);
  writeFileSync(folder.join("table.txt"), "NAME     CONFIG    UPDATED\nworker   rendered-worker-2   True\n");
  const table = await status("table.txt");
  assert.deepEqual([table.status, /in YAML or JSON/.test(table.stderr)], [2, true]);
});

describe("machineconfig status from a cluster", () => {
  test("reads pools and nodes page by page, and only reads", async (t) => {
    if (requireTool(t, "openssl") === undefined || certificates === undefined) return;
    await using server = await startLoopbackServer(
      api(() => ({ pools: [pool(2)], nodes: nodes(2) })),
      { tls: certificates },
    );
    const { status: exit, stdout, stderr } = await status("--kubeconfig", writeKubeconfig(server.url));
    assert.deepEqual([exit, stderr], [2, ""]);
    assert.match(stdout, /^updating worker: 2 of 3 nodes have rendered-worker-2; w3 /);
    assert.ok(server.requests.every(({ method }) => method === "GET"));
    assert.deepEqual(
      server.requests.map(({ url }) => url?.replace(/\?limit=500/, "")),
      ["/apis/machineconfiguration.openshift.io/v1/machineconfigpools", "/api/v1/nodes", "/api/v1/nodes&continue=2"],
    );
  });

  test("is watched through a time without answers", async (t) => {
    if (requireTool(t, "openssl") === undefined || certificates === undefined) return;
    let looks = 0;
    const answer = api(() => ({ pools: [pool(looks > 3 ? 3 : 1)], nodes: nodes(looks > 3 ? 3 : 1) }));
    await using server = await startLoopbackServer(
      (request, response) => {
        if (request.url?.includes("pools") === true) looks++;
        if (looks === 2) request.socket.destroy();
        else if (looks === 3) response.writeHead(503).end();
        else answer(request, response);
      },
      { tls: certificates },
    );
    const {
      status: exit,
      stdout,
      stderr,
    } = await status("--kubeconfig", writeKubeconfig(server.url), "--watch", "--interval", "1");
    assert.equal(exit, 0, stderr);
    assert.equal(stdout, "done     worker: all 3 nodes have rendered-worker-2\n");
    assert.equal(stderr.match(/; trying again\n/g)?.length, 2);
  });

  test("shows a client certificate, from data and from files beside the kubeconfig", async (t) => {
    if (requireTool(t, "openssl") === undefined || certificates === undefined) return;
    const { ca, certDir } = certificates;
    const listener: RequestListener = (request, response) => {
      request.headers.authorization = `Bearer ${TOKEN}`;
      api(() => ({ pools: [pool(3)], nodes: nodes(3) }))(request, response);
    };
    await using server = await startLoopbackServer(listener, { tls: { ...certificates, clientCa: ca } });
    for (const name of ["client.cert", "client.key", "ca.crt"])
      writeFileSync(folder.join(name), readFileSync(`${certDir}/${name}`));
    const read = (name: string): string => readFileSync(folder.join(name)).toString("base64");
    const byData = { "client-certificate-data": read("client.cert"), "client-key-data": read("client.key") };
    const byFile = { "client-certificate": "client.cert", "client-key": "client.key" };
    for (const user of [byData, byFile])
      assert.equal((await status("--kubeconfig", writeKubeconfig(server.url, { user }))).status, 0);
    const authority = { "certificate-authority-data": "", "certificate-authority": "ca.crt" };
    assert.equal(
      (await status("--kubeconfig", writeKubeconfig(server.url, { user: byData, cluster: authority }))).status,
      0,
    );
    const none = await status("--kubeconfig", writeKubeconfig(server.url));
    assert.equal(none.status, 2);
  });

  test("is not believed without the right certificate, unless the kubeconfig says so", async (t) => {
    if (requireTool(t, "openssl") === undefined || certificates === undefined) return;
    await using server = await startLoopbackServer(
      api(() => ({ pools: [pool(3)], nodes: nodes(3) })),
      { tls: certificates },
    );
    const noAuthority = { "certificate-authority-data": "" };
    const untrusted = await status("--kubeconfig", writeKubeconfig(server.url, { cluster: noAuthority }));
    assert.deepEqual([untrusted.status, untrusted.stdout], [2, ""]);
    assert.match(untrusted.stderr, /no trustworthy TLS connection/);
    assert.equal(server.requests.length, 0);
    const skipped = await status(
      "--kubeconfig",
      writeKubeconfig(server.url, { cluster: { ...noAuthority, "insecure-skip-tls-verify": true } }),
    );
    assert.equal(skipped.status, 0);
    const wrongName = await status(
      "--kubeconfig",
      writeKubeconfig(server.url, { cluster: { "tls-server-name": "other.example.com" } }),
    );
    assert.match(wrongName.stderr, /no trustworthy TLS connection/);
    const rightName = await status(
      "--kubeconfig",
      writeKubeconfig(server.url, { cluster: { "tls-server-name": "localhost" } }),
    );
    assert.equal(rightName.status, 0, rightName.stderr);
  });

  test("that refuses ends with 2, without a word of the token; so does a kubeconfig that wants more than is done", async (t) => {
    if (requireTool(t, "openssl") === undefined || certificates === undefined) return;
    await using server = await startLoopbackServer(
      api(() => ({ pools: [], nodes: [] })),
      { tls: certificates },
    );
    const refused = await status(
      "--kubeconfig",
      writeKubeconfig(server.url, { user: { token: "a-secret-other" } }),
      "--debug",
    );
    assert.deepEqual([refused.status, refused.stdout], [2, ""]);
    assert.match(refused.stderr, /status 401: Unauthorized\nhint: the credentials/);
    assert.doesNotMatch(refused.stderr, /a-secret/);
    const exec = await status("--kubeconfig", writeKubeconfig(server.url, { user: { exec: { command: "touch" } } }));
    assert.deepEqual([exec.status, /exec is not supported, since it starts a program/.test(exec.stderr)], [2, true]);
    const other = await status("--kubeconfig", "kubeconfig", "--context", "prod");
    assert.match(other.stderr, /it has no context "prod"\nhint: it has test/);
  });
});
