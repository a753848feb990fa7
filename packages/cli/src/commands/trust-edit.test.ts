import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { generateKey, parsePolicy } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeTempDir } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir("signet-trust-cli-");
after(() => folder.dispose());
const vectors = join(import.meta.dirname, "../../../../vectors");
const cosign = readFileSync(join(vectors, "sigstore-keys/cosign.pub"), "utf8");
const release = readFileSync(join(vectors, "redhat/keys/RPM-GPG-KEY-redhat-release.rhel8"));
const own = await generateKey({
  engine: nodeEngine,
  now: Date.now(),
  userIds: ["own@example.com"],
  algorithm: "ed25519",
});

const vendorKey = "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release";
let trees = 0;

type Rule = Readonly<Record<string, unknown>>;
interface WrittenPolicy {
  readonly default: readonly Rule[];
  readonly transports: Readonly<Record<string, Readonly<Record<string, readonly Rule[]>>>>;
  readonly "x-owner"?: string;
}

/** A node's file tree with keys and, unless told otherwise, a policy that rejects. Every command below works on such a tree, never on this machine. */
function makeTree(policy: string | null = '{\n    "default": [{"type": "reject"}]\n}\n') {
  const root = folder.join(`node-${trees++}`);
  const write = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  write(vendorKey, release);
  write("/etc/pki/own.asc", own.publicKey);
  write("/etc/pki/cosign.pub", cosign);
  if (policy !== null) write("/etc/containers/policy.json", policy);
  const read = (path: string): string => readFileSync(join(root, path), "utf8");
  return {
    root,
    write,
    read,
    list: (path: string): string[] => readdirSync(join(root, path)).sort(),
    policy: () => JSON.parse(read("/etc/containers/policy.json")) as WrittenPolicy,
    trust: (...args: readonly string[]): Promise<SignetRun> => runSignet(["trust", ...args, "--root", root]),
  };
}

function assertDone(run: SignetRun): SignetRun {
  assert.equal(run.status, 0, run.stderr);
  return run;
}

const policyFile = "/etc/containers/policy.json";

describe("the vendor's procedure, each part one command", () => {
  test("podman's words: the rule and the place of the signatures", async () => {
    const tree = makeTree();
    const url = "https://access.redhat.com/webassets/docker/content/sigstore";
    assertDone(await tree.trust("set", "-f", vendorKey, "registry.access.redhat.com", "--lookaside", url));
    assert.deepEqual(tree.policy().transports, {
      docker: { "registry.access.redhat.com": [{ type: "signedBy", keyType: "GPGKeys", keyPath: vendorKey }] },
    });
    assert.equal(
      tree.read("/etc/containers/registries.d/registry.access.redhat.com.yaml"),
      `docker:\n  registry.access.redhat.com:\n    lookaside: ${url}\n`,
    );
  });

  test("atomic's words: the key inside the policy", async () => {
    const tree = makeTree();
    const url = "https://registry.redhat.io/containers/sigstore";
    assertDone(await tree.trust("set", "--pubkeys", vendorKey, "--sigstore", url, "registry.redhat.io"));
    assert.deepEqual(tree.policy().transports["docker"]!["registry.redhat.io"]!, [
      { type: "signedBy", keyType: "GPGKeys", keyData: release.toString("base64") },
    ]);
    assert.match(tree.read("/etc/containers/registries.d/registry.redhat.io.yaml"), new RegExp(`lookaside: ${url}`));
    const local = ["set", "-t", "insecureAcceptAnything", "--sigstoretype", "local", "/srv/images"];
    assertDone(await tree.trust(...local));
    assert.deepEqual(tree.policy().transports["dir"], { "/srv/images": [{ type: "insecureAcceptAnything" }] });
  });

  test("the default, in both words, says what it changes", async () => {
    const tree = makeTree('{"default":[{"type":"insecureAcceptAnything"}]}');
    const { stdout, stderr } = assertDone(await tree.trust("set", "-t", "reject", "default"));
    assert.match(stdout, /default: every image is rejected \(before: accepted without a signature\)/);
    assert.match(stderr, /podman push.*containers-storage/);
    assert.deepEqual(tree.policy(), { default: [{ type: "reject" }] });
    const back = assertDone(await tree.trust("default", "accept"));
    assert.match(back.stdout, /every image is accepted without a signature \(before: rejected\)/);
    assert.match(assertDone(await tree.trust("default", "accept")).stdout, /^already so: /);
  });
});

