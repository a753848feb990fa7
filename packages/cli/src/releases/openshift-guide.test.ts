/** Every command of docs/openshift.md, and what it prints, on loopback: Debian's docker-registry, a web server of static files, gpg, an API server over TLS. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import {
  type DockerRegistry,
  type PushTarget,
  type TempDir,
  buildTestImage,
  buildTestRelease,
  httpPushTarget,
  makeGpgHome,
  makeTempDir,
  makeTlsCertificates,
  pushTestImage,
  requireTool,
  run,
  runChecked,
  startDockerRegistry,
  startLoopbackServer,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const root = join(import.meta.dirname, "../../../..");
const vectors = join(root, "vectors");
const genuineRelease = "sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363";
const bundleName = "albo/aws-load-balancer-operator-bundle";
const bundleDigest = "sha256:50b9402635dd4b312a86bed05dcdbda8c00120d3789ec2e9b527045100b3bdb4";

interface DocumentedCommand {
  readonly line: string;
  readonly status: number;
  readonly output: readonly string[];
}

/** The commands of the page with the exit status and output that it promises. */
function readCommands(): readonly DocumentedCommand[] {
  const page = readFileSync(join(root, "docs/openshift.md"), "utf8");
  const blocks = [...page.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const [first = "", ...output] = text.trimEnd().split("\n");
        const [line = "", comment = ""] = first.split(/\s+# /);
        return { line, status: Number(/^exit (\d+)/.exec(comment)?.[1] ?? 0), output };
      }),
  );
}

/** Of what the page shows, `…` stands for anything within a line, and a line of its own for any number of lines. */
function patternOf(output: readonly string[]): RegExp {
  const lines = output.map((line) => {
    if (line.trim() === "…") return "(?:.*\\n)*";
    const parts = line.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    return `${parts.join(".*")}\\n`;
  });
  return new RegExp(`^${lines.join("")}$`);
}

/** Files in a folder, as a web server gives them out: release signatures and a lookaside tree. */
function startStore(folder: string): ReturnType<typeof startLoopbackServer> {
  return startLoopbackServer((request, response) => {
    const file = join(folder, decodeURIComponent(new URL(request.url ?? "", "http://store").pathname));
    if (!file.startsWith(folder) || !existsSync(file)) response.writeHead(404).end();
    else response.end(readFileSync(file));
  });
}

/** Two releases, the second one with an image that nobody has; the first also as a mirror holds it. */
async function pushReleases(folder: TempDir, target: PushTarget): Promise<Signer> {
  const now = Date.now();
  const key = await generateKey({ engine, now, userIds: ["Release <r@example.com>"], algorithm: "ed25519" });
  writeFileSync(folder.join("release.pub"), key.publicKey);
  const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine, now });
  const repository = "quay.io/openshift-release-dev/ocp-v4.0-art-dev";
  for (const version of ["4.17.9", "4.17.10"]) {
    const special = version === "4.17.10" ? { 2: { seed: 5002 } } : {};
    const { image, components } = await buildTestRelease({ repository, count: 12, version, special });
    const name = `openshift-release-dev/ocp-release:${version}-x86_64`;
    for (const [index, component] of components.entries()) {
      if (index in special) continue;
      await pushTestImage(target, `openshift-release-dev/ocp-v4.0-art-dev@${component.digest}`, component);
      await pushTestImage(target, `ocp/components@${component.digest}`, component);
    }
    await pushTestImage(target, name, image);
    await pushTestImage(target, `ocp/release:${version}-x86_64`, image);
    const { bytes } = await createSignature(image.manifest, `quay.io/${name}`, signer, { engine, now });
    put(folder, `store/releases/${image.digest.replace(":", "=")}/signature-1`, bytes);
  }
  const signature = "signature-1";
  const genuine = genuineRelease.replace(":", "=");
  put(
    folder,
    `store/releases/${genuine}/${signature}`,
    readFileSync(join(vectors, "openshift/signatures", genuine, signature)),
  );
  return signer;
}

