import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import {
  type DockerRegistry,
  type GpgHome,
  type GpgKey,
  type TempDir,
  makeGpgHome,
  makeTempDir,
  startDockerRegistry,
} from "@signet/testkit";
import { changeMessage, makePayload } from "./blob.ts";
import type { DifferentialCase, Hosts, KeyName } from "./case.ts";

/** Where a case lies, ready to be judged. */
export interface StagedCase {
  /** Everything of the case lies below; remove it when done. */
  readonly root: string;
  /** `docker://…` or `dir:…` */
  readonly image: string;
  readonly policyFile: string;
  readonly registriesDir: string;
  /** A folder that does not exist yet, for `skopeo copy`. */
  readonly output: string;
}

/** Keys, manifests, a registry and folders that all cases share. */
export interface World extends AsyncDisposable {
  readonly hosts: Hosts;
  /** @param label names the case's folder; no two under way may share one */
  stage(differentialCase: DifferentialCase, label: string): Promise<StagedCase>;
}

const repositories = ["team/app", "team/other", "teamx/app", "app"];
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

interface Manifest {
  readonly bytes: Uint8Array;
  readonly hex: string;
}

/** @throws Error when gpg or docker-registry are missing: look for them first */
export async function makeWorld(): Promise<World> {
  const dir = makeTempDir("signet-differential-");
  const gpg = await makeGpgHome();
  // Two registries with the same names: one has the manifest that gets signed, the other a different one.
  const genuine = await startDockerRegistry();
  const tampered = await startDockerRegistry();
  try {
    const keys: Readonly<Record<KeyName, GpgKey>> = {
      rsa: await gpg.generateKey({ algorithm: "rsa2048", userId: "rsa <rsa@example.com>" }),
      ed: await gpg.generateKey({ algorithm: "ed25519", userId: "ed <ed@example.com>" }),
      stranger: await gpg.generateKey({ algorithm: "rsa2048", userId: "stranger <stranger@example.com>" }),
      sub: await gpg.generateKey({
        algorithm: "rsa2048",
        certifyOnly: true,
        signingSubkeys: ["ed25519"],
        userId: "sub <sub@example.com>",
      }),
    };
    const keyFiles = await writeKeyFiles(dir, gpg, keys);
    const config = Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [`sha256:${sha256("layer")}`] },
        history: [],
      }),
    );
    const layer = gzipSync("layer");
    const signed = makeManifest(config, layer, "");
    const other = makeManifest(config, layer, "\n");
    for (const repository of repositories) {
      await publish(genuine, repository, [config, layer], signed);
      await publish(tampered, repository, [config, layer], other);
    }
    return makeStage({ dir, gpg, genuine, tampered, keys, keyFiles, blobs: [config, layer], signed, other });
  } catch (error) {
    await Promise.all([gpg.dispose(), genuine.dispose(), tampered.dispose()]);
    dir.dispose();
    throw error;
  }
}

interface Parts {
  readonly dir: TempDir;
  readonly gpg: GpgHome;
  readonly genuine: DockerRegistry;
  readonly tampered: DockerRegistry;
  readonly keys: Readonly<Record<KeyName, GpgKey>>;
  readonly keyFiles: ReadonlyMap<string, string>;
  readonly blobs: readonly Uint8Array[];
  readonly signed: Manifest;
  readonly other: Manifest;
}

function makeStage(parts: Parts): World {
  const { dir, gpg, genuine, tampered, keys, signed, other } = parts;
  const namesOf = ({ host }: DockerRegistry): readonly string[] => {
    const port = host.split(":").at(-1)!;
    return [`127.0.0.1:${port}`, `localhost:${port}`];
  };
  return {
    hosts: { genuine: namesOf(genuine), tampered: namesOf(tampered) },

    async stage(differentialCase, label) {
      const root = dir.join(`case-${label}`);
      const registriesDir = `${root}/registries.d`;
      mkdirSync(registriesDir, { recursive: true });
      // A tampered image is signed for the one manifest and shows the other; its signatures lie where a reader of the other one looks.
      const shown = differentialCase.tampered ? other : signed;
      const fill = (text: string): string =>
        text.replaceAll("@digest", `@sha256:${shown.hex}`).replaceAll("@otherdigest", `@sha256:${"1".repeat(64)}`);

      const blobs: Uint8Array[] = [];
      for (const recipe of differentialCase.signatures) {
        const payload = makePayload(recipe.payload, fill(recipe.reference), `sha256:${signed.hex}`);
        const message = await gpg.sign(keys[recipe.key], payload, ["--compress-algo", "none"]);
        blobs.push(changeMessage(recipe.message, message, payload, recipe.place));
      }

      const image =
        differentialCase.transport === "dir"
          ? stageDir(`${root}/image`, parts, shown, blobs)
          : stageDocker(root, differentialCase, shown, blobs);
      writeFileSync(`${registriesDir}/default.yaml`, `default-docker:\n  lookaside: file://${root}/lookaside\n`);
      const policyFile = `${root}/policy.json`;
      writeFileSync(
        policyFile,
        JSON.stringify(fillPolicy(differentialCase.policy, parts.keyFiles, { ...pathsOf(root), fill })),
      );
      return { root, image, policyFile, registriesDir, output: `${root}/out` };
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([gpg.dispose(), genuine.dispose(), tampered.dispose()]);
      dir.dispose();
    },
  };
}