describe("trust set", () => {
  test("without a policy asks for the default first", async () => {
    const tree = makeTree(null);
    tree.write("/etc/containers/keep", "");
    const missing = await tree.trust("set", "-t", "accept", "a.b");
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /error: there is no policy yet[^]*hint: .*`signet trust default reject`/);
    assertDone(await tree.trust("default", "reject"));
    assertDone(await tree.trust("set", "-t", "accept", "a.b"));
    assert.deepEqual(tree.list("/etc/containers"), ["keep", "policy.json", "policy.json.bak"]);
  });

  test("any key is enough by default, every key with --require-all, embedded or not", async () => {
    const tree = makeTree();
    const keys = ["-f", vendorKey, "-f", "/etc/pki/own.asc"];
    const requirements = async (...more: readonly string[]): Promise<readonly Rule[]> => {
      assertDone(await tree.trust("set", "a.b", ...keys, ...more));
      return tree.policy().transports["docker"]!["a.b"]!;
    };
    assert.deepEqual(await requirements(), [
      { type: "signedBy", keyType: "GPGKeys", keyPaths: [vendorKey, "/etc/pki/own.asc"] },
    ]);
    assert.deepEqual(
      (await requirements("--require-all")).map((rule) => rule["keyPath"]),
      [vendorKey, "/etc/pki/own.asc"],
    );
    const [joined, ...none] = await requirements("--key-data");
    assert.equal(none.length, 0);
    assert.deepEqual(Object.keys(joined ?? {}), ["type", "keyType", "keyData"]);
    assert.equal((await requirements("--key-data", "--require-all")).length, 2);
  });

  test("an identity is written beside the keys", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "a.b/c", "-f", "/etc/pki/own.asc", "--identity", "remap=a.b/c=d.e/f"));
    const [rule] = tree.policy().transports["docker"]!["a.b/c"]!;
    assert.deepEqual(rule?.["signedIdentity"], { type: "remapIdentity", prefix: "a.b/c", signedPrefix: "d.e/f" });
    const beside = assertDone(await tree.trust("set", "x.y", "-f", "/etc/pki/own.asc", "--identity", "remap=a.b=d.e"));
    assert.match(beside.stderr, /warning: the prefix a\.b covers no image of x\.y/);
  });

  test("sigstore: keys, notes on identity and on signatures in the registry", async () => {
    const tree = makeTree();
    const sigstore = ["set", "a.b/app", "-t", "sigstoreSigned", "-f", "/etc/pki/cosign.pub"];
    const plain = assertDone(await tree.trust(...sigstore));
    assert.match(plain.stderr, /--identity repo/);
    assert.match(plain.stderr, /--attachments/);
    const full = assertDone(await tree.trust(...sigstore, "--identity", "repo", "--attachments"));
    assert.doesNotMatch(full.stderr, /--attachments|--identity/);
    assert.deepEqual(tree.policy().transports["docker"]!["a.b/app"]!, [
      { type: "sigstoreSigned", keyPath: "/etc/pki/cosign.pub", signedIdentity: { type: "matchRepository" } },
    ]);
    assert.match(tree.read("/etc/containers/registries.d/a.b-app.yaml"), /use-sigstore-attachments: true/);
    const logged = assertDone(await tree.trust(...sigstore, "--rekor-key", "/etc/pki/cosign.pub", "--key-data"));
    assert.match(
      logged.stderr,
      /transparency log are read by containers\/image 5\.24\.0 and later \(skopeo 1\.11\.0, /,
    );
    tree.write("/etc/pki/next.pub", cosign);
    const two = assertDone(await tree.trust(...sigstore, "-f", "/etc/pki/next.pub", "--dry-run"));
    assert.match(two.stderr, /several sigstore keys .* 5\.32\.2 and later \(skopeo 1\.16\.1, podman 5\.2\.2\)/);
    const all = assertDone(await tree.trust(...sigstore, "-f", "/etc/pki/next.pub", "--require-all", "--dry-run"));
    assert.doesNotMatch(all.stderr, /several sigstore keys/);
    assert.deepEqual(Object.keys(tree.policy().transports["docker"]!["a.b/app"]![0]!), [
      "type",
      "keyData",
      "rekorPublicKeyData",
    ]);
  });

  test("everything of a transport, and the policy's default with keys and a store", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "--transport", "docker-daemon", "", "-t", "accept"));
    assert.deepEqual(tree.policy().transports["docker-daemon"], { "": [{ type: "insecureAcceptAnything" }] });
    assertDone(await tree.trust("set", "default", "-f", "/etc/pki/own.asc", "--lookaside", "file:///srv/sigs"));
    assert.equal(tree.policy().default[0]!["keyPath"], "/etc/pki/own.asc");
    assert.equal(
      tree.read("/etc/containers/registries.d/default.yaml"),
      "default-docker:\n  lookaside: file:///srv/sigs\n",
    );
  });

  test("tells what more and less specific scopes make of it", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "a.b", "-f", "/etc/pki/own.asc"));
    const looser = assertDone(await tree.trust("set", "a.b/test", "-t", "accept"));
    assert.match(
      looser.stderr,
      /warning: docker: a\.b\/test is accepted without a signature although docker: a\.b is accepted when signed/,
    );
    const stricter = assertDone(await tree.trust("set", "a.b", "-t", "reject"));
    assert.match(stricter.stderr, /warning: more specific scopes ask for less.*a\.b\/test \(accepted without/);
    const nameless = assertDone(await tree.trust("set", "/srv/x", "--transport", "dir", "-f", "/etc/pki/own.asc"));
    assert.match(nameless.stderr, /warning: dir images have no name.*--identity repository=/);
    const hub = assertDone(await tree.trust("set", "docker.io/busybox", "-t", "accept"));
    assert.match(hub.stderr, /note: docker\.io\/busybox is everything below/);
    const web = assertDone(await tree.trust("set", "c.d", "-t", "accept", "--lookaside", "http://c.d/s"));
    assert.match(web.stderr, /warning: http:\/\/c\.d\/s: without TLS/);
  });

  test("what is already so is said and not written", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "a.b", "-f", "/etc/pki/own.asc", "--lookaside", "https://s"));
    tree.write(`${policyFile}.bak`, "mine");
    const again = assertDone(await tree.trust("set", "a.b", "-f", "/etc/pki/own.asc", "--lookaside", "https://s"));
    assert.equal(again.stdout, "already so: docker: a.b: accepted when signed by a key of /etc/pki/own.asc\n");
    assert.equal(tree.read(`${policyFile}.bak`), "mine");
  });

  test("--dry-run shows a diff of every file and writes nothing; -o json says the same as data", async () => {
    const tree = makeTree();
    const args = ["set", "a.b", "-f", "/etc/pki/own.asc", "--lookaside", "https://s"];
    const dry = assertDone(await tree.trust(...args, "--dry-run"));
    const base = join(tree.root, "/etc/containers");
    const lines = dry.stdout.split("\n");
    assert.deepEqual(lines.slice(0, 6), [
      "--- /dev/null",
      `+++ ${base}/registries.d/a.b.yaml`,
      "@@ -0,0 +1,3 @@",
      "+docker:",
      "+  a.b:",
      "+    lookaside: https://s",
    ]);
    assert.match(dry.stdout, new RegExp(`--- ${base}/policy.json\n\\+\\+\\+ ${base}/policy.json\n@@ `));
    assert.match(dry.stdout, /\n\+.*"keyPath": "\/etc\/pki\/own\.asc"/);
    assert.match(dry.stderr, /would be so: docker: a\.b/);
    assert.deepEqual(tree.list("/etc/containers"), ["policy.json"]);
    const data = JSON.parse(assertDone(await tree.trust(...args, "-o", "json")).stdout) as Record<string, unknown>;
    assert.equal(data["changed"], true);
    assert.equal(data["dryRun"], false);
    assert.deepEqual([data["transport"], data["scope"]], ["docker", "a.b"]);
    assert.deepEqual(
      (data["files"] as { path: string; action: string; backup: string | null }[]).map(({ path, action, backup }) => [
        path,
        action,
        backup,
      ]),
      [
        [`${base}/registries.d/a.b.yaml`, "created", null],
        [`${base}/policy.json`, "changed", `${base}/policy.json.bak`],
      ],
    );
  });

  test("members nobody knows are kept, with a warning that names the place", async () => {
    const tree = makeTree('{\n  "default": [{"type": "reject"}],\n  "x-owner": "me"\n}\n');
    const run = assertDone(await tree.trust("set", "a.b", "-t", "accept"));
    assert.match(run.stderr, /warning: strict readers .* refuse .*line 3, column 3: Unknown key "x-owner"/);
    assert.equal(tree.policy()["x-owner"], "me");
    const broken = makeTree('{"default": [{"type": "reject"}],}');
    const refused = await broken.trust("set", "a.b", "-t", "accept");
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /line 1, column 34/);
  });

  const mistakes: readonly (readonly [name: string, args: readonly string[], status: number, said: RegExp])[] = [
    ["no keys", ["a.b"], 64, /signedBy needs at least one public key[^]*-f FILE/],
    ["keys with accept", ["a.b", "-t", "accept", "-f", vendorKey], 64, /type accept takes no keys/],
    ["identity with reject", ["a.b", "-t", "reject", "--identity", "repo"], 64, /does not go with type reject/],
    ["a log's key with signedBy", ["a.b", "-f", vendorKey, "--rekor-key", vendorKey], 64, /--rekor-key goes with/],
    [
      "an unknown type",
      ["a.b", "-t", "trust"],
      64,
      /-t is one of accept, reject, signedBy, sigstoreSigned, not "trust"/,
    ],
    ["a key twice", ["a.b", "-f", vendorKey, "-f", vendorKey], 64, /named twice/],
    ["a short name", ["busybox", "-t", "accept"], 64, /hint: write docker\.io\/library\/busybox/],
    ["a host with a tag", ["h.io:x", "-t", "accept"], 64, /hint: write h\.io, which governs more images/],
    ["another host's transport", ["dir:/srv/x", "-t", "accept"], 64, /hint: write --transport dir \/srv\/x/],
    ["a wildcard alone", ["*", "-t", "accept"], 64, /hint: write --transport docker ''/],
    ["an empty scope", ["", "-t", "accept"], 64, /with --transport NAME, '' is everything/],
    ["an unknown transport", ["a.b", "-t", "accept", "--transport", "dokcer"], 64, /did you mean docker\?/],
    ["the default of a transport", ["default", "-t", "accept", "--transport", "dir"], 64, /--transport dir ''/],
    [
      "a store for folders",
      ["/srv", "-t", "accept", "--transport", "dir", "--lookaside", "https://s"],
      64,
      /no store in registries\.d/,
    ],
    ["a bare path as a store", ["a.b", "-t", "accept", "--lookaside", "/srv/sigs"], 64, /write file:\/\/\/srv\/sigs/],
    [
      "a host as a store",
      ["a.b", "-t", "accept", "--lookaside", "s.example.com/x"],
      64,
      /write https:\/\/s\.example\.com\/x/,
    ],
    ["http for writing", ["a.b", "-t", "accept", "--staging", "https://s/x"], 64, /written to folders alone/],
    ["an identity that is none", ["a.b", "-f", vendorKey, "--identity", "any"], 64, /not a rule[^]*one of exact/],
    ["a key that is not there", ["a.b", "-f", "/etc/pki/none"], 2, /no key file \/etc\/pki\/none below/],
    ["a key of another kind", ["a.b", "-f", "/etc/pki/cosign.pub"], 2, /--type sigstoreSigned/],
  ];
  test("mistakes are named, with the way out, and change nothing", async () => {
    const tree = makeTree();
    const before = tree.read(policyFile);
    const runs = await Promise.all(
      mistakes.map(async ([name, args, status, said]) => ({
        name,
        status,
        said,
        run: await tree.trust("set", ...args),
      })),
    );
    for (const { name, status, said, run } of runs) {
      assert.equal(run.status, status, `${name}: ${run.stderr}`);
      assert.match(run.stderr, said, name);
      assert.equal(run.stdout, "", name);
    }
    assert.equal(tree.read(policyFile), before);
    assert.deepEqual(tree.list("/etc/containers"), ["policy.json"]);
  });

  test("another policy is edited by --policy, or podman's names for it", async () => {
    const tree = makeTree();
    for (const option of ["--policy", "--signature-policy", "--policypath"]) {
      const file = folder.join(`other${option}.json`);
      writeFileSync(file, '{"default":[{"type":"reject"}]}');
      assertDone(await runSignet(["trust", "set", "a.b", "-t", "accept", option, file]));
      assert.equal(parsePolicy(readFileSync(file)).transports.size, 1);
    }
    const alone = await runSignet([
      "trust",
      "set",
      "a.b",
      "-t",
      "accept",
      "--lookaside",
      "https://s",
      "--policy",
      join(tree.root, policyFile),
    ]);
    assert.equal(alone.status, 64);
    assert.match(alone.stderr, /--registries\.d DIR/);
    const gone = await runSignet(["trust", "default", "reject", "--root", folder.join("no-such-tree")]);
    assert.equal(gone.status, 2);
  });
});

