/** `policy explain` where registries.conf sends an image elsewhere: two registries stand for the mirror and the place that the name means. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GeneratedKey, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TestImage,
  type TestRegistry,
  buildTestImage,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const logical = "registry.example.com/team/app:1";
const folder = makeTempDir("signet-explain-mirrors-");
let mirror: TestRegistry;
let origin: TestRegistry;
let image: TestImage;
let key: GeneratedKey;

interface Explained {
  readonly image: string;
  readonly verdict: string;
  readonly scopes: readonly { readonly label: string; readonly governs: boolean }[];
  readonly requirements: readonly { readonly identity: { readonly expected: string } }[];
  readonly endpoints: readonly Readonly<Record<string, string | null>>[];
  readonly store: { readonly kind: string; readonly label: string; readonly why: readonly string[] };
  readonly manifests: readonly { readonly lookup: { readonly attempts: readonly { readonly location: string }[] } }[];
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly fix: { readonly check: string; readonly command: string | null } | null;
}

function put(path: string, content: string | Uint8Array): string {
  const file = folder.join(path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return path;
}

/** A file that sends registry.example.com/team to mirrors and a location. */
function conf(
  name: string,
  mirrors: readonly string[],
  more: { readonly location?: string; readonly blocked?: boolean } = {},
): string {
  const tables = mirrors.map((location) => `[[registry.mirror]]\nlocation = "${location}"\ninsecure = true\n`);
  const head = `[[registry]]\nprefix = "registry.example.com/team"\nlocation = "${more.location ?? `${origin.host}/origin`}"\n`;
  return put(name, `${head}insecure = true\nblocked = ${more.blocked === true}\n${tables.join("")}`);
}

function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path } });
}

const options = ["--policy", "policy.json", "--registries.d", "rd", "--retry-times", "0"];

const explain = (file: string, ...more: readonly string[]): Promise<SignetRun> =>
  signet("policy", "explain", logical, ...options, "--registries-conf", file, ...more);

async function explainJson(
  file: string,
  ...more: readonly string[]
): Promise<{ run: SignetRun; document: Explained; outcomes: readonly string[] }> {
  const run = await explain(file, ...more, "-o", "json");
  const document = JSON.parse(run.stdout) as Explained;
  const outcomes = document.endpoints.map(({ role, reference, outcome, code }) =>
    [role, reference, outcome, code ?? ""].join(" ").trim(),
  );
  return { run, document, outcomes };
}

async function sign(store: string, path: string, identity: string): Promise<void> {
  const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now: Date.now() });
  const { bytes } = await createSignature(image.manifest, identity, signer, { engine: nodeEngine, now: Date.now() });
  put(`${store}/${path}@${image.digest.replace(":", "=")}/signature-1`, bytes);
}

before(async () => {
  [mirror, origin] = await Promise.all([
    startTestRegistry({ auth: "basic", users: { puller: "mirror-word" } }),
    startTestRegistry(),
  ]);
  image = await buildTestImage();
  await pushTestImage(mirror, "proxy/app:1", image);
  await pushTestImage(mirror, "unsigned/app:1", image);
  await pushTestImage(origin, "origin/app:1", image);
  key = await generateKey({ engine: nodeEngine, now: Date.now(), userIds: ["Release"], algorithm: "ed25519" });
  put("key.pub", key.publicKey);
  put("key.private", key.secretKey);
  const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.pub") };
  put(
    "policy.json",
    JSON.stringify({
      default: [{ type: "reject" }],
      transports: { docker: { "registry.example.com/team": [signedBy] } },
    }),
  );
  put(
    "rd/all.yaml",
    [
      "docker:",
      `  registry.example.com:\n    lookaside: file://${folder.join("logical")}`,
      `  ${mirror.host}:\n    lookaside: file://${folder.join("at-mirror")}`,
      `  ${origin.host}:\n    lookaside: file://${folder.join("at-origin")}\n`,
    ].join("\n"),
  );
  const login = { auth: Buffer.from("puller:mirror-word").toString("base64") };
  put("auth.json", JSON.stringify({ auths: { [mirror.host]: login } }));
  await sign("at-mirror", "proxy/app", logical);
  await sign("at-origin", "origin/app", logical);
});

after(async () => {
  await Promise.all([mirror.dispose(), origin.dispose()]);
  folder.dispose();
});

