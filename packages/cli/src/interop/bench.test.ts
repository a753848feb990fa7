/**
 * What the interop tests share: Signet as a process beside skopeo and podman, all three with the same keys, policy, stores and credentials.
 * Other test files import it; run on its own, it says which versions are compared.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type ContainersHome,
  type DockerRegistry,
  type GpgHome,
  type GpgKey,
  type PushTarget,
  type RunOptions,
  type RunResult,
  type TestImage,
  type TestIndex,
  type TestRegistry,
  findTool,
  httpPushTarget,
  makeContainersHome,
  makeGpgHome,
  makeTempDir,
  pushTestImage,
  requireTool,
  run,
  startDockerRegistry,
  startTestRegistry,
} from "@signet/testkit";

const signetFile = join(import.meta.dirname, "..", "..", "bin", "signet.js");
const tools = ["docker-registry", "gpg", "podman", "skopeo"] as const;

/** What a tool says of an image under a policy; anything else fails the test that asks. */
export type ToolVerdict = "accepted" | "rejected";

export interface Verdicts {
  readonly signet: ToolVerdict;
  readonly skopeo: ToolVerdict;
  /** Asked about images of registries only. */
  readonly podman?: ToolVerdict;
}

export const allAccept: Verdicts = { signet: "accepted", skopeo: "accepted", podman: "accepted" };
export const allReject: Verdicts = { signet: "rejected", skopeo: "rejected", podman: "rejected" };
export const bothAccept: Verdicts = { signet: "accepted", skopeo: "accepted" };
export const bothReject: Verdicts = { signet: "rejected", skopeo: "rejected" };

/** A signing key, wherever its secret half lives. */
export interface BenchKey {
  /** Of the primary, upper-case hex. */
  readonly fingerprint: string;
  /** What `signet sign --key` takes. */
  readonly secret: string;
  readonly publicFile: string;
}