describe("trust remove", () => {
  test("takes rule and store, and says who governs now and that it is looser", async () => {
    const tree = makeTree('{"default":[{"type":"insecureAcceptAnything"}]}');
    assertDone(await tree.trust("set", "a.b", "-t", "reject"));
    assertDone(await tree.trust("set", "a.b/c", "-f", "/etc/pki/own.asc", "--lookaside", "https://s"));
    const first = assertDone(await tree.trust("remove", "a.b/c"));
    assert.match(first.stdout, /docker: a\.b\/c: no longer named; governed by docker: a\.b: rejected\n$/);
    assert.doesNotMatch(first.stderr, /warning/);
    assert.deepEqual(tree.list("/etc/containers/registries.d"), ["a.b-c.yaml.bak"]);
    const second = assertDone(await tree.trust("remove", "a.b"));
    assert.match(second.stdout, /governed by the default: accepted without a signature/);
    assert.match(second.stderr, /warning: that asks for less than the rule that went: docker: a\.b was rejected/);
    assert.equal(tree.read(policyFile), '{"default":[{"type":"insecureAcceptAnything"}],"transports":{}}');
  });

  test("keeps the store when told so", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "a.b", "-t", "accept", "--lookaside", "https://s"));
    assertDone(await tree.trust("remove", "a.b", "--keep-store", "--dry-run"));
    assertDone(await tree.trust("remove", "a.b", "--keep-store"));
    assert.deepEqual(tree.list("/etc/containers/registries.d"), ["a.b.yaml"]);
    // What an interrupted removal leaves is completed by the same command.
    assertDone(await tree.trust("remove", "a.b"));
    assert.deepEqual(tree.list("/etc/containers/registries.d"), ["a.b.yaml.bak"]);
  });

  test("a scope that is not there is exit status 2, with those that are near", async () => {
    const tree = makeTree();
    assertDone(await tree.trust("set", "registry.example.com/team", "-t", "accept"));
    assertDone(await tree.trust("set", "/srv/images", "--transport", "oci", "-t", "accept"));
    const cases = [
      [["registry.exmple.com/team"], /hint: there is docker: registry\.example\.com\/team/],
      [["registry.example.com"], /hint: there is docker: registry\.example\.com\/team/],
      [["/srv/images"], /hint: it is a scope of another transport: --transport oci/],
      [["x", "--transport", "atomic"], /no scopes of transport atomic/],
    ] as const;
    for (const [args, hint] of cases) {
      const run = await tree.trust("remove", ...args);
      assert.equal(run.status, 2);
      assert.match(run.stderr, hint);
    }
    assert.equal((await tree.trust("remove", "default")).status, 64);
  });
});