/** Red Hat's own bundle with its four signatures, and a catalog that names it. */
async function pushOperators(
  folder: TempDir,
  registry: DockerRegistry,
  target: PushTarget,
  signer: Signer,
): Promise<void> {
  const genuine = join(vectors, "redhat/albo-bundle");
  const manifest = readFileSync(join(genuine, "manifest.json"));
  const { config, layers } = JSON.parse(manifest.toString()) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  for (const { digest } of [config, ...layers])
    await target.putBlob(bundleName, readFileSync(join(vectors, "openshift/albo-bundle-blobs", digest.slice(7))));
  await target.putManifest(bundleName, "0.0.1", manifest, "application/vnd.docker.distribution.manifest.v2+json");
  for (const name of ["signature-1", "signature-2", "signature-3", "signature-4"])
    put(
      folder,
      `store/lookaside/${bundleName}@${bundleDigest.replace(":", "=")}/${name}`,
      readFileSync(join(genuine, name)),
    );
  put(
    folder,
    ".config/containers/registries.d/all.yaml",
    `docker:\n  ${registry.host}:\n    lookaside: file://${folder.join("store/lookaside")}\n`,
  );
  const packageName = "aws-load-balancer-operator";
  const image = `registry.redhat.io/${bundleName}@${bundleDigest}`;
  const documents = [
    { schema: "olm.package", name: packageName, defaultChannel: "stable-v0.1" },
    { schema: "olm.channel", package: packageName, name: "stable-v0.1", entries: [{ name: `${packageName}.v0.0.1` }] },
    {
      schema: "olm.bundle",
      package: packageName,
      name: `${packageName}.v0.0.1`,
      image,
      relatedImages: [{ name: "", image }],
    },
  ];
  const index = await buildTestImage({
    labels: { "operators.operatorframework.io.index.configs.v1": "/configs" },
    files: { "configs/catalog.json": documents.map((document) => JSON.stringify(document)).join("\n") },
  });
  const catalog = "redhat/redhat-operator-index";
  await pushTestImage(target, `${catalog}:v4.17`, index);
  const name = `registry.redhat.io/${catalog}:v4.17`;
  const { bytes } = await createSignature(index.manifest, name, signer, { engine, now: Date.now() });
  put(folder, `store/lookaside/${catalog}@${index.digest.replace(":", "=")}/signature-1`, bytes);
}

async function signDownloads(folder: TempDir): Promise<void> {
  await using home = await makeGpgHome();
  const key = await home.generateKey({ algorithm: "rsa2048", userId: "Release <release@example.com>" });
  writeFileSync(folder.join("downloads.pub"), await home.exportPublic(key));
  const names = ["openshift-client-linux.tar.gz", "openshift-install-linux.tar.gz"];
  for (const name of names) put(folder, `downloads/${name}`, name);
  const { stdout } = await runChecked("sha256sum", names, { cwd: folder.join("downloads") });
  put(
    folder,
    "changed.txt",
    stdout.replace(/^./, (digit) => (digit === "0" ? "1" : "0")),
  );
  put(folder, "sha256sum.txt.gpg", await home.sign(key, stdout));
  for (const name of names) cpSync(folder.join("downloads", name), folder.join(name));
}

/** A pool of three nodes. */
function listPool(updated: number): { readonly pools: readonly object[]; readonly nodes: readonly object[] } {
  const isDone = updated === 3;
  const prefix = "machineconfiguration.openshift.io";
  const nodes = [1, 2, 3].map((number) => {
    const config = number <= updated ? "rendered-worker-2" : "rendered-worker-1";
    const annotations = Object.fromEntries(
      Object.entries({ currentConfig: config, desiredConfig: config, state: "Done" }).map(([key, value]) => [
        `${prefix}/${key}`,
        value,
      ]),
    );
    return {
      kind: "Node",
      metadata: { name: `w${number}`, labels: { worker: "" }, annotations },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    };
  });
  const pool = {
    kind: "MachineConfigPool",
    metadata: { name: "worker", generation: 1 },
    spec: {
      configuration: { name: "rendered-worker-2", source: [{ name: "51-worker-rh-registry-trust" }] },
      nodeSelector: { matchLabels: { worker: "" } },
    },
    status: {
      observedGeneration: 1,
      configuration: { name: isDone ? "rendered-worker-2" : "rendered-worker-1" },
      conditions: [
        { type: "Updated", status: isDone ? "True" : "False" },
        { type: "Updating", status: isDone ? "False" : "True" },
      ],
      machineCount: 3,
      readyMachineCount: updated,
      updatedMachineCount: updated,
    },
  };
  return { pools: [pool], nodes };
}

function put(folder: TempDir, path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(folder.join(path)), { recursive: true });
  writeFileSync(folder.join(path), content);
}

/** What names lead to in this test, instead of quay.io and Red Hat's registry. */
function writeRegistriesConf(folder: TempDir, host: string): void {
  const entries = ["quay.io", "registry.redhat.io", "mirror.example.com"].map(
    (prefix) => `[[registry]]\nprefix = "${prefix}"\nlocation = "${host}"\ninsecure = true\n`,
  );
  put(folder, ".config/containers/registries.conf", entries.join("\n"));
}

function hasTools(t: TestContext): boolean {
  return (["docker-registry", "gpg", "openssl"] as const).every((tool) => requireTool(t, tool) !== undefined);
}

