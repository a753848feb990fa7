import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { buildTestImage, makeTempDir } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const configMaps = join(import.meta.dirname, "../../../../vectors/openshift/configmaps");
const genuine = "sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363";
const oc = join(configMaps, "signature-sha256-0da6316466d60a3a.json");
const ocMirror = join(configMaps, "oc-mirror-v2-signature-configmap.yaml");
const folder = makeTempDir("signet-configmap-");
after(() => folder.dispose());

const check = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["release", "configmap", ...args], { cwd: folder.path });

interface MapDocument {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: object };
  readonly binaryData: Readonly<Record<string, string>>;
}

/** A release's digest and its signature by a key of its own, which is written to a file. */
async function signRelease(
  keyFile: string,
  seed: number,
): Promise<{ readonly digest: string; readonly bytes: Uint8Array }> {
  const now = Date.now();
  const made = await generateKey({ engine, now, userIds: ["R <r@example.com>"], algorithm: "ed25519" });
  writeFileSync(folder.join(keyFile), made.publicKey);
  const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine, now });
  const { manifest, digest } = await buildTestImage({ seed });
  const { bytes } = await createSignature(manifest, "registry.example.com/ocp/release:1", signer, { engine, now });
  return { digest, bytes };
}

function writeMap(file: string, entries: readonly (readonly [string, Uint8Array])[], more: object = {}): void {
  const binaryData = Object.fromEntries(entries.map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")]));
  const labels = { "release.openshift.io/verification-signatures": "" };
  const metadata = { name: "x", namespace: "openshift-config-managed", labels, ...more };
  writeFileSync(folder.join(file), JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, binaryData }));
}

describe("release configmap", () => {
  test("accepts the genuine signature in every dialect, and merges them to one map that the operator reads", async () => {
    // As the cluster itself keeps them, counted from 0.
    const { binaryData } = JSON.parse(readFileSync(oc, "utf8")) as MapDocument;
    const bytes = Buffer.from(Object.values(binaryData)[0]!, "base64");
    writeMap("managed.json", [[`${genuine.replace(":", "-")}-0`, bytes]], { name: "signatures-managed" });
    for (const file of [oc, ocMirror, "managed.json"]) {
      const { status, stdout, stderr } = await check(file);
      assert.deepEqual([status, stderr], [0, ""], file);
      assert.match(stdout, new RegExp(`^accepted  ${genuine}\\n  keyring redhat: signed by 567E347AD0044ADE`));
      assert.match(stdout, /for quay\.io\/openshift-release-dev\/ocp-release:4\.15\.0-x86_64, 2024-02-26, /);
      assert.match(stdout, /\n1 release: 1 accepted, 0 rejected\n$/);
    }
    for (const suffix of ["", ".sig", "_7", "-a-b"]) {
      writeMap("suffix.json", [[`${genuine.replace(":", "-")}${suffix}`, bytes]]);
      assert.deepEqual((await check("suffix.json")).status, 0, suffix);
    }
    const merged = await check(oc, ocMirror, "managed.json", configMaps, "--write", "merged");
    assert.deepEqual(
      [merged.status, readdirSync(folder.join("merged"))],
      [0, ["signature-sha256-0da6316466d60a3a.json"]],
    );
    const written = JSON.parse(
      readFileSync(folder.join("merged/signature-sha256-0da6316466d60a3a.json"), "utf8"),
    ) as MapDocument;
    assert.deepEqual(written.binaryData, binaryData);
    assert.equal(written.metadata.namespace, "openshift-config-managed");
  });

  test("a changed signature, one for another release and one by another key are rejected, and never written", async () => {
    const { digest, bytes } = await signRelease("release.pub", 1);
    const other = await signRelease("other.pub", 2);
    const tampered = Uint8Array.from(bytes);
    tampered[tampered.length - 5]! ^= 1;
    const key = (of: string, number: number): string => `${of.replace(":", "-")}-${number}`;
    writeMap("good.json", [[key(digest, 1), bytes]]);
    for (const [name, entries] of Object.entries({
      tampered: [[key(digest, 1), tampered]],
      "for another": [[key(other.digest, 1), bytes]],
      "by another": [[key(other.digest, 1), other.bytes]],
    } as const)) {
      writeMap("bad.json", entries);
      const { status, stdout } = await check(
        "bad.json",
        "good.json",
        "--key",
        "release.pub",
        "--write",
        name,
        "-o",
        "json",
      );
      const report = JSON.parse(stdout) as {
        releases: readonly { digest: string; verdict: string; reasons: readonly object[] }[];
        written: readonly string[];
        summary: object;
      };
      // What is bad stands beside what is good where both are of one release: that one a cluster accepts.
      const isBeside = name === "tampered";
      assert.equal(status, isBeside ? 0 : 1, name);
      assert.deepEqual(
        report.releases.map(({ verdict }) => verdict),
        isBeside ? ["accepted"] : ["rejected", "accepted"],
      );
      assert.deepEqual(readdirSync(folder.join(name)), [`signature-sha256-${digest.slice(7, 23)}.json`]);
      const [file = ""] = report.written;
      const { binaryData } = JSON.parse(readFileSync(folder.join(file), "utf8")) as MapDocument;
      assert.deepEqual(binaryData, { [key(digest, 1)]: Buffer.from(bytes).toString("base64") });
    }
    // Every keyring must be satisfied.
    const both = await check("good.json", "--key", "release.pub", "--key", "other.pub");
    assert.deepEqual([both.status, /not among the trusted keys/.test(both.stdout)], [1, true]);
    assert.equal((await check("good.json")).status, 1);
  });

  test("what a cluster would pass over is said, and nothing at all is no success", async () => {
    const text = readFileSync(oc, "utf8");
    writeFileSync(folder.join("data.json"), text.replace("binaryData", "data"));
    const data = await check("data.json");
    assert.deepEqual(
      [data.status, /stand under data \(keys: 1\); the cluster looks at binaryData/.test(data.stderr)],
      [2, true],
    );
    const { digest, bytes } = await signRelease("unseen.pub", 3);
    writeMap(
      "unseen.json",
      [
        [`${digest.replace(":", "-")}-1`, bytes],
        ["notes", bytes],
      ],
      { namespace: "default", labels: {} },
    );
    const unseen = await check("unseen.json", "--key", "unseen.pub");
    assert.equal(unseen.status, 0);
    for (const said of [/it is not in namespace/, /it lacks the label/, /"notes" does not begin with a digest/])
      assert.match(unseen.stderr, said);
    mkdirSync(folder.join("empty"));
    writeFileSync(folder.join("other.yaml"), "kind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n");
    for (const path of ["empty", "other.yaml"]) {
      const { status, stderr } = await check(path);
      assert.match(stderr, new RegExp(`^warning: ${path} holds no mirrored signature$`, "m"));
      assert.deepEqual([status, /^error: no ConfigMap with mirrored signatures was found/m.test(stderr)], [2, true]);
    }
    assert.equal((await check("nowhere")).status, 2);
    assert.equal((await check()).status, 64);
    assert.equal((await check("unseen.json", "--key", "unseen.pub", "--trust-configmap", "x")).status, 64);
  });
});
