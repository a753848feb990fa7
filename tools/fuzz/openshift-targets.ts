/** Readers of what OpenShift and its tools write. */
import { gzipSync } from "node:zlib";
import { makeKeyring, parseKeyring, verifySignedDocument } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { writeTestPaxHeader, writeTestTar, writeTestTarEntry } from "@signet/testkit";
import { visitTarEntries } from "../../packages/images/src/transports/tar-files.ts";
import { CatalogFiles } from "../../packages/openshift/src/catalog/catalog-files.ts";
import { assembleCatalog } from "../../packages/openshift/src/catalog/catalog.ts";
import { parseChecksumList } from "../../packages/openshift/src/checksums/checksum-list.ts";
import { readKubeconfig } from "../../packages/openshift/src/cluster/kubeconfig.ts";
import { isImagePolicy, readImagePolicy } from "../../packages/openshift/src/image-policy/image-policy.ts";
import { liftPolicy } from "../../packages/openshift/src/image-policy/lift-policy.ts";
import { readMirrorSets } from "../../packages/openshift/src/image-policy/mirror-sets.ts";
import { parseManifestObjects } from "../../packages/openshift/src/kubernetes/manifests.ts";
import { parseButane } from "../../packages/openshift/src/machine-config/butane-config.ts";
import { parseNodeFiles } from "../../packages/openshift/src/machine-config/node-file.ts";
import { parseNodeTranscript } from "../../packages/openshift/src/machine-config/node-transcript.ts";
import { assessPools } from "../../packages/openshift/src/machine-config/pool-status.ts";
import { tryParseReleaseDigest } from "../../packages/openshift/src/release/release-digest.ts";
import {
  compareReleases,
  componentVersions,
  parseReleasePayload,
} from "../../packages/openshift/src/release/release-payload.ts";
import { readSignatureConfigMaps } from "../../packages/openshift/src/release/signature-config-map.ts";
import {
  findVerificationConfigMap,
  parseVerificationConfigMap,
} from "../../packages/openshift/src/release/verification-config-map.ts";
import type { FuzzTarget } from "./fuzzer.ts";
import { bytesOf, jsonWords, seedsFrom } from "./seeds.ts";

const zeros = "0".repeat(64);
const yamlWords = bytesOf(
  "\n",
  "- ",
  ": ",
  "&a ",
  "*a",
  "<<: *a\n",
  "---\n",
  "|\n",
  "!!binary ",
  "? ",
  "{}",
  "[]",
  "''",
);

/** In pieces of odd sizes, so that nothing rests on where a chunk ends. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 509) yield bytes.slice(at, at + 509);
}

/** Makes the checksums of tar headers right again: a mutation beyond the first would never be reached otherwise. */
function withChecksums(archive: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(archive);
  for (let at = 0; at + 512 <= copy.length; at += 512) {
    const block = copy.subarray(at, at + 512);
    if (String.fromCharCode(...block.subarray(257, 262)) !== "ustar") continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, octet) => total + octet, 0);
    block.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return copy;
}

const machineConfig = (contents: object): string =>
  JSON.stringify({
    apiVersion: "machineconfiguration.openshift.io/v1",
    kind: "MachineConfig",
    metadata: { name: "99-worker-trust", labels: { "machineconfiguration.openshift.io/role": "worker" } },
    spec: {
      config: {
        ignition: { version: "3.2.0" },
        storage: { files: [{ path: "/etc/containers/policy.json", mode: 420, overwrite: true, contents }] },
      },
    },
  });