test("every command of docs/openshift.md does and prints what stands there", async (t) => {
  if (!hasTools(t)) return;
  using folder = makeTempDir("signet-openshift-");
  await using registry = await startDockerRegistry();
  await using store = await startStore(folder.join("store"));
  using certificates = await makeTlsCertificates();
  let looks = 0;
  await using cluster = await startLoopbackServer(
    (request, response) => {
      const isPools = request.url?.includes("machineconfigpools") === true;
      if (isPools) looks++;
      const { pools, nodes } = listPool(looks < 2 ? 1 : 3);
      response.end(JSON.stringify({ kind: "List", items: isPools ? pools : nodes }));
    },
    { tls: certificates },
  );
  const target = httpPushTarget(registry.url);
  writeRegistriesConf(folder, registry.host);
  const signer = await pushReleases(folder, target);
  await pushOperators(folder, registry, target, signer);
  await signDownloads(folder);
  cpSync(join(vectors, "redhat/keys/RPM-GPG-KEY-redhat-release.rhel9"), folder.join("RPM-GPG-KEY-redhat-release"));
  const butane = "51-worker-rh-registry-trust.bu";
  cpSync(join(vectors, "machineconfig/butane", butane), folder.join(butane));
  const signedBy = (keyFile: string): readonly object[] => [
    {
      type: "signedBy",
      keyType: "GPGKeys",
      keyPath: folder.join(keyFile),
      signedIdentity: { type: "matchRepository" },
    },
  ];
  // The bundle is Red Hat's own, the catalog around it is not.
  const scopes = {
    "registry.redhat.io": signedBy("RPM-GPG-KEY-redhat-release"),
    "registry.redhat.io/redhat": signedBy("release.pub"),
  };
  const transports = { docker: scopes };
  put(folder, "policy.json", JSON.stringify({ default: [{ type: "reject" }], transports }));
  const mirrored = join(vectors, "openshift/configmaps/oc-mirror-v2-signature-configmap.yaml");
  cpSync(mirrored, folder.join("signature-configmap.yaml"));
  const { pools, nodes } = listPool(1);
  put(folder, "pools.yaml", JSON.stringify({ kind: "List", apiVersion: "v1", items: [...pools, ...nodes] }));
  const authority = Buffer.from(certificates.ca).toString("base64");
  const kubeconfig = {
    kind: "Config",
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [{ name: "x", cluster: { server: cluster.url, "certificate-authority-data": authority } }],
    users: [{ name: "x", user: { token: "x" } }],
  };
  put(folder, "kubeconfig", JSON.stringify(kubeconfig));

  /** Nobody can sign as Red Hat, or has its stores here: a key and stores of the test, as options that readers of the page would leave out. */
  const further = (line: string): readonly string[] => {
    if (line.startsWith("signet checksums verify")) return ["--key", "downloads.pub"];
    if (line.includes("--watch")) return ["--interval", "1"];
    if (!line.startsWith("signet release verify")) return [];
    const from = line.includes("--configmap") ? `file://${folder.join("nothing")}` : `${store.url}/releases`;
    return ["--store", from, ...(line.includes(genuineRelease) ? [] : ["--key", "release.pub"])];
  };
  const commands = readCommands();
  assert.ok(commands.length >= 20, `${commands.length} commands`);
  for (const { line, status, output } of commands) {
    const [program, ...args] = line.split(" ");
    assert.equal(program, "signet", line);
    const done = await runSignet([...args, ...further(line)], { cwd: folder.path, env: { HOME: folder.path } });
    assert.equal(done.status, status, `${line}\n${done.stdout}${done.stderr}`);
    assert.match(done.stdout, patternOf(output), line);
    // What the next command of the page takes: the node's own words, from a node that was set up as the configuration says.
    if (line.includes("--script")) put(folder, "node.txt", await runOnNode(folder, done.stdout));
  }
});

/** What the script prints on a node that has the policy of the documentation. */
async function runOnNode(folder: TempDir, script: string): Promise<string> {
  const page = readFileSync(folder.join("51-worker-rh-registry-trust.bu"), "utf8");
  const [, inline = ""] = /inline: \|\n(.*)/s.exec(page) ?? [];
  put(folder, "node/etc/containers/policy.json", inline.replaceAll(/^ {8}/gm, ""));
  const place = folder.join("node");
  const { status, stdout, stderr } = await run("/bin/sh", ["-c", script.replaceAll(" '/", ` '${place}/`)]);
  assert.equal(status, 0, stderr);
  return stdout.replaceAll(place, "");
}

test("a page that shows something else than what is printed is noticed", () => {
  const shown = patternOf(["a …: b", "…", "end (1)"]);
  assert.match("a x: b\nmore\nand more\nend (1)\n", shown);
  assert.match("a x: b\nend (1)\n", shown);
  for (const printed of ["a x: b\nend (2)\n", "a x: b\nend (1)\nmore\n", "a x: c\nend (1)\n", "a x\ny: b\nend (1)\n"])
    assert.doesNotMatch(printed, shown);
});
