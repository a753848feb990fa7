import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeTempDir, makeTlsCertificates, requireTool, startLoopbackServer } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const root = join(import.meta.dirname, "../../../..");
const vectors = join(root, "vectors");

/** The lines of the page that call signet, with the exit status that it promises. */
function readCommands(): readonly { readonly line: string; readonly status: number }[] {
  const page = readFileSync(join(root, "docs/machineconfig.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  return blocks.flatMap((block) =>
    block
      .trimEnd()
      .split("\n")
      .map((text) => {
        const [line = "", comment = ""] = text.split(/\s+# /);
        return { line, status: Number(/^exit (\d+)/.exec(comment)?.[1] ?? 0) };
      }),
  );
}

const pool = (updated: number): object => {
  const isDone = updated === 1;
  return {
    apiVersion: "machineconfiguration.openshift.io/v1",
    kind: "MachineConfigPool",
    metadata: { name: "worker", generation: 1 },
    spec: { configuration: { name: "rendered-worker-2", source: [{ name: "99-worker-trust" }] } },
    status: {
      observedGeneration: 1,
      configuration: { name: isDone ? "rendered-worker-2" : "rendered-worker-1" },
      conditions: [
        { type: "Updated", status: isDone ? "True" : "False" },
        { type: "Updating", status: isDone ? "False" : "True" },
      ],
      machineCount: 1,
      readyMachineCount: 1,
      updatedMachineCount: updated,
    },
  };
};

test("every command of the guide does what it says", async (t) => {
  if (requireTool(t, "openssl") === undefined) return;
  using folder = makeTempDir();
  using certificates = await makeTlsCertificates();
  await using server = await startLoopbackServer(
    (request, response) => {
      const items = request.url?.includes("machineconfigpools") === true ? [pool(1)] : [];
      response.end(JSON.stringify({ kind: "List", items }));
    },
    { tls: certificates },
  );
  const seed = "51-worker-rh-registry-trust.bu";
  cpSync(join(vectors, "machineconfig/butane", seed), folder.join(seed));
  cpSync(join(vectors, "openshift/image-policies/openshift.yaml"), folder.join("openshift-policy.yaml"));
  const key = await generateKey({
    engine: nodeEngine,
    now: Date.now(),
    userIds: ["R <r@example.com>"],
    algorithm: "rsa2048",
  });
  writeFileSync(folder.join("release.pub"), key.publicKey);
  const signedBy = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/pki/containers/release.pub" }];
  const policy = {
    default: [{ type: "insecureAcceptAnything" }],
    transports: { docker: { "registry.example.com": signedBy } },
  };
  writeFileSync(folder.join("policy.json"), JSON.stringify(policy));
  const stores = (name: string): string =>
    `docker:\n  registry.example.com:\n    lookaside: https://${name}.example.com/s\n`;
  mkdirSync(folder.join("registries.d"));
  writeFileSync(folder.join("registries.d/example.yaml"), stores("a"));
  mkdirSync(folder.join("node-files/etc/containers/registries.d"), { recursive: true });
  writeFileSync(folder.join("node-files/etc/containers/registries.d/example.yaml"), stores("b"));
  writeFileSync(folder.join("pools.yaml"), JSON.stringify(pool(0)));
  const config = {
    kind: "Config",
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [
      {
        name: "x",
        cluster: { server: server.url, "certificate-authority-data": Buffer.from(certificates.ca).toString("base64") },
      },
    ],
    users: [{ name: "x", user: { token: "x" } }],
  };
  writeFileSync(folder.join("kubeconfig"), JSON.stringify(config));
  const rendered = await runSignet(["machineconfig", "render", "--trust-dir", "node-files", "--write", "files.yaml"], {
    cwd: folder.path,
  });
  assert.equal(rendered.status, 0);
  const commands = readCommands();
  assert.ok(commands.length >= 12);
  for (const { line, status } of commands) {
    const [program, ...args] = line.split(" ");
    assert.equal(program, "signet", line);
    const run = await runSignet(args, { cwd: folder.path });
    assert.equal(run.status, status, `${line}\n${run.stdout}${run.stderr}`);
  }
});