const rendered = "rendered-worker-0123456789abcdef0123456789abcdef";
const pool = JSON.stringify({
  apiVersion: "v1",
  kind: "List",
  items: [
    {
      apiVersion: "machineconfiguration.openshift.io/v1",
      kind: "MachineConfigPool",
      metadata: { name: "worker", generation: 3 },
      spec: {
        paused: false,
        maxUnavailable: "10%",
        nodeSelector: { matchLabels: { "node-role.kubernetes.io/worker": "" } },
        configuration: { name: rendered, source: [{ kind: "MachineConfig", name: "99-worker-trust" }] },
      },
      status: {
        observedGeneration: 3,
        machineCount: 3,
        updatedMachineCount: 1,
        readyMachineCount: 1,
        unavailableMachineCount: 1,
        degradedMachineCount: 1,
        configuration: { name: rendered },
        conditions: [{ type: "Updating", status: "True", reason: "", message: "", lastTransitionTime: null }],
      },
    },
    {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: "worker-0",
        labels: { "node-role.kubernetes.io/worker": "" },
        annotations: {
          "machineconfiguration.openshift.io/currentConfig": rendered,
          "machineconfiguration.openshift.io/desiredConfig": rendered,
          "machineconfiguration.openshift.io/state": "Degraded",
          "machineconfiguration.openshift.io/reason": "disk",
        },
      },
      spec: { unschedulable: true },
      status: { conditions: [{ type: "Ready", status: "False" }] },
    },
  ],
});

const kubeconfig = `apiVersion: v1
kind: Config
current-context: a
contexts:
- name: a
  context: {cluster: c, user: u, namespace: n}
clusters:
- name: c
  cluster: {server: "https://api.example.com:6443", certificate-authority-data: LS0t, tls-server-name: x}
users:
- name: u
  user: {token: abc, client-certificate: crt.pem, client-key-data: LS0t}
`;

const wanted = [{ path: "/etc/containers/policy.json" }, { path: "/etc/containers/registries.d/a.yaml" }];

/** The YAML parser takes a millisecond and more for what the JSON parser reads in a tenth of one. */
const YAML_COST = 10;

