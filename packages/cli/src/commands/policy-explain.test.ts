import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GeneratedKey, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TestImage,
  type TestIndex,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir("signet-explain-");
const page = readFileSync(join(import.meta.dirname, "../../../../docs/policy-explain.md"), "utf8");
let registry: TestRegistry;
let image: TestImage;
let index: TestIndex;
let key: GeneratedKey;

/** What of the JSON the tests look at. */
interface Explained {
  readonly verdict: string;
  readonly digest: string | null;
  readonly scopes: readonly { readonly label: string; readonly governs: boolean; readonly verdict: string | null }[];
  readonly store: { readonly kind: string; readonly why: readonly string[] };
  readonly requirements: readonly { readonly keys: readonly { readonly error: object | null }[] }[];
  readonly manifests: readonly { readonly digest: string; readonly platform: string | null; readonly role: string }[];
  readonly error: { readonly code: string } | null;
  readonly fix: {
    readonly check: string;
    readonly command: string | null;
    readonly placeholders: readonly string[];
  } | null;
}

function put(path: string, content: string | Uint8Array): string {
  const file = folder.join(path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const flags = ["--policy", "policy.json", "--registries.d", "rd", "--tls-verify=false", "--retry-times", "0"];

function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path } });
}

const explain = (...args: readonly string[]): Promise<SignetRun> => signet("policy", "explain", ...args);

async function explainJson(...args: readonly string[]): Promise<{ run: SignetRun; document: Explained }> {
  const run = await explain(...args, "-o", "json");
  return { run, document: JSON.parse(run.stdout) as Explained };
}

async function signatureOf(manifest: Uint8Array, identity: string): Promise<Uint8Array> {
  const secret = new TextEncoder().encode(key.secretKey);
  const signer = await openSecretKey(secret, { engine: nodeEngine, now: Date.now() });
  return (await createSignature(manifest, identity, signer, { engine: nodeEngine, now: Date.now() })).bytes;
}