describe("policy explain by registries.conf", () => {
  test("policy and identity go by the name; manifest, credentials and store by the mirror that served", async () => {
    const requests = origin.log.length;
    const file = conf("mirror.conf", [`${mirror.host}/proxy`]);
    const [{ run, document, outcomes }, text] = await Promise.all([
      explainJson(file, "--authfile", "auth.json"),
      explain(file, "--authfile", "auth.json"),
    ]);
    assert.deepEqual([run.status, document.verdict, run.stderr], [0, "accepted", ""]);
    assert.equal(document.image, `docker://${logical}`);
    assert.equal(document.scopes.find(({ governs }) => governs)!.label, "docker: registry.example.com/team");
    assert.equal(document.requirements[0]!.identity.expected, logical);
    assert.deepEqual(outcomes, [`mirror ${mirror.host}/proxy/app:1 served`]);
    assert.match(document.store.why[0]!, new RegExp(`docker: ${mirror.host} \\(lookaside\\) in rd/all\\.yaml:`));
    assert.equal(
      document.store.why[1],
      `mirror ${mirror.host}/proxy/app:1 served the image: stores go by that name, the policy by ${logical}`,
    );
    const [attempt] = document.manifests[0]!.lookup.attempts;
    assert.match(attempt!.location, /\/at-mirror\/proxy\/app@sha256=[0-9a-f]{64}\/signature-1$/);
    assert.ok(mirror.log.some(({ user, method }) => method === "GET" && user === "puller"));
    assert.equal(origin.log.length, requests);
    assert.match(text.stdout, /^├─ places {2}by registries\.conf, in the order in which they were tried$/m);
    assert.match(text.stdout, new RegExp(`served {2}mirror {4}${mirror.host}/proxy/app:1$`, "m"));
  });

  test("says why mirrors did not serve before the location did, whose store is asked then", async () => {
    const file = conf("down.conf", ["127.0.0.1:1/proxy", `${mirror.host}/nothing`]);
    const [{ run, document, outcomes }, text] = await Promise.all([
      explainJson(file, "--authfile", "auth.json"),
      explain(file, "--authfile", "auth.json"),
    ]);
    assert.deepEqual([run.status, document.verdict], [0, "accepted"]);
    assert.deepEqual(outcomes, [
      "mirror 127.0.0.1:1/proxy/app:1 failed registry-unreachable",
      `mirror ${mirror.host}/nothing/app:1 failed image-missing`,
      `location ${origin.host}/origin/app:1 served`,
    ]);
    assert.match(document.endpoints[0]!["message"]!, /127\.0\.0\.1:1/);
    assert.match(document.manifests[0]!.lookup.attempts[0]!.location, /\/at-origin\/origin\/app@sha256=/);
    assert.match(document.store.why.at(-1)!, new RegExp(`^location ${origin.host}/origin/app:1 served the image`));
    assert.match(text.stdout, /failed {2}mirror {4}127\.0\.0\.1:1\/proxy\/app:1: .* \[registry-unreachable\]$/m);
  });

  test("never asks a blocked registry, names the file that blocks it, and still takes its mirrors", async () => {
    const requests = origin.log.length;
    const plain = conf("blocked.conf", [], { blocked: true });
    const mirrored = conf("blocked-mirrored.conf", [`${mirror.host}/nothing`], { blocked: true });
    const served = conf("blocked-served.conf", [`${mirror.host}/proxy`], { blocked: true });
    const [none, missing, taken, text] = await Promise.all([
      explainJson(plain),
      explainJson(mirrored, "--authfile", "auth.json"),
      explainJson(served, "--authfile", "auth.json"),
      explain(plain),
    ]);
    assert.deepEqual([none.run.status, none.document.verdict], [2, "undetermined"]);
    assert.equal(none.document.error!.code, "registry-blocked");
    assert.match(none.document.error!.message, /registry registry\.example\.com\/team is blocked in blocked\.conf/);
    assert.equal(none.document.fix!.check, "registry-blocked");
    assert.match(none.document.store.why.join("\n"), /could not be asked.* is blocked in blocked\.conf/);
    assert.match(text.stdout, /could not tell: .* is blocked in blocked\.conf/);
    assert.deepEqual(missing.outcomes, [
      `mirror ${mirror.host}/nothing/app:1 failed image-missing`,
      `location ${origin.host}/origin/app:1 failed registry-blocked`,
    ]);
    assert.match(
      missing.document.store.why.at(-1)!,
      new RegExp(`^no place served the image: this is the store of mirror ${mirror.host}/nothing/app:1$`),
    );
    assert.equal(taken.document.verdict, "accepted");
    assert.equal(origin.log.length, requests);
  });

  test("the fix signs at the place that served for the name that was asked for, and helps", async () => {
    const file = conf("unsigned.conf", [`${mirror.host}/unsigned`]);
    const login = ["--authfile", "auth.json"];
    const { run, document } = await explainJson(file, ...login);
    assert.deepEqual([run.status, document.verdict], [1, "rejected"]);
    assert.equal(
      document.fix!.command,
      `signet sign --key ${key.fingerprint} --identity ${logical} docker://${mirror.host}/unsigned/app:1 --registries.d rd --registries-conf unsigned.conf --authfile auth.json --tls-verify=false`,
    );
    const words = document.fix!.command.replace(key.fingerprint, "key.private").split(" ").slice(1);
    const signed = await signet(...words);
    assert.deepEqual([signed.status, signed.stderr], [0, ""]);
    assert.equal((await explain(file, ...login)).status, 0);
  });

  test("a registries.conf that cannot be read or makes no name is part of the explanation", async () => {
    const nowhere = conf("nowhere.conf", [], { location: "registry.example.com/UPPER" });
    for (const file of [put("broken.conf", "[[registry\n"), nowhere, "missing.conf"]) {
      const { run, document, outcomes } = await explainJson(file);
      assert.deepEqual([run.status, document.verdict, outcomes], [2, "undetermined", []]);
      assert.equal(document.error!.code, file === "missing.conf" ? "file-missing" : "registries-conf-malformed");
      assert.deepEqual([document.store.kind, document.requirements.length], ["none", 1]);
    }
  });

  describe("of a file tree", () => {
    /** By this machine's own file the tree's names would lead nowhere. */
    const ofTree = (root: string, name: string, ...args: readonly string[]): Promise<SignetRun> =>
      runSignet(
        [
          "policy",
          "explain",
          "--root",
          root,
          "--retry-times",
          "0",
          name,
          "--authfile",
          "auth.json",
          ...args,
          "-o",
          "json",
        ],
        {
          cwd: folder.path,
          env: {
            HOME: folder.path,
            XDG_RUNTIME_DIR: folder.path,
            CONTAINERS_REGISTRIES_CONF: put("own.conf", '[[registry]]\nprefix = "*.com"\nblocked = true\n'),
            PATH: `${folder.join("bin")}:${process.env["PATH"]}`,
          },
        },
      );

    async function makeTree(root: string, files: Readonly<Record<string, string>>): Promise<void> {
      put(`${root}/etc/containers/policy.json`, readFileSync(folder.join("policy.json")));
      put(`${root}${folder.join("key.pub")}`, key.publicKey);
      put(`${root}/etc/containers/registries.d/x.yaml`, "default-docker: {lookaside: 'file:///srv/sig'}\n");
      for (const path of ["proxy/app", "origin/app"]) await sign(`${root}/srv/sig`, path, logical);
      for (const [path, content] of Object.entries(files)) put(`${root}/${path}`, content);
    }

    const mirrorTable = (location: string): string =>
      `[[registry]]\nprefix = "registry.example.com/team"\nlocation = "127.0.0.1:1/x"\n[[registry.mirror]]\nlocation = "${location}"\ninsecure = true\n`;

    test("its own registries.conf and drop-ins count, this machine's do not, and the one that is named comes first", async () => {
      put("bin/docker-credential-theirs", `#!/bin/sh\ntouch ${folder.join("helper-ran")}\nexit 1\n`);
      chmodSync(folder.join("bin/docker-credential-theirs"), 0o755);
      await makeTree("node", {
        "usr/lib/registries.conf":
          'credential-helpers = ["theirs"]\n[aliases]\n"app" = "registry.example.com/team/app"\n',
        "etc/containers/registries.conf.d/10-mirror.conf": mirrorTable(`${origin.host}/origin`),
      });
      symlinkSync("/usr/lib/registries.conf", folder.join("node/etc/containers/registries.conf"));
      const run = await ofTree("node", "app:1");
      const own = JSON.parse(run.stdout) as Explained;
      assert.deepEqual([own.image, own.verdict], [`docker://${logical}`, "accepted"], run.stdout);
      assert.deepEqual(
        own.endpoints.map(({ role, reference, outcome }) => [role, reference, outcome]),
        [["mirror", `${origin.host}/origin/app:1`, "served"]],
      );
      assert.match(
        own.store.why[0]!,
        /default-docker \(lookaside\) in node\/etc\/containers\/registries\.d\/x\.yaml:1/,
      );
      assert.ok(!existsSync(folder.join("helper-ran")));

      const named = JSON.parse(
        (await ofTree("node", logical, "--registries-conf", conf("tree.conf", [`${mirror.host}/proxy`]))).stdout,
      ) as Explained;
      assert.deepEqual([named.verdict, named.endpoints[0]!["reference"]], ["accepted", `${mirror.host}/proxy/app:1`]);
    });

    test("without one each name means the place that it names", async () => {
      await makeTree("bare", {});
      const { endpoints, error } = JSON.parse((await ofTree("bare", "127.0.0.1:1/team/app:1")).stdout) as Explained;
      assert.deepEqual([endpoints, error!.code], [[], "registry-unreachable"]);
    });

    test("credentials go to no registry that only the tree calls insecure", async () => {
      await makeTree("greedy", { "etc/containers/registries.conf": mirrorTable(`${mirror.host}/proxy`) });
      const seen = mirror.log.length;
      const careful = JSON.parse((await ofTree("greedy", logical)).stdout) as Explained;
      assert.deepEqual([careful.verdict, careful.endpoints[0]!["code"]], ["undetermined", "registry-unauthorized"]);
      assert.ok(mirror.log.length > seen && mirror.log.slice(seen).every(({ user }) => user === undefined));
      const told = JSON.parse((await ofTree("greedy", logical, "--tls-verify=false")).stdout) as Explained;
      assert.equal(told.verdict, "accepted");
    });
  });
});