export const openShiftTargets: Readonly<Record<string, () => Omit<FuzzTarget, "name">>> = {
  "checksum-list": () => ({
    seeds: bytesOf(
      `${zeros}  openshift-client-linux.tar.gz\n${zeros} *a b\n`,
      `\\${zeros}  a\\nb\\\\c\r\n`,
      `SHA256 (arm64/sha256sum.txt) = ${zeros}\n`,
    ),
    words: bytesOf("\\", "\\n", "  ", " *", "\r\n", "../", "/", "\0", "SHA256 (", ") = ", zeros, "\u001b[2J", "./"),
    run: (bytes) => {
      for (const { name } of parseChecksumList(bytes, "fuzz").entries)
        if (name.startsWith("/") || name.split("/").includes("..")) throw new Error(`a name that climbs: ${name}`);
    },
  }),
  "signed-document": () => {
    const keyring = makeKeyring(
      seedsFrom("redhat/keys/*").flatMap((bytes) => parseKeyring(bytes, nodeEngine).certificates),
    );
    const text = new TextEncoder().encode(`${zeros}  a\n`);
    const signature = Buffer.from(seedsFrom("openshift/signatures/**")[0]!).toString("base64");
    return {
      seeds: [
        ...seedsFrom("openshift/signatures/**", "openpgp/oracle/*.sig"),
        ...bytesOf(
          `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${zeros}  a\n- - b\n-----BEGIN PGP SIGNATURE-----\n\n${signature}\n-----END PGP SIGNATURE-----\n`,
          `-----BEGIN PGP MESSAGE-----\n\n${signature}\n-----END PGP MESSAGE-----\n`,
        ),
      ],
      words: bytesOf(
        "-----BEGIN PGP SIGNED MESSAGE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n",
        "Hash: SHA512\n",
        "- ",
        "=AAAA\n",
        "\r\n",
        " \t\n",
      ),
      run: (bytes) => {
        const options = { engine: nodeEngine, now: Date.UTC(2026, 0, 1) };
        for (const data of [undefined, text]) verifySignedDocument(bytes, data, keyring, options);
      },
    };
  },
  "release-payload": () => {
    const digest = `example.com/a/b@sha256:${zeros}`;
    const tag = {
      name: "etcd",
      annotations: { "io.openshift.build.versions": "a=1,b=2" },
      from: { kind: "DockerImage", name: digest },
    };
    const references = {
      kind: "ImageStream",
      metadata: { name: "4.1.0" },
      spec: { tags: [tag, { ...tag, name: "b" }] },
    };
    const metadata = { kind: "cincinnati-metadata-v0", version: "4.1.0", previous: ["4.0.1"], metadata: { url: "u" } };
    // The two files of a release, one behind the other.
    return {
      seeds: bytesOf(
        `${JSON.stringify(references)}\0${JSON.stringify(metadata)}`,
        JSON.stringify(references),
        "quay.io/a/b@sha256%3D" + zeros,
      ),
      words: [
        ...jsonWords,
        ...bytesOf('"from"', '"FROM"', '"kind":"DockerImage"', ":latest", "sha256=", "sha256-", "\0"),
      ],
      run: (bytes) => {
        tryParseReleaseDigest(Buffer.from(bytes).toString("latin1"));
        const at = bytes.indexOf(0);
        const release = parseReleasePayload(
          at < 0 ? bytes : bytes.subarray(0, at),
          at < 0 ? undefined : bytes.subarray(at + 1),
        );
        componentVersions(release);
        const { added, removed, changed, unchanged } = compareReleases(release, release);
        if (added.length + removed.length + changed.length > 0 || unchanged !== release.components.length)
          throw new Error("a release differs from itself");
      },
    };
  },
  "release-configmap": () => ({
    cost: YAML_COST,
    seeds: seedsFrom("openshift/configmaps/*", "openshift/verification-config-maps/*"),
    words: [
      ...jsonWords,
      ...yamlWords,
      ...bytesOf(
        "binaryData:",
        "data:",
        `sha256-${zeros}-1`,
        "store-x: file:///a",
        "kind: ConfigMap\n",
        "kind: List\n",
      ),
    ],
    run: (bytes) => {
      const objects = parseManifestObjects(bytes, "fuzz");
      readSignatureConfigMaps(objects);
      const object = findVerificationConfigMap(objects);
      if (object !== undefined) parseVerificationConfigMap(object, nodeEngine);
    },
  }),
  "machine-config": () => ({
    cost: YAML_COST,
    seeds: bytesOf(
      machineConfig({ source: "data:,%7B%7D" }),
      machineConfig({ source: "data:text/plain;charset=utf-8;base64,e30=" }),
      machineConfig({
        compression: "gzip",
        source: `data:;base64,${gzipSync("{}").toString("base64")}`,
      }),
      '{"ignition":{"version":"3.4.0"},"storage":{"files":[]}}',
    ),
    words: [
      ...jsonWords,
      ...yamlWords,
      ...bytesOf(
        "data:",
        ";base64,",
        "%",
        "%2",
        '"compression":"gzip"',
        '"append":[{}]',
        '"path":"/a/../b"',
        '"mode":-1',
      ),
    ],
    run: (bytes) => void parseNodeFiles(bytes, "fuzz"),
  }),
  butane: () => ({
    cost: YAML_COST,
    seeds: bytesOf(
      "variant: openshift\nversion: 4.14.0\nmetadata:\n  name: 99-worker\n  labels:\n    machineconfiguration.openshift.io/role: worker\nstorage:\n  files:\n  - path: /etc/a\n    mode: 0644\n    overwrite: true\n    user: {name: root}\n    contents:\n      inline: |\n        {}\n  trees:\n  - local: a\n    path: /etc\n",
      "variant: openshift\nversion: 4.8.0\nmetadata: {name: a, labels: {machineconfiguration.openshift.io/role: master}}\nopenshift: {kernel_arguments: [a], fips: true}\n",
    ),
    words: [
      ...yamlWords,
      ...bytesOf("version: 4.22.0\n", "local: a\n", "source: data:,x\n", "0o644", "0x1", "1e3", ".inf"),
    ],
    run: (bytes) => void parseButane(bytes, "fuzz"),
  }),
  "image-policy": () => ({
    cost: YAML_COST,
    seeds: [...seedsFrom("openshift/image-policies/*"), ...seedsFrom("policy/documents/*").slice(0, 8)],
    words: [
      ...jsonWords,
      ...yamlWords,
      ...bytesOf(
        "scopes:\n",
        "policyType: FulcioCAWithRekor\n",
        "matchPolicy: RemapIdentity\n",
        "*.example.com",
        "keyData: ",
      ),
    ],
    run: (bytes) => {
      if (bytes[0] === 0x7b) {
        liftPolicy(bytes, "fuzz");
        return;
      }
      const objects = parseManifestObjects(bytes, "fuzz");
      readMirrorSets(objects);
      for (const object of objects) if (isImagePolicy(object)) readImagePolicy(object);
    },
  }),
  "catalog-stream": () => ({
    cost: YAML_COST,
    seeds: [
      ...bytesOf(
        `{"schema":"olm.package","name":"p","defaultChannel":"c"}\n{"schema":"olm.channel","package":"p","name":"c","entries":[{"name":"b","replaces":"a","skips":["z"]}]}\n{"schema":"olm.bundle","package":"p","name":"b","image":"a/b@sha256:${zeros}","relatedImages":[{"name":"r","image":"c/d:1"}],"properties":[{"type":"olm.bundle.object","value":{"data":"e30="}}]}`,
        `---\nschema: olm.package\nname: p\n---\nschema: olm.bundle\npackage: p\nname: b\nimage: a/b@sha256:${zeros}\n...\n`,
        "kind: ClusterServiceVersion\napiVersion: operators.coreos.com/v1alpha1\nmetadata: {name: a}\nspec:\n  relatedImages: [{name: a, image: b}]\n  install: {spec: {deployments: [{spec: {template: {spec: {containers: [{name: c, image: d, env: [{name: RELATED_IMAGE_X, value: e}]}]}}}}]}}\n",
      ),
    ],
    words: [...jsonWords, ...yamlWords, ...bytesOf("}{", "\n---\n", "olm.bundle", '"Schema"', '"data":"%"', "[[[[")],
    run: async (bytes) => {
      const files = new CatalogFiles();
      await files.add("catalog", inPieces(bytes));
      assembleCatalog(files.finish());
    },
  }),
  "node-transcript": () => ({
    seeds: bytesOf(
      `Starting pod/a ...\nsignet-file 644 0 0 2 ${wanted[0]!.path}\ne30=\nsignet-end\nsignet-missing ${wanted[1]!.path}\nsignet-done\n`,
      `signet-other link ${wanted[0]!.path}\r\nsignet-other other ${wanted[1]!.path}\r\nsignet-done\r\n`,
    ),
    words: bytesOf(
      "signet-file ",
      "signet-missing ",
      "signet-other ",
      "signet-end\n",
      "signet-done\n",
      "\r\n",
      wanted[0]!.path,
    ),
    run: (bytes) => {
      const files = parseNodeTranscript(bytes, wanted, "fuzz");
      for (const { path } of wanted) files.find(path);
      files.list("/etc/containers/registries.d");
    },
  }),
  "pool-status": () => ({
    cost: YAML_COST,
    seeds: bytesOf(pool),
    words: [
      ...jsonWords,
      ...bytesOf('"status":{}', '"paused":true', '"kind":"Node"', '"maxUnavailable":0', '"matchExpressions":[]'),
    ],
    run: (bytes) => void assessPools(parseManifestObjects(bytes, "fuzz"), ["99-worker-trust"]),
  }),
  kubeconfig: () => ({
    cost: YAML_COST,
    seeds: bytesOf(kubeconfig),
    words: [
      ...yamlWords,
      ...bytesOf("exec: {}", "server: http://a", "token: ", "insecure-skip-tls-verify: true", "-data: %"),
    ],
    // Every file that it names is there.
    run: async (bytes) => void (await readKubeconfig(bytes, "fuzz", undefined, async () => new Uint8Array([0x61]))),
  }),
  "tar-stream": () => ({
    cost: 4,
    seeds: [
      writeTestTar(
        writeTestTarEntry("a", "content"),
        writeTestPaxHeader({ path: "configs/catalog.json", size: "2" }),
        writeTestTarEntry("b", "{}"),
        writeTestTarEntry("././@LongLink", "long\0", { type: "L" }),
        writeTestTarEntry("c", "", { type: "2", linkName: "a" }),
        writeTestTarEntry("d/", "", { type: "5" }),
      ),
    ],
    words: bytesOf("ustar\u000000", "ustar  \0", "\0\0\0\0", "GNU.sparse.name=x\n", "path=", "../", ".wh..wh..opq"),
    run: async (bytes) =>
      visitTarEntries(inPieces(withChecksums(bytes)), "fuzz", async ({ kind, content }) => {
        if (kind === "file") for await (const part of content) void part;
      }),
  }),
};
