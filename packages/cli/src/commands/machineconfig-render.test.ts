import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { parseManifestObjects } from "@signet/openshift";
import {
  buildTestImage,
  makeContainersHome,
  makeTempDir,
  pushTestImage,
  requireTool,
  startTestRegistry,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const butane = join(vectors, "machineconfig/butane");
const seed = "51-worker-rh-registry-trust";

const folder = makeTempDir();
after(() => folder.dispose());

const render = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["machineconfig", "render", ...args], { cwd: folder.path });

interface RenderedFile {
  readonly path: string;
  readonly mode?: number;
  readonly overwrite?: boolean;
  readonly contents?: { readonly source?: string; readonly compression?: string };
}

interface RenderedObject {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly config: {
      readonly ignition: { readonly version: string };
      readonly storage: { readonly files: readonly RenderedFile[] };
    };
  };
}

function parse(yaml: string): unknown {
  const [object] = parseManifestObjects(new TextEncoder().encode(yaml), "standard output");
  return object?.value;
}

/** Decoded without Signet's help. */
function decode({ contents }: RenderedFile): Buffer {
  const { source = "data:,", compression } = contents ?? {};
  const body = source.slice(source.indexOf(",") + 1);
  const bytes = source.startsWith("data:;base64,")
    ? Buffer.from(body, "base64")
    : Buffer.from(decodeURIComponent(body));
  return compression === "gzip" ? gunzipSync(bytes) : bytes;
}

function filesOf(yaml: string): ReadonlyMap<string, Buffer> {
  const { spec } = parse(yaml) as RenderedObject;
  return new Map(spec.config.storage.files.map((file) => [file.path, decode(file)]));
}