before(async () => {
  registry = await startTestRegistry();
  image = await buildTestImage();
  index = buildTestIndex([image, await buildTestImage({ seed: 2, architecture: "arm64" })], "oci");
  await pushTestImage(registry, "team/app:1", image);
  await pushTestImage(registry, "team/signed:1", image);
  await pushTestImage(registry, "team/list:1", index);
  key = await generateKey({ engine: nodeEngine, now: Date.now(), userIds: ["Release"], algorithm: "ed25519" });
  put("key.pub", key.publicKey);
  put("key.private", key.secretKey);
  put("rd/all.yaml", `docker:\n  ${registry.host}:\n    lookaside: file://${folder.path}/store\n`);
  const signedBy = [{ type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.pub") }];
  const lost = [{ type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("lost.pub") }];
  put(
    "policy.json",
    JSON.stringify({
      default: [{ type: "reject" }],
      transports: {
        docker: { [`${registry.host}/team`]: signedBy, "127.0.0.1:1": signedBy, "lost.example.com": lost },
      },
    }),
  );
  put("m.json", image.manifest);
  put(
    `store/team/signed@${image.digest.replace(":", "=")}/signature-1`,
    await signatureOf(image.manifest, `${registry.host}/team/signed:1`),
  );
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

describe("policy explain", () => {
  test("shows scopes, store, requirement and checks as a tree, and the fix on the last line", async () => {
    const { status, stdout, stderr } = await explain(`${registry.host}/team/app:1`, ...flags);
    assert.deepEqual([status, stderr], [1, ""]);
    const lines = stdout.trimEnd().split("\n");
    assert.equal(lines[0], `rejected  docker://${registry.host}/team/app:1`);
    assert.match(stdout, /^├─ policy {2}policy\.json$/m);
    assert.match(stdout, /docker: 127\.0\.0\.1:\d+\/team +GOVERNS, the first that the policy has: signedBy /);
    assert.match(stdout, /default +would have rejected: reject: no image$/m);
    assert.match(stdout, /because docker: 127\.0\.0\.1:\d+ \(lookaside\) in rd\/all\.yaml:3$/m);
    assert.match(stdout, /absent +\/.*\/store\/team\/app@sha256=[0-9a-f]{64}\/signature-1$/m);
    assert.equal(
      lines.at(-1),
      `fix  signet sign --key ${key.fingerprint} docker://${registry.host}/team/app:1 --registries.d rd --tls-verify=false`,
    );
    assert.doesNotMatch(stdout, /\u001b/);
  });

  test("marks the first check that failed, and shows what was compared", async () => {
    const { status, stdout } = await explain(
      "registry.example.com/team/signed:1",
      "--policy",
      put(
        "all.json",
        JSON.stringify({ default: [{ type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.pub") }] }),
      ),
      "--manifest",
      "m.json",
      "--signatures",
      "store",
    );
    assert.equal(status, 1);
    assert.match(stdout, /FAILED {2}identity .*<- first failure$/m);
    assert.match(stdout, /expected {2}registry\.example\.com\/team\/signed:1$/m);
    assert.match(stdout, new RegExp(`found {5}${registry.host}/team/signed:1$`, "m"));
    assert.equal(stdout.match(/first failure/g)!.length, 1);
    assert.match(stdout, / --identity remap=registry\.example\.com=127\.0\.0\.1:\d+ --policy .*\n$/);
  });

  test("exits with 0 for an accepted image, which needs no fix", async () => {
    const { status, stdout } = await explain(`${registry.host}/team/signed:1`, ...flags);
    assert.equal(status, 0);
    assert.match(stdout, /^accepted {2}/);
    assert.match(stdout, /ok {6}identity /);
    assert.doesNotMatch(stdout, /^(?:why|fix) /m);
  });

  test("prints what can be told when the registry, a key or the stores' configuration cannot be read, and exits with 2", async () => {
    put("bad/x.yaml", "docker: [1]\n");
    const [unreachable, noKey, badStores] = await Promise.all([
      explainJson("127.0.0.1:1/app:1", ...flags),
      explainJson("lost.example.com/app:1", "--policy", "policy.json", "--manifest", "m.json"),
      explainJson(`${registry.host}/team/app:1`, "--policy", "policy.json", "--registries.d", "bad"),
    ]);
    for (const { run, document } of [unreachable, noKey, badStores]) {
      assert.deepEqual([run.status, document.verdict], [2, "undetermined"]);
      assert.ok(document.scopes.some(({ governs }) => governs));
      assert.equal(document.requirements.length, 1);
    }
    assert.equal(unreachable.document.error!.code, "registry-unreachable");
    assert.equal(unreachable.document.requirements[0]!.keys[0]!.error, null);
    assert.ok(noKey.document.requirements[0]!.keys[0]!.error !== null);
    assert.equal(noKey.document.fix!.check, "file-missing");
    assert.equal(badStores.document.error!.code, "registries-d-malformed");
  });

  test("says which instance of a list is judged, and judges every one with --all", async () => {
    const name = `${registry.host}/team/list:1`;
    const [arm, all, text] = await Promise.all([
      explainJson(name, ...flags, "--override-arch", "arm64"),
      explainJson(name, ...flags, "--all"),
      explain(name, ...flags, "--override-arch", "arm64"),
    ]);
    assert.deepEqual(
      arm.document.manifests.map(({ digest, platform }) => [digest, platform]),
      [[index.images[1]!.digest, "linux/arm64"]],
    );
    assert.deepEqual(
      all.document.manifests.map(({ role }) => role),
      ["list", "instance", "instance"],
    );
    assert.match(text.stdout, /a list: the instance for linux\/arm64 is judged/);
    assert.match(text.stdout, new RegExp(`${index.images[1]!.digest} {2}linux/arm64 {2}judged$`, "m"));
  });

  test("explains a node's file tree: its policy, keys behind its links, and its stores", async () => {
    const signedBy = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/pki/release.gpg" }];
    put("node/etc/containers/policy.json", JSON.stringify({ default: signedBy }));
    put("node/etc/pki/release.gpg", key.publicKey);
    put("node/etc/containers/registries.d/x.yaml", "default-docker: {lookaside: 'file:///srv/sig'}\n");
    const name = `${registry.host}/team/app:1`;
    put(`node/srv/sig/team/app@${image.digest.replace(":", "=")}/signature-1`, await signatureOf(image.manifest, name));
    const { run, document } = await explainJson("--root", "node", "--tls-verify=false", name);
    assert.deepEqual([run.status, document.verdict, run.stderr], [0, "accepted", ""]);
    assert.match(
      document.store.why[0]!,
      /default-docker \(lookaside\) in node\/etc\/containers\/registries\.d\/x\.yaml:1/,
    );
  });

  test("with --manifest asks no network, and takes the image for unsigned unless told where signatures are", async () => {
    const requests = registry.log.length;
    const name = `${registry.host}/team/signed:1`;
    const offline = [name, "--policy", "policy.json", "--manifest", "m.json"];
    const [unsigned, signed, verified, refused] = await Promise.all([
      explain(...offline),
      explain(...offline, "--signatures", "store"),
      signet("verify", ...offline, "--signatures", "store"),
      signet("verify", ...offline),
    ]);
    assert.deepEqual([unsigned.status, signed.status, verified.status, refused.status], [1, 0, 0, 1]);
    assert.match(unsigned.stdout, /because a manifest was given and no signatures: the image counts as unsigned/);
    assert.match(verified.stdout, new RegExp(`signed by ${key.fingerprint}`));
    assert.equal(registry.log.length, requests);
  });

  test("usage errors end with 64, files that are not there with 2", async () => {
    const name = `${registry.host}/team/app:1`;
    const [none, alone, twice, noFile, noPlace, noPolicy, noImage] = await Promise.all([
      explain(),
      explain(name, "--policy", "policy.json", "--signatures", "store"),
      signet("verify", name, name.replace(":1", ":2"), "--policy", "policy.json", "--manifest", "m.json"),
      explain(name, "--policy", "policy.json", "--manifest", "missing.json"),
      explain(name, "--policy", "policy.json", "--manifest", "m.json", "--signatures", "missing"),
      explain(name, "--policy", "missing.json"),
      explain("nonsense:/x", "--policy", "policy.json"),
    ]);
    assert.deepEqual([none.status, alone.status, twice.status, noImage.status], [64, 64, 64, 64]);
    assert.deepEqual([noFile.status, noPlace.status, noPolicy.status], [2, 2, 2]);
    assert.match(noFile.stdout, /could not tell: cannot read manifest missing\.json/);
    assert.match(noPlace.stdout, /could not be read: cannot read the signatures missing/);
    assert.match(noPolicy.stderr, /^error: cannot read policy missing\.json/);
  });

  test("control characters of a store's or policy's texts do not reach the terminal", async () => {
    const hostile = { default: [{ type: "signedBy", keyType: "GPGKeys", keyPath: "\u001b[2Jkey\u202e" }] };
    const { stdout } = await explain(
      "x",
      "--policy",
      put("hostile.json", JSON.stringify(hostile)),
      "--manifest",
      "m.json",
    );
    assert.doesNotMatch(stdout, /[\u001b\u202e]/);
    assert.match(stdout, /\\x1b\[2Jkey\\u202e/);
  });
});

describe("the JSON of policy explain", () => {
  /** Members by path, from the table of the page; what stands in brackets there are values. */
  const documented = new Map(
    [...page.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, path, text]) => {
      const members = [...text!.replaceAll(/\([^)]*\)/g, "").matchAll(/`([^`[]+)(?:\[\])?`/g)].map(([, name]) => name!);
      return [path!, members] as const;
    }),
  );

  function* objectsAt(value: unknown, path: readonly string[]): Iterable<object> {
    const [first, ...rest] = path;
    if (first === undefined) {
      if (typeof value === "object" && value !== null) yield value;
      return;
    }
    const next = (value as Readonly<Record<string, unknown>>)[first.replace("[]", "")];
    if (first.endsWith("[]")) for (const item of next as readonly unknown[]) yield* objectsAt(item, rest);
    else if (next !== null && next !== undefined) yield* objectsAt(next, rest);
  }

  test("has the members that its page promises, all of them and no other", async () => {
    const name = `${registry.host}/team/list:1`;
    await signet("sign", "--key", "key.private", "--all", name, ...flags.slice(2));
    const mirrored = put(
      "mirrored.conf",
      `[[registry]]\nprefix = "registry.example.com"\nlocation = "127.0.0.1:1"\n[[registry.mirror]]\nlocation = "${registry.host}/team"\n`,
    );
    const documents = await Promise.all([
      explainJson(name, ...flags),
      explainJson(`${registry.host}/team/app:1`, ...flags),
      explainJson("127.0.0.1:1/app:1", ...flags),
      explainJson("registry.example.com/app:1", ...flags, "--registries-conf", mirrored),
    ]);
    const top = new Set([...documented.keys()].map((path) => path.split(/[.[]/)[0]));
    const seen = new Set<string>();
    for (const { document } of documents) {
      assert.deepEqual(new Set(Object.keys(document)), top);
      for (const [path, members] of documented) {
        if (!path.endsWith("[]") && !["store", "list", "error", "fix", "manifests[].lookup"].includes(path)) continue;
        for (const found of objectsAt(document, path.split("."))) {
          assert.deepEqual(Object.keys(found).toSorted(), members.toSorted(), path);
          seen.add(path);
        }
      }
    }
    assert.equal(seen.size, 15, [...seen].join(", "));
  });
});
