import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { after, describe, test } from "node:test";
import { makeContainersHome, makeTempDir, requireTool } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const keys = join(vectors, "redhat/keys");

const folder = makeTempDir();
after(() => folder.dispose());
// Where the key paths of atomic's policies lead, from here.
mkdirSync(folder.join("tests/unit"), { recursive: true });
cpSync(join(vectors, "policy/atomic-keys"), folder.join("tests/unit/fixtures"), { recursive: true });

const show = (...args: readonly string[]): ReturnType<typeof runSignet> =>
  runSignet(["trust", "show", ...args], { cwd: folder.path });

/** Policy documents that the reference parses, by name. */
function oraclePolicies(): readonly (readonly [string, string])[] {
  const { cases } = JSON.parse(readFileSync(join(vectors, "policy/policy-verdicts.json"), "utf8")) as {
    cases: readonly { name: string; policy: string; parses: boolean }[];
  };
  return cases.filter(({ parses }) => parses).map(({ name, policy }) => [name, policy]);
}

interface Entry {
  readonly transport: string;
  readonly name?: string;
  readonly sigstore?: string;
  readonly gpg_id?: string;
}

describe("trust show", () => {
  test("shows the same as podman for every policy of other projects", async (t) => {
    const podman = requireTool(t, "podman");
    const gpg = requireTool(t, "gpg");
    if (podman === undefined || gpg === undefined) return;
    using home = makeContainersHome();
    // podman asks a program of this name for the owners of keys.
    const bin = folder.join("bin");
    mkdirSync(bin);
    symlinkSync(gpg, join(bin, "gpg2"));
    const registries = join(vectors, "registries-d/podman");
    const policies = new Map(oraclePolicies());
    for (const folderOf of ["documents", "refused"])
      for (const file of readdirSync(join(vectors, "policy", folderOf)))
        policies.set(file, readFileSync(join(vectors, "policy", folderOf, file), "utf8"));
    let rows = 0;
    const refused: string[] = [];
    const differences: unknown[] = [];
    for (const [name, policy] of policies) {
      const file = folder.join("podman-policy.json");
      writeFileSync(file, policy);
      const shown = await home.podman(
        ["image", "trust", "show", "--json", "--policypath", file, "--registrypath", registries],
        { cwd: folder.path, env: { PATH: `${bin}:${dirname(podman)}:${dirname(gpg)}` } },
      );
      if (shown.status !== 0) {
        assert.match(shown.stderr, /could not parse trust policies/, name);
        refused.push(name);
        continue;
      }
      const expected = JSON.parse(shown.stdout) as readonly Entry[];
      const ours = await show("--json", "--policy", file, "--registries.d", registries);
      const found = JSON.parse(ours.stdout) as readonly Entry[];
      if (!isDeepStrictEqual(found, expected)) differences.push({ name, found, expected, stderr: shown.stderr });
      rows += expected.length;
    }
    assert.deepEqual(differences, []);
    // Bytes as a list of numbers are a form that podman's trust commands do not read, though podman pull and skopeo do.
    assert.deepEqual(refused, ["signedBy-data-array"]);
    assert.ok(rows > 100, `${rows} rows compared`);
  });

  const signedBy = (...keyPaths: readonly string[]): object => ({ type: "signedBy", keyType: "GPGKeys", keyPaths });
  const write = (name: string, policy: object): string => {
    const file = folder.join(name);
    writeFileSync(file, JSON.stringify(policy));
    return file;
  };
  const release = join(keys, "RPM-GPG-KEY-redhat-release.rhel9");
  const auxiliary = join(keys, "RPM-GPG-KEY-redhat-auxiliary2");
  const noStores = folder.join("no-stores");
  mkdirSync(noStores);

  test("tells keys that may sign instead of each other from requirements that must all be met", async () => {
    const policy = write("and-or.json", {
      default: [{ type: "reject" }],
      transports: { docker: { "registry.example.com": [signedBy(release, auxiliary), signedBy(release)] } },
    });
    const { status, stdout, stderr } = await show("--policy", policy, "--registries.d", noStores, "--noheading");
    assert.deepEqual([status, stderr], [0, ""]);
    const rows = stdout.split("\n").map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows[0], ["all", "default", "reject"]);
    assert.deepEqual(rows[1]!.slice(0, 5), [
      "repository",
      "registry.example.com",
      "signed",
      "security@redhat.com",
      "199E2F91FD431D51",
    ]);
    assert.ok(rows.slice(2).some((cells) => cells[0] === "" && /^or [0-9A-F]{16}$/.test(cells[2]!)));
    assert.equal(rows.filter((cells) => cells[2] === "and signed").length, 1);
  });

  test("shows with SCOPE its own entry, or says which one governs it", async () => {
    const policy = write("scopes.json", {
      default: [{ type: "reject" }],
      transports: {
        docker: {
          "registry.example.com/team": [{ type: "insecureAcceptAnything" }],
          "*.example.com": [signedBy(release)],
        },
      },
    });
    const scopes = async (scope: string): Promise<readonly unknown[]> => {
      const { status, stdout } = await show(scope, "--policy", policy, "--registries.d", noStores, "-o", "json");
      assert.equal(status, 0);
      const report = JSON.parse(stdout) as { scopes: readonly { scope: string | null }[] };
      return report.scopes.map((entry) => entry.scope);
    };
    assert.deepEqual(await scopes("registry.example.com/team"), ["registry.example.com/team"]);
    assert.deepEqual(await scopes("docker://registry.example.com/team/app:1"), ["registry.example.com/team"]);
    assert.deepEqual(await scopes("registry.example.com/other"), ["*.example.com"]);
    assert.deepEqual(await scopes("registry.example.com:5000"), ["*.example.com"]);
    assert.deepEqual(await scopes("busybox"), [null]);
    assert.deepEqual(await scopes("default"), [null]);
    const { stderr } = await show("busybox", "--policy", policy, "--registries.d", noStores);
    assert.equal(stderr, "busybox has no entry of its own; what governs it: default\n");
    const nonsense = await show("UPPER/x y", "--policy", policy, "--registries.d", noStores);
    assert.equal(nonsense.status, 64);
  });

  test("shows a node's file tree with --root, its keys below it too, and nothing of the caller's", async () => {
    const root = folder.join("node");
    mkdirSync(join(root, "etc/containers/registries.d"), { recursive: true });
    for (const path of ["etc/pki", "usr/keys"]) mkdirSync(join(root, path), { recursive: true });
    cpSync(release, join(root, "usr/keys/release.gpg"));
    // On this machine, where it must not lead, the link leads to nothing.
    symlinkSync("/usr/keys/release.gpg", join(root, "etc/pki/release.gpg"));
    const policy = {
      default: [{ type: "reject" }],
      transports: { docker: { "registry.example.com/team": [signedBy("/etc/pki/release.gpg")] } },
    };
    writeFileSync(join(root, "etc/containers/policy.json"), JSON.stringify(policy));
    const store = "https://sig.example.com/store";
    writeFileSync(
      join(root, "etc/containers/registries.d/team.yaml"),
      `docker:\n  registry.example.com:\n    lookaside: ${store}\n`,
    );
    const home = folder.join("caller");
    mkdirSync(join(home, ".config/containers"), { recursive: true });
    writeFileSync(join(home, ".config/containers/policy.json"), "nonsense");
    const env = { HOME: home, CONTAINERS_POLICY_JSON: "/nonexistent" };
    const { status, stdout, stderr } = await runSignet(["trust", "show", "--root", root, "-o", "json"], { env });
    assert.deepEqual([status, stderr], [0, ""]);
    const report = JSON.parse(stdout) as {
      policy: string;
      scopes: readonly {
        store: { url: string };
        requirements: readonly { keys: readonly { certificates: readonly { fingerprint: string }[] }[] }[];
      }[];
    };
    assert.equal(report.policy, join(root, "etc/containers/policy.json"));
    assert.equal(report.scopes[1]!.store.url, store);
    const [certificate] = report.scopes[1]!.requirements[0]!.keys[0]!.certificates;
    assert.equal(certificate!.fingerprint, "567E347AD0044ADE55BA8A5F199E2F91FD431D51");
  });

  test("shows what it can of a policy that strict readers refuse, and exits with 2", async () => {
    const policy = write("refused.json", {
      default: [{ type: "insecureAcceptAnything" }],
      comment: "ours",
      transports: { docker: { "a.example.com": [{ type: "signed" }], "b.example.com": [{ type: "reject" }] } },
    });
    const { status, stdout, stderr } = await show("--policy", policy, "--registries.d", noStores);
    assert.equal(status, 2);
    assert.match(stdout, /b\.example\.com +reject/);
    assert.doesNotMatch(stdout, /a\.example\.com/);
    assert.match(
      stderr,
      /error: no image can be pulled with this policy; not shown: docker: a\.example\.com: .*Unknown key "comment"/,
    );
    assert.equal((await show("--raw", "--policy", policy)).stdout, readFileSync(policy, "utf8"));
    writeFileSync(policy, "{");
    const broken = await show("--policy", policy, "--registries.d", noStores);
    assert.deepEqual([broken.status, broken.stdout], [2, ""]);
  });

  test("warns of keys that cannot be read and keeps the row", async () => {
    const policy = write("missing.json", { default: [signedBy("/nonexistent/key.gpg")] });
    const { status, stdout, stderr } = await show("--policy", policy, "--registries.d", noStores);
    assert.equal(status, 0);
    assert.match(stdout, /default +signed +\/nonexistent\/key\.gpg +unreadable/);
    assert.match(stderr, /^warning: .*\/nonexistent\/key\.gpg: no such file/);
  });
});