/** Writes the files of a MachineConfig below a root folder, as a node would below its own. */
function unpack(yaml: string, root: string): void {
  for (const [path, content] of filesOf(yaml)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

const write = (path: string, content: string | Uint8Array | object): string => {
  mkdirSync(dirname(folder.join(path)), { recursive: true });
  const isRaw = typeof content === "string" || content instanceof Uint8Array;
  writeFileSync(folder.join(path), isRaw ? content : JSON.stringify(content));
  return path;
};

/** Images in local storage stay usable, as the node's own updates need it. */
const signedBy = (keys: object): object => {
  const local = { "": [{ type: "insecureAcceptAnything" }] };
  const transports = { "containers-storage": local, "docker-daemon": local };
  return { default: [{ type: "signedBy", keyType: "GPGKeys", ...keys }], transports };
};

before(async () => {
  for (const name of ["one", "two"]) {
    const key = await generateKey({
      engine: nodeEngine,
      now: Date.now(),
      userIds: [`${name} <${name}@example.com>`],
      algorithm: "rsa2048",
    });
    write(`${name}.private`, key.secretKey);
    write(`${name}.pub`, key.publicKey);
  }
});

describe("machineconfig render", () => {
  test("makes of Red Hat's Butane file what Butane makes, on standard output and in a file", async () => {
    const wanted = readFileSync(join(butane, `${seed}.yaml`), "utf8");
    const { status, stdout, stderr } = await render(join(butane, `${seed}.bu`));
    assert.deepEqual([status, stdout], [0, wanted]);
    assert.match(stderr, /^warning: .*policy\.json:2:3: warning default-permissive: /);
    assert.match(stderr, /\nwarning: 51-worker-rh-registry-trust comes before 99-worker-generated-registries, /);
    const written = await render(join(butane, `${seed}.bu`), "--write", "out.yaml");
    assert.deepEqual([written.status, written.stdout, readFileSync(folder.join("out.yaml"), "utf8")], [0, "", wanted]);
    const input = readFileSync(join(butane, `${seed}.bu`));
    const piped = await runSignet(["machineconfig", "render", "-", "-o", "json"], { input });
    assert.deepEqual(JSON.parse(piped.stdout), parse(wanted));
  });

  test("warns about what Butane writes and no node takes; in a file of trust it is refused", async () => {
    for (const [name, words] of [
      ["no-node-takes-4.9", ["/usr/local/bin/a: mode 2541", "/etc/b: mode 644"]],
      ["claimed-gzip", ["/etc/a: the content is not gzip"]],
    ] as const) {
      const { status, stdout, stderr } = await render(join(butane, `${name}.bu`));
      assert.deepEqual([status, stdout], [0, readFileSync(join(butane, `${name}.yaml`), "utf8")]);
      for (const word of words) assert.ok(stderr.includes(word), stderr);
      assert.equal(stderr.match(/^warning: .*no node takes it$/gm)?.length, words.length, stderr);
    }
    const text = readFileSync(join(butane, "claimed-gzip.bu"), "utf8");
    for (const path of ["/etc/containers/policy.json", "/etc/containers/registries.d/a.yaml"]) {
      writeFileSync(folder.join("claimed.bu"), text.replace("/etc/a", path));
      const { status, stdout, stderr } = await render("claimed.bu");
      assert.deepEqual([status, stdout, stderr.includes(`${path}: the content is not gzip`)], [2, "", true]);
    }
  });

  test("finds local files in the folder that is named", async () => {
    const { status, stdout } = await render(join(butane, "files.bu"), "--files-dir", join(butane, "files"));
    assert.deepEqual([status, stdout], [0, readFileSync(join(butane, "files.yaml"), "utf8")]);
  });

  test("refuses a Butane file with all its problems and their places, and writes nothing", async () => {
    const text = readFileSync(join(butane, `${seed}.bu`), "utf8")
      .replace("mode: 0644", "mode: 01644")
      .replace("overwrite", "overwrites");
    write("bad.bu", `${text}passwd:\n  users: []\n`);
    const { status, stdout, stderr } = await render("bad.bu", "--write", "bad.yaml");
    assert.deepEqual([status, stdout], [2, ""]);
    assert.deepEqual(stderr.trimEnd().split("\n").toSorted(), [
      "error: bad.bu:10:11: $.storage.files.0.mode: special mode bits are not supported in this spec version",
      'error: bad.bu:11:5: $.storage.files.0.overwrites: unknown key "overwrites"; known are path, overwrite, mode, user, group, contents',
      "error: bad.bu:47:3: $.passwd: this part of Butane is not rendered here: a MachineConfig of trust has files; use butane for the rest",
    ]);
    assert.throws(() => readFileSync(folder.join("bad.yaml")), { code: "ENOENT" });
  });

  test("refuses a policy or registries.d that the nodes could not read, however it is brought", async () => {
    const typo = readFileSync(join(butane, `${seed}.bu`), "utf8").replace('"keyType"', '"keytype"');
    const inButane = await render(write("typo.bu", typo));
    assert.deepEqual([inButane.status, inButane.stdout], [2, ""]);
    assert.match(
      inButane.stderr,
      /^error: invalid policy in "typo\.bu: \/etc\/containers\/policy\.json": line 12, column 11/,
    );
    for (const [policy, message] of [["{", /line 1, column 2/]] as const) {
      const { status, stdout, stderr } = await render("--policy", write("broken.json", policy));
      assert.deepEqual([status, stdout], [2, ""]);
      assert.match(stderr, message);
    }
    write("bad.d/a.yaml", "docker: [\n");
    write("twice.d/a.yaml", "docker:\n  example.com:\n    lookaside: https://a\n");
    write("twice.d/b.yaml", "docker:\n  example.com:\n    lookaside: https://b\n");
    assert.match((await render("--registries.d", "bad.d")).stderr, /registries\.d\/a\.yaml:2: /);
    const twice = await render("--registries.d", "twice.d");
    assert.deepEqual([twice.status, twice.stdout], [2, ""]);
    assert.match(twice.stderr, /"example\.com" is defined in .*a\.yaml:2 and in .*b\.yaml:2/);
    mkdirSync(folder.join("tree/etc/crio/policies"), { recursive: true });
    write("tree/etc/crio/policies/ns.json", "[]");
    assert.equal((await render("--trust-dir", "tree")).status, 2);
  });

  test("takes policy and registries.d for any role, name and version", async () => {
    write("plain.json", signedBy({ keyPath: "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release" }));
    write("plain.d/b.yaml", "docker:\n  b.example.com:\n    lookaside: https://b.example.com/s\n");
    write("plain.d/a.yaml", "docker:\n  a.example.com:\n    lookaside: https://a.example.com/s\n");
    write("plain.d/README", "not read");
    const plain = ["--policy", "plain.json", "--registries.d", "plain.d"];
    const { status, stdout, stderr } = await render(
      ...plain,
      "--role",
      "master",
      "--label",
      "team=a",
      "--openshift-version",
      "4.9",
    );
    assert.deepEqual([status, stderr], [0, ""]);
    const object = parse(stdout) as RenderedObject;
    assert.deepEqual(object.metadata, {
      labels: { "machineconfiguration.openshift.io/role": "master", team: "a" },
      name: "99-master-trust",
    });
    assert.equal(object.spec.config.ignition.version, "3.2.0");
    assert.deepEqual(
      object.spec.config.storage.files.map(({ path, mode, overwrite, contents }) => [
        path,
        mode,
        overwrite,
        contents?.compression,
      ]),
      ["policy.json", "registries.d/a.yaml", "registries.d/b.yaml"].map((name) => [
        `/etc/containers/${name}`,
        420,
        true,
        "",
      ]),
    );
    assert.equal(
      decode(object.spec.config.storage.files[0]!).toString(),
      readFileSync(folder.join("plain.json"), "utf8"),
    );
    for (const [version, ignition] of [
      ["4.20", "3.5.0"],
      ["4.23", "3.7.0-experimental"],
    ] as const) {
      const made = parse((await render(...plain, "--openshift-version", version)).stdout) as RenderedObject;
      assert.equal(made.spec.config.ignition.version, ignition, version);
    }
    write("other.d/a.yml", "docker: {}\n");
    const other = await render("--policy", "plain.json", "--registries.d", "other.d");
    assert.deepEqual([other.status, /^warning: other\.d\/a\.yml is left out/m.test(other.stderr)], [0, true]);
    const nothing = await render("--registries.d", "other.d");
    assert.deepEqual([nothing.status, nothing.stdout], [2, ""]);
    assert.match(nothing.stderr, /there is no file for the nodes in other\.d/);
    const [unknown, badRole, badName] = await Promise.all([
      render(...plain, "--openshift-version", "4.7"),
      render(...plain, "--role", "a b"),
      render(...plain, "--name", "Trust"),
    ]);
    assert.deepEqual([unknown.status, badRole.status, badName.status], [64, 64, 64]);
  });

  test("puts keys into the policy, several as one keyring, and leaves all else as it was", async () => {
    const keys = ["/etc/pki/one.pub", "/etc/pki/two.pub"];
    const text = `{\n  "default": [ {"type": "insecureAcceptAnything"} ],\n  "transports": {"docker": {\n    "a.example.com": [{"type":"signedBy","keyType":"GPGKeys",  "keyPaths": ${JSON.stringify(keys)} }],\n    "b.example.com": [{"type":"signedBy","keyType":"GPGKeys","keyPath":"/etc/pki/one.pub"}]}}\n}\n`;
    write("keys.json", text);
    const { status, stdout, stderr } = await render(
      "--policy",
      "keys.json",
      "--embed-keys",
      "--key",
      "one.pub",
      "--key",
      "/etc/pki/two.pub=two.pub",
    );
    assert.equal(status, 0);
    assert.doesNotMatch(stderr, /key file|error/);
    const files = filesOf(stdout);
    assert.deepEqual([...files.keys()], ["/etc/containers/policy.json"]);
    const [one, two] = ["one.pub", "two.pub"].map((name) => readFileSync(folder.join(name)));
    const joined = Buffer.concat([one!, Buffer.from("\n"), two!, Buffer.from("\n")]);
    assert.equal(
      files.get("/etc/containers/policy.json")?.toString(),
      text
        .replace(`"keyPaths": ${JSON.stringify(keys)}`, `"keyData": "${joined.toString("base64")}"`)
        .replace('"keyPath":"/etc/pki/one.pub"', `"keyData":"${one!.toString("base64")}"`),
    );
    const sigstore = {
      default: [
        { type: "sigstoreSigned", keyPaths: ["/k/a.pem", "/k/b.pem"], rekorPublicKeyPath: "/k/r.pem" },
        {
          type: "sigstoreSigned",
          fulcio: { caPath: "/k/a.pem", oidcIssuer: "https://i", subjectEmail: "a@b" },
          rekorPublicKeyPaths: ["/k/r.pem"],
        },
        {
          type: "sigstoreSigned",
          pki: { caRootsPath: "/k/a.pem", caIntermediatesPath: "/k/b.pem", subjectEmail: "a@b" },
        },
      ],
    };
    for (const name of ["a", "b", "r"]) write(`${name}.pem`, `PEM ${name}\n`);
    const pem = ["--key", "a.pem", "--key", "b.pem", "--key", "r.pem"];
    const made = await render("--policy", write("sigstore.json", sigstore), "--embed-keys", ...pem);
    const [a, b, r] = ["a", "b", "r"].map((name) => Buffer.from(`PEM ${name}\n`).toString("base64"));
    assert.deepEqual(JSON.parse(filesOf(made.stdout).get("/etc/containers/policy.json")!.toString()), {
      default: [
        { type: "sigstoreSigned", keyDatas: [a, b], rekorPublicKeyData: r },
        {
          type: "sigstoreSigned",
          fulcio: { caData: a, oidcIssuer: "https://i", subjectEmail: "a@b" },
          rekorPublicKeyDatas: [r],
        },
        { type: "sigstoreSigned", pki: { caRootsData: a, caIntermediatesData: b, subjectEmail: "a@b" } },
      ],
    });
  });

  test("puts keys beside the policy, and says which ones are missing", async () => {
    write(
      "trust/etc/containers/policy.json",
      signedBy({ keyPaths: ["/etc/pki/containers/one.pub", "/etc/pki/containers/two.pub"] }),
    );
    write("trust/etc/pki/containers/one.pub", readFileSync(folder.join("one.pub")));
    const missing = await render("--trust-dir", "trust");
    assert.equal(missing.status, 0);
    assert.match(
      missing.stderr,
      /^warning: .*key file \/etc\/pki\/containers\/two\.pub does not come with these files; it must be on the nodes already\n$/,
    );
    const strict = await render("--trust-dir", "trust", "--strict", "--write", "strict.yaml");
    assert.deepEqual([strict.status, strict.stdout], [1, ""]);
    assert.throws(() => readFileSync(folder.join("strict.yaml")), { code: "ENOENT" });
    const { status, stdout, stderr } = await render("--trust-dir", "trust", "--include-keys", "--key", "two.pub");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(
      [...filesOf(stdout).keys()],
      ["/etc/containers/policy.json", "/etc/pki/containers/one.pub", "/etc/pki/containers/two.pub"],
    );
    const nowhere = await render("--trust-dir", "trust", "--embed-keys");
    assert.deepEqual([nowhere.status, nowhere.stdout], [2, ""]);
    assert.match(
      nowhere.stderr,
      /^error: cannot read key file that the policy names, \/etc\/pki\/containers\/two\.pub: no such file/,
    );
    const noKey = await render(
      "--trust-dir",
      "trust",
      "--embed-keys",
      "--key",
      `/etc/pki/containers/two.pub=${write("noise", "no key")}`,
    );
    assert.match(noKey.stderr, /two\.pub holds no OpenPGP public key/);
    const unnamed = await render("--trust-dir", "trust", "--embed-keys", "--key", "three.pub");
    assert.deepEqual([unnamed.status, /no key path of the policy ends in three\.pub/.test(unnamed.stderr)], [64, true]);
  });

  test("lints what it renders, with the keys that it brings", async () => {
    write("expired.json", signedBy({ keyPath: "/k/ci.pub" }));
    const ci = join(vectors, "openshift/keyrings/simple.txt");
    const { status, stderr } = await render("--policy", "expired.json", "--include-keys", "--key", `/k/ci.pub=${ci}`);
    assert.equal(status, 0);
    assert.match(stderr, /error key-expired: /);
  });

  test("wants to be called in one way", async () => {
    for (const args of [
      [],
      ["a.bu", "--policy", "p"],
      ["a.bu", "--role", "worker"],
      ["--policy", "p", "--files-dir", "d"],
      ["--policy", "p", "--key", "k"],
      ["--policy", "p", "--embed-keys", "--include-keys"],
      ["--registries.d", ".", "--embed-keys"],
      ["--policy", "plain.json", "--label", "a"],
    ])
      assert.equal((await render(...args)).status, 64, args.join(" "));
  });
});

describe("what a rendered MachineConfig puts on a node", () => {
  test("podman and skopeo accept the signed image and refuse the unsigned one", async (t) => {
    if (requireTool(t, "podman") === undefined || requireTool(t, "skopeo") === undefined) return;
    if (requireTool(t, "gpg") === undefined) return;
    await using registry = await startTestRegistry();
    using home = makeContainersHome();
    home.allowInsecure(registry.host);
    await pushTestImage(registry, "team/signed:1", await buildTestImage());
    await pushTestImage(registry, "team/unsigned:1", await buildTestImage({ seed: 2 }));
    write("node.d/team.yaml", `docker:\n  ${registry.host}:\n    lookaside: file://${folder.path}/store\n`);
    mkdirSync(folder.join("store"));
    const sign = ["sign", "--key", "two.private", `docker://${registry.host}/team/signed:1`, "--tls-verify=false"];
    const signed = await runSignet([...sign, "--registries.d", "node.d"], { cwd: folder.path });
    assert.equal(signed.status, 0, signed.stderr);
    const signers = signedBy({ keyPaths: ["/etc/pki/one.pub", "/etc/pki/two.pub"] }) as { readonly default: object };
    const policy = {
      default: [{ type: "reject" }],
      transports: { docker: { [`${registry.host}/team`]: signers.default } },
    };
    const keys = ["--key", "one.pub", "--key", "two.pub"];
    const { status, stdout } = await render(
      "--policy",
      write("node.json", policy),
      "--registries.d",
      "node.d",
      "--embed-keys",
      ...keys,
    );
    assert.equal(status, 0);
    const root = folder.join("root");
    unpack(stdout, root);
    const node = {
      policy: join(root, "etc/containers/policy.json"),
      registriesD: join(root, "etc/containers/registries.d"),
    };
    cpSync(node.registriesD, home.registriesDir, { recursive: true });
    for (const [image, isAccepted] of [
      ["signed", true],
      ["unsigned", false],
    ] as const) {
      const name = `${registry.host}/team/${image}:1`;
      const target = folder.join("copy", image);
      mkdirSync(target, { recursive: true });
      const copy = ["copy", "--src-tls-verify=false", `docker://${name}`, `dir:${target}`];
      const copied = await home.skopeo(["--policy", node.policy, "--registries.d", node.registriesD, ...copy]);
      assert.equal(copied.status === 0, isAccepted, `skopeo ${image}: ${copied.stderr}`);
      const pulled = await home.podman([
        "pull",
        "--quiet",
        "--signature-policy",
        node.policy,
        "--tls-verify=false",
        name,
      ]);
      assert.equal(pulled.status === 0, isAccepted, `podman ${image}: ${pulled.stderr}`);
      if (!isAccepted)
        for (const { stderr } of [copied, pulled])
          assert.match(stderr, /A signature was required, but no signature exists/);
    }
    rmSync(root, { recursive: true });
  });
});