export interface Bench extends AsyncDisposable {
  readonly home: ContainersHome;
  readonly gpg: GpgHome;
  /** Debian's registry: its signatures are in {@link lookaside}, by registries.d. */
  readonly docker: DockerRegistry;
  /** Announces the signatures API, and is not named in registries.d. */
  readonly extension: TestRegistry;
  /** Folder of docker's lookaside store. */
  readonly lookaside: string;
  /** In gpg's keyring, without passphrase. */
  readonly gpgKeys: { readonly rsa2048: BenchKey; readonly ed25519: BenchKey };
  /** An absolute path in the bench's folder; `parts` are new for each call when empty. */
  path(...parts: readonly string[]): string;
  /** Any of the three tools with the bench's configuration, whatever its exit status. */
  signet(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  skopeo(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  podman(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Pushes without any signature. */
  push(name: string, image: TestImage | TestIndex): Promise<void>;
  /** A key pair made by `signet keys generate`, as files. */
  makeKeyFiles(name: string, algorithm: "rsa2048" | "ed25519"): Promise<BenchKey>;
  /** The file of signature `number` in docker's lookaside store; its folder is made. */
  lookasideFile(repository: string, digest: string, number?: number): string;
  /** Judges `image` by `policy` with every tool that can. Nothing of it is kept. */
  judge(image: string, policy: object): Promise<Verdicts>;
}

/** Signet as people start it, whatever its exit status. */
export function runSignet(args: readonly string[], options: RunOptions): Promise<RunResult> {
  return run(process.execPath, [signetFile, ...args], options);
}

/** Skips the test, or fails it with CI=true, when a tool is missing. */
export function hasTools(t: TestContext): boolean {
  return tools.every((tool) => requireTool(t, tool) !== undefined);
}

/** For `before` and `after`, which cannot skip: undefined without the tools. */
export async function makeBenchIfPossible(): Promise<Bench | undefined> {
  return tools.every((tool) => findTool(tool) !== undefined) ? makeBench() : undefined;
}

async function makeBench(): Promise<Bench> {
  const parts = new AsyncDisposableStack();
  try {
    const folder = parts.use(makeTempDir("signet-interop-"));
    const home = parts.use(makeContainersHome());
    const [gpg, docker, extension] = await Promise.all([
      makeGpgHome(),
      startDockerRegistry(),
      startTestRegistry({ signaturesExtension: true }),
    ]);
    for (const part of [gpg, docker, extension]) parts.use(part);
    home.allowInsecure(docker.host, extension.host);
    const lookaside = folder.join("lookaside");
    home.writeRegistriesD("docker", { docker: { [docker.host]: { lookaside: `file://${lookaside}` } } });
    const gpgKeys = {
      rsa2048: await makeGpgKey(gpg, folder.join("gpg-rsa2048.pub"), "rsa2048"),
      ed25519: await makeGpgKey(gpg, folder.join("gpg-ed25519.pub"), "ed25519"),
    };
    const env = { ...home.env, ...gpg.env };
    let serial = 0;
    const nextPath = (): string => folder.join(`item-${(serial += 1)}`);

    const withEnv = (options: RunOptions = {}): RunOptions => ({ ...options, env: { ...env, ...options.env } });
    const signet: Bench["signet"] = (args, options) => runSignet(args, withEnv(options));
    const skopeo: Bench["skopeo"] = (args, options) => home.skopeo(args, withEnv(options));
    const podman: Bench["podman"] = (args, options) => home.podman(args, withEnv(options));
    const targets: Readonly<Record<string, PushTarget>> = {
      [docker.host]: httpPushTarget(docker.url),
      [extension.host]: extension,
    };
    const disposables = parts.move();
    return {
      home,
      gpg,
      docker,
      extension,
      lookaside,
      gpgKeys,
      path: (...names) => (names.length === 0 ? nextPath() : folder.join(...names)),
      signet,
      skopeo,
      podman,

      async push(name, image) {
        const [host = "", ...rest] = name.split("/");
        await pushTestImage(targets[host]!, rest.join("/"), image);
      },

      async makeKeyFiles(name, algorithm) {
        const prefix = folder.join(name);
        const userId = `Signet ${name} <${name}@example.com>`;
        const options = ["--algorithm", algorithm, "--output-prefix", prefix, "--no-passphrase"];
        const { stdout } = assertDone(await signet(["keys", "generate", userId, ...options]));
        const fingerprint = /\b[0-9A-F]{40}\b/.exec(stdout)?.[0];
        assert.ok(fingerprint, stdout);
        return { fingerprint, secret: `${prefix}.private`, publicFile: `${prefix}.pub` };
      },

      lookasideFile(repository, digest, number = 1) {
        const path = join(lookaside, `${repository}@${digest.replace(":", "=")}`, `signature-${number}`);
        mkdirSync(dirname(path), { recursive: true });
        return path;
      },

      async judge(image, policy) {
        const policyFile = nextPath();
        writeFileSync(policyFile, JSON.stringify(policy));
        const isRemote = image.startsWith("docker://");
        const pull = ["pull", "--quiet", "--signature-policy", policyFile, image];
        const [ours, skopeos, podmans] = await Promise.all([
          signet(["verify", "--policy", policyFile, ...plainHttp, image]),
          skopeo(["--policy", policyFile, "copy", "--quiet", image, `dir:${nextPath()}`]),
          isRemote ? podman(pull) : undefined,
        ]);
        return {
          signet: verdictOfSignet(ours),
          skopeo: verdictOfContainers(skopeos),
          ...(podmans && { podman: verdictOfContainers(podmans) }),
        };
      },

      [Symbol.asyncDispose]: () => disposables.disposeAsync(),
    };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

/** Signet's word for a registry without TLS; skopeo and podman read it in registries.conf. */
export const plainHttp: readonly string[] = ["--tls-verify=false"];
/** The same for `signet copy`. */
export const plainHttpCopy: readonly string[] = ["--src-tls-verify=false", "--dest-tls-verify=false"];

/** Rejects all but `scopes`, which name transports, then their scopes: `{docker: {host: [signedBy(key)]}}`. */
export function rejectExcept(
  transports: Readonly<Record<string, Readonly<Record<string, readonly object[]>>>>,
): object {
  return { default: [{ type: "reject" }], transports };
}

/** By default for the very reference that is judged. */
export function signedBy(key: { readonly publicFile: string }, signedIdentity?: object): object {
  return { type: "signedBy", keyType: "GPGKeys", keyPath: key.publicFile, ...(signedIdentity && { signedIdentity }) };
}

/** Fails with what the tool printed unless it ended with 0. */
export function assertDone(result: RunResult): RunResult {
  assert.equal(result.status, 0, `${result.stdout}${result.stderr}`);
  return result;
}

/** Fails unless Signet refused and said so: a process that dies at its start has the same exit status. */
export function assertRejected({ status, stdout, stderr }: RunResult): void {
  assert.equal(status, 1, `signet did not reject (exit ${status}): ${stdout}${stderr}`);
  assert.match(`${stdout}${stderr}`, /^(?:rejected |error: .*\brejected: |error: not a well-formed signature)/m);
}

function verdictOfSignet(result: RunResult): ToolVerdict {
  if (result.status === 0) {
    assert.match(result.stdout, /^accepted /);
    return "accepted";
  }
  assertRejected(result);
  return "rejected";
}

/** Both end in the same library, and word a refusal in the same way. */
function verdictOfContainers({ status, stdout, stderr }: RunResult): ToolVerdict {
  if (status === 0) return "accepted";
  assert.match(stderr, /Source image rejected: /i, `not a verdict (exit ${status}): ${stdout}${stderr}`);
  return "rejected";
}

async function makeGpgKey(gpg: GpgHome, publicFile: string, algorithm: "rsa2048" | "ed25519"): Promise<BenchKey> {
  const key: GpgKey = await gpg.generateKey({ algorithm, userId: `Gpg ${algorithm} <gpg-${algorithm}@example.com>` });
  writeFileSync(publicFile, await gpg.exportPublic(key));
  return { fingerprint: key.fingerprint, secret: key.fingerprint, publicFile };
}

if (import.meta.main) {
  test("Signet, skopeo, podman and gpg start, and this run compares these versions of them", async (t) => {
    if (!hasTools(t)) return;
    await using bench = await makeBench();
    const said = await Promise.all([
      bench.signet(["--version"]),
      bench.skopeo(["--version"]),
      bench.podman(["--version"]),
      bench.gpg.gpg(["--version"]),
    ]);
    for (const [index, name] of ["signet", "skopeo", "podman", "gpg"].entries()) {
      const { stdout } = assertDone(said[index]!);
      assert.match(stdout, new RegExp(`^${name} .*\\d+\\.\\d+`));
      t.diagnostic(stdout.split("\n", 1)[0]!);
    }
    const keys = Object.values(bench.gpgKeys).map((key) => readFileSync(key.publicFile));
    assert.ok(keys.every((bytes) => bytes.length > 100));
  });
}