function pathsOf(root: string): { readonly dir: string; readonly parent: string } {
  return { dir: `${root}/image`, parent: root };
}

function stageDir(path: string, { blobs }: Parts, manifest: Manifest, signatures: readonly Uint8Array[]): string {
  mkdirSync(path);
  writeFileSync(`${path}/version`, "Directory Transport Version: 1.1\n");
  writeFileSync(`${path}/manifest.json`, manifest.bytes);
  for (const blob of blobs) writeFileSync(`${path}/${sha256(blob)}`, blob);
  for (const [index, signature] of signatures.entries()) writeFileSync(`${path}/signature-${index + 1}`, signature);
  return `dir:${path}`;
}

/** Puts the signatures into the case's own lookaside store. */
function stageDocker(
  root: string,
  differentialCase: DifferentialCase,
  manifest: Manifest,
  signatures: readonly Uint8Array[],
): string {
  const { host, repository, suffix } = differentialCase;
  const store = `${root}/lookaside/${repository}@sha256=${manifest.hex}`;
  mkdirSync(store, { recursive: true });
  for (const [index, signature] of signatures.entries()) writeFileSync(`${store}/signature-${index + 1}`, signature);
  return `docker://${host}/${repository}${suffix === "@" ? `@sha256:${manifest.hex}` : suffix}`;
}

function makeManifest(config: Uint8Array, layer: Uint8Array, tail: string): Manifest {
  const descriptor = (mediaType: string, bytes: Uint8Array): object => ({
    mediaType,
    size: bytes.length,
    digest: `sha256:${sha256(bytes)}`,
  });
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: descriptor("application/vnd.docker.container.image.v1+json", config),
    layers: [descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
  });
  const bytes = Buffer.from(text + tail);
  return { bytes, hex: sha256(bytes) };
}

async function publish(
  registry: DockerRegistry,
  repository: string,
  blobs: readonly Uint8Array[],
  manifest: Manifest,
): Promise<void> {
  for (const blob of blobs) {
    const started = await fetch(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const location = new URL(started.headers.get("location")!, registry.url);
    location.searchParams.set("digest", `sha256:${sha256(blob)}`);
    await expectStatus(
      fetch(location, {
        method: "PUT",
        body: blob as Uint8Array<ArrayBuffer>,
        headers: { "content-type": "application/octet-stream" },
      }),
      201,
    );
  }
  for (const tag of ["1", "2"]) await putManifest(registry, repository, tag, manifest);
}

async function putManifest(
  registry: DockerRegistry,
  repository: string,
  reference: string,
  manifest: Manifest,
): Promise<void> {
  const headers = { "content-type": "application/vnd.docker.distribution.manifest.v2+json" };
  await expectStatus(
    fetch(`${registry.url}/v2/${repository}/manifests/${reference}`, {
      method: "PUT",
      body: manifest.bytes as Uint8Array<ArrayBuffer>,
      headers,
    }),
    201,
  );
}

async function expectStatus(answer: Promise<Response>, status: number): Promise<void> {
  const response = await answer;
  const text = await response.text();
  if (response.status !== status) throw new Error(`the registry answered ${response.status}: ${text}`);
}

async function writeKeyFiles(
  dir: TempDir,
  gpg: GpgHome,
  keys: Readonly<Record<KeyName, GpgKey>>,
): Promise<ReadonlyMap<string, string>> {
  const rsa = await gpg.exportPublic(keys.rsa);
  const ed = await gpg.exportPublic(keys.ed);
  const contents: Readonly<Record<string, Uint8Array>> = {
    rsa,
    ed,
    "rsa-armored": await gpg.exportPublic(keys.rsa, { armor: true }),
    both: Buffer.concat([rsa, ed]),
    sub: await gpg.exportPublic(keys.sub),
    garbage: Buffer.from("not a key\n"),
  };
  const files = new Map<string, string>([["missing", dir.join("no-such-key.gpg")]]);
  for (const [name, bytes] of Object.entries(contents)) {
    const path = dir.join(`${name}.gpg`);
    writeFileSync(path, bytes);
    files.set(name, path);
    files.set(`${name}:data`, Buffer.from(bytes).toString("base64"));
  }
  return files;
}

interface Fillings {
  readonly dir: string;
  readonly parent: string;
  fill(text: string): string;
}

/** Replaces `@name` in key fields by a path or by base64, `@dir` and `@parent` in scopes by the image's folder, `@digest` everywhere. */
function fillPolicy(draft: unknown, keyFiles: ReadonlyMap<string, string>, fillings: Fillings): unknown {
  const walk = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => walk(item, key));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [scopeName(name), walk(member, name)]));
    }
    if (typeof value !== "string") return value;
    if (value.startsWith("@") && key.startsWith("keyPath")) return keyFiles.get(value.slice(1));
    if (value.startsWith("@") && key === "keyData") return keyFiles.get(`${value.slice(1)}:data`);
    return fillings.fill(value);
  };
  const scopeName = (name: string): string =>
    name === "@dir" ? fillings.dir : name === "@parent" ? fillings.parent : fillings.fill(name);
  return walk(draft, "");
}
