import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "@signet/server";
import { findTool, makeTempDir, run } from "@signet/testkit";
import { parseAllDocuments } from "yaml";

const deploy = join(import.meta.dirname, "../deploy");

interface Manifest {
  readonly kind: string;
  readonly resources?: readonly string[];
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

function readManifests(file: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(join(deploy, "kubernetes", file), "utf8")).map((document) => {
    assert.deepEqual(document.errors, [], file);
    return document.toJS() as Manifest;
  });
}

test("systemd accepts the unit, and finds little that it exposes", async (t) => {
  const systemd = findTool("systemd-analyze");
  if (systemd === undefined) return t.skip("systemd-analyze is not installed");
  const unit = join(deploy, "signet.service");
  const verified = await run(systemd, ["verify", "--man=no", unit]);
  assert.deepEqual([verified.status, verified.stderr], [0, ""]);
  const rated = await run(systemd, ["security", "--offline=yes", "--no-pager", "--threshold=20", unit]);
  assert.equal(rated.status, 0, rated.stdout.slice(-500));
});

test("the Kubernetes set names every manifest, and its configuration is one that the server takes", async () => {
  const files = readdirSync(join(deploy, "kubernetes")).filter((file) => file !== "kustomization.yaml");
  assert.deepEqual(readManifests("kustomization.yaml")[0]?.resources?.toSorted(), files.toSorted());
  const manifests = files.flatMap(readManifests);
  const kinds = manifests.map(({ kind }) => kind).toSorted();
  assert.deepEqual(kinds, ["ConfigMap", "Namespace", "Secret", "Service", "StatefulSet"]);
  using dir = makeTempDir("signet-deploy-");
  const file = dir.join("signet.yaml");
  writeFileSync(file, manifests.find(({ kind }) => kind === "ConfigMap")?.data?.["signet.yaml"] ?? "");
  const { config } = await loadConfig({ file, env: {} });
  assert.equal(config.data, "/data");
  assert.equal(config.metricsListen?.port, 9090);
});

test("the pod is nobody, writes nothing but its volumes, and is given time to drain", async () => {
  const [set] = readManifests("statefulset.yaml");
  const { template } = set!.spec as { template: { spec: Record<string, unknown> } };
  const pod = template.spec as {
    terminationGracePeriodSeconds: number;
    securityContext: { runAsNonRoot: boolean };
    containers: readonly { securityContext: unknown }[];
  };
  assert.equal(pod.securityContext.runAsNonRoot, true);
  assert.ok(pod.terminationGracePeriodSeconds > 35);
  assert.deepEqual(pod.containers[0]?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
});

test("the Containerfile copies what is there after a build, and does not run as root", () => {
  const text = readFileSync(join(deploy, "Containerfile"), "utf8");
  assert.match(text, /^USER 65532:65532$/m);
  const copied = [...text.matchAll(/^COPY (packages\/cli\/\S+)/gm)].map(([, path]) => path);
  assert.deepEqual(copied, ["packages/cli/package.json", "packages/cli/bin", "packages/cli/dist"]);
});
