import assert from "node:assert/strict";
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseNodeFiles, parseNodeTranscript } from "@signet/openshift";
import { makeTempDir, run } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir();
after(() => folder.dispose());

const verify = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["machineconfig", "verify", ...args], { cwd: folder.path });

const policy = `{\n  "default": [\n    {\n      "type": "reject"\n    }\n  ],\n  "transports": {\n    "docker-daemon": {\n      "": [{"type": "insecureAcceptAnything"}]\n    }\n  }\n}\n`;
const registriesD = "docker:\n  a.example.com:\n    lookaside: https://a.example.com/s\n";

function put(root: string, path: string, content: string | Uint8Array, mode = 0o644): string {
  const place = folder.join(root, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, content);
  chmodSync(place, mode);
  return place;
}

before(async () => {
  put("trust", "etc/containers/policy.json", policy);
  put("trust", "etc/containers/registries.d/a.yaml", registriesD);
  put("trust", "etc/pki/keys/bin", new Uint8Array([0, 1, 2, 255]));
  put("trust", "usr/local/bin/run", "#!/bin/sh\n", 0o755);
  const rendered = await runSignet(["machineconfig", "render", "--trust-dir", "trust", "--write", "trust.yaml"], {
    cwd: folder.path,
  });
  assert.equal(rendered.status, 0, rendered.stderr);
});

/** A node with everything as it should be, and then what `change` does to it. */
function makeNode(name: string, change: (root: string) => void = () => {}): string {
  cpSync(folder.join("trust"), folder.join(name), { recursive: true });
  change(name);
  return name;
}

interface Report {
  readonly verdict: string;
  readonly files: readonly {
    readonly path: string;
    readonly outcome: string;
    readonly problems: readonly string[];
    readonly diff?: readonly string[];
  }[];
  readonly extra: readonly string[];
}

async function report(...args: readonly string[]): Promise<Report & { readonly status: number }> {
  const { status, stdout } = await verify(...args, "-o", "json");
  return { status, ...(JSON.parse(stdout) as Report) };
}

const outcomes = ({ files }: Report): object => Object.fromEntries(files.map(({ path, outcome }) => [path, outcome]));
const wanted = [
  "/etc/containers/policy.json",
  "/etc/containers/registries.d/a.yaml",
  "/etc/pki/keys/bin",
  "/usr/local/bin/run",
];
const allSame = Object.fromEntries(wanted.map((path) => [path, "same"]));

/** What the script prints on a node whose root folder is `root`. */
async function transcriptOf(root: string): Promise<string> {
  const { stdout: script } = await verify("--script", "trust.yaml");
  const place = folder.join(root);
  const { status, stdout, stderr } = await run("/bin/sh", ["-c", script.replaceAll(" '/", ` '${place}/`)]);
  assert.equal(status, 0, stderr);
  return stdout.replaceAll(place, "");
}

describe("machineconfig verify", () => {
  test("a node as it should be is accepted from its files, its configuration and its own words", async () => {
    const node = makeNode("fine");
    const { status, stdout, stderr } = await verify("--root", node, "trust.yaml");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.equal(
      stdout,
      `${wanted.map((path) => `same      ${path}\n`).join("")}99-worker-trust: 4 of 4 files as wanted\n`,
    );
    assert.deepEqual(outcomes(await report("--ignition", "trust.yaml", "trust.yaml")), allSame);
    const noise = "Starting pod/worker-0-debug ...\r\nTo use host binaries, run `chroot /host`\r\n";
    writeFileSync(
      folder.join("fine.txt"),
      `${noise}${(await transcriptOf(node)).replaceAll("\n", "\r\n")}\r\nRemoving debug pod ...\r\n`,
    );
    assert.deepEqual(outcomes(await report("--oc-debug", "fine.txt", "trust.yaml")), allSame);
  });

  test("every kind of difference is found, on a disk and by oc debug alike", async () => {
    const node = makeNode("wrong", (root) => {
      put(root, "etc/containers/policy.json", policy.replace("reject", "insecureAcceptAnything"), 0o600);
      rmSync(folder.join(root, "etc/containers/registries.d/a.yaml"));
      put(root, "etc/containers/registries.d/extra.yaml", "docker: {}\n");
      put(root, "etc/pki/keys/bin", new Uint8Array([0, 1, 2, 254]));
      chmodSync(folder.join(root, "usr/local/bin/run"), 0o700);
    });
    writeFileSync(folder.join("wrong.txt"), await transcriptOf(node));
    for (const source of [
      ["--root", node],
      ["--oc-debug", "wrong.txt"],
    ]) {
      const found = await report(...source, "trust.yaml");
      assert.deepEqual([found.status, found.verdict], [1, "rejected"]);
      assert.deepEqual(outcomes(found), {
        "/etc/containers/policy.json": "different",
        "/etc/containers/registries.d/a.yaml": "missing",
        "/etc/pki/keys/bin": "different",
        "/usr/local/bin/run": "mode",
      });
      assert.deepEqual(found.extra, ["/etc/containers/registries.d/extra.yaml"]);
      const [changed, , binary, mode] = found.files;
      assert.deepEqual(changed?.problems, ["its content differs", "its mode is 0600 instead of 0644"]);
      assert.deepEqual(changed?.diff?.slice(0, 3), [
        "--- wanted/etc/containers/policy.json",
        "+++ node/etc/containers/policy.json",
        "@@ -1,7 +1,7 @@",
      ]);
      assert.ok(
        changed?.diff?.includes('-      "type": "reject"') &&
          changed.diff.includes('+      "type": "insecureAcceptAnything"'),
      );
      assert.equal(binary?.diff, undefined);
      assert.deepEqual(mode?.problems, ["its mode is 0700 instead of 0755"]);
    }
    const { stdout } = await verify("--root", node, "trust.yaml");
    assert.match(stdout, /\n {2}-      "type": "reject"\n/);
    assert.match(
      stdout,
      /\nextra {5}\/etc\/containers\/registries\.d\/extra\.yaml\n99-worker-trust: 0 of 4 files as wanted, 1 extra\n$/,
    );
  });

  test("files that were printed one by one are compared by their content, as the documentation looks at them", async () => {
    const opening = "Starting pod/worker-0-debug ...\nTo use host binaries, run `chroot /host`\n";
    const named = (...pairs: readonly (readonly [string, string])[]): readonly string[] =>
      pairs.flatMap(([path, file]) => ["--oc-debug", `${path}=${file}`]);
    writeFileSync(folder.join("p.txt"), `${opening}${policy}\nRemoving debug pod ...\n`);
    writeFileSync(folder.join("r.txt"), `${opening}${registriesD}`);
    writeFileSync(folder.join("b.txt"), Buffer.concat([Buffer.from(opening), Buffer.from([0, 1, 2, 255])]));
    writeFileSync(folder.join("x.txt"), "#!/bin/sh\n");
    const places = {
      "/etc/containers/policy.json": "p.txt",
      "/etc/containers/registries.d/a.yaml": "r.txt",
      "/etc/pki/keys/bin": "b.txt",
      "/usr/local/bin/run": "x.txt",
    };
    const all = await verify(...named(...Object.entries(places)), "trust.yaml");
    assert.deepEqual([all.status, /4 of 4 files as wanted/.test(all.stdout)], [0, true], all.stderr);
    assert.match(all.stderr, /^warning: only the content is compared/m);

    const one = await report(...named(["/etc/containers/policy.json", "p.txt"]), "trust.yaml");
    assert.deepEqual([one.status, one.verdict], [2, "undetermined"]);
    writeFileSync(folder.join("gone.txt"), `${opening}cat: /etc/containers/policy.json: No such file or directory\n`);
    writeFileSync(folder.join("other.txt"), `${opening}${policy.replace("reject", "insecureAcceptAnything")}`);
    for (const [file, outcome] of [
      ["gone.txt", "missing"],
      ["other.txt", "different"],
    ] as const) {
      const found = await report(...named(["/etc/containers/policy.json", file]), "trust.yaml");
      assert.deepEqual([found.status, found.files[0]!.outcome], [1, outcome]);
    }

    // Where one file is wanted, it needs no name.
    cpSync(folder.join("trust/etc/containers/policy.json"), folder.join("single/etc/containers/policy.json"));
    await runSignet(["machineconfig", "render", "--trust-dir", "single", "--write", "single.yaml"], {
      cwd: folder.path,
    });
    assert.equal((await report("--oc-debug", "p.txt", "single.yaml")).status, 0);
    assert.equal((await report("--oc-debug", "other.txt", "single.yaml")).status, 1);

    for (const [text, why] of [
      [opening, "nothing was printed"],
      ["error: unable to create the debug pod\n", "unable to create"],
      [`${opening}cat: /etc/containers/policy.json: Permission denied\n`, "Permission denied"],
      ["signet-file 644 0 0 10 /etc/containers/policy.json\nAAAA\n", "ends within a file"],
    ] as const) {
      writeFileSync(folder.join("none.txt"), text);
      const { status, stderr } = await verify("--oc-debug", "none.txt", "single.yaml");
      assert.deepEqual([status, stderr.includes(why)], [2, true], stderr);
    }
    for (const args of [
      ["--oc-debug", "p.txt", "--oc-debug", "r.txt"],
      named(["/etc/containers/policy.json", "p.txt"], ["/etc/containers/policy.json", "p.txt"]),
      named(["/etc/other", "p.txt"]),
      [...named(["/etc/containers/policy.json", "p.txt"]), "--oc-debug", "r.txt"],
    ])
      assert.equal((await verify(...args, "trust.yaml")).status, 64, args.join(" "));
  });

  test("long lines of a diff, such as embedded keys, are cut for people and whole for programs", async () => {
    const node = makeNode("long", (root) => put(root, "etc/containers/policy.json", `{"x": "${"k".repeat(3000)}"}\n`));
    const { stdout } = await verify("--root", node, "trust.yaml");
    assert.match(stdout, /\n {2}\+\{"x": "k{192}… \(2810 more characters\)\n/);
    const [changed] = (await report("--root", node, "trust.yaml")).files;
    assert.ok(changed?.diff?.some((line) => line.length > 3000));
  });

  test("files that nobody asked for count when that is asked for", async () => {
    const node = makeNode("more", (root) => put(root, "etc/containers/registries.d/more.yaml", "docker: {}\n"));
    assert.equal((await verify("--root", node, "trust.yaml")).status, 0);
    assert.equal((await verify("--root", node, "--strict", "trust.yaml")).status, 1);
  });

  test("links and folders are no files, and links lead nowhere outside of the node", async () => {
    const node = makeNode("links", (root) => {
      rmSync(folder.join(root, "etc/containers/policy.json"));
      symlinkSync("../../../trust/etc/containers/policy.json", folder.join(root, "etc/containers/policy.json"));
      rmSync(folder.join(root, "etc/pki/keys/bin"));
      mkdirSync(folder.join(root, "etc/pki/keys/bin"));
      rmSync(folder.join(root, "usr"), { recursive: true });
      symlinkSync(folder.join("trust/usr"), folder.join(root, "usr"));
    });
    const found = await report("--root", node, "trust.yaml");
    assert.equal(found.status, 1);
    assert.deepEqual(outcomes(found), {
      ...allSame,
      "/etc/containers/policy.json": "no-file",
      "/etc/pki/keys/bin": "no-file",
      "/usr/local/bin/run": "missing",
    });
    // As on a real node, where /usr/local leads to /var/usrlocal.
    const moved = makeNode("moved", (root) => {
      cpSync(folder.join(root, "usr/local"), folder.join(root, "var/usrlocal"), { recursive: true });
      rmSync(folder.join(root, "usr/local"), { recursive: true });
      symlinkSync("/var/usrlocal", folder.join(root, "usr/local"));
    });
    assert.deepEqual(outcomes(await report("--root", moved, "trust.yaml")), allSame);
  });

  test("owners are compared where the configuration names one", async (t) => {
    if (process.getuid?.() !== 0) return t.skip("only root can give files away");
    const head =
      "variant: openshift\nversion: 4.17.0\nmetadata:\n  name: o\n  labels:\n    machineconfiguration.openshift.io/role: worker\nstorage:\n  files:\n";
    writeFileSync(
      folder.join("owner.bu"),
      `${head}  - path: /etc/a\n    user: {name: root}\n    group: {id: 7}\n    contents: {inline: a}\n  - path: /etc/b\n    contents: {inline: b}\n`,
    );
    for (const name of ["a", "b"]) chownSync(put("owned", `etc/${name}`, name), 5, 6);
    const found = await report("--root", "owned", "owner.bu");
    assert.deepEqual(outcomes(found), { "/etc/a": "owner", "/etc/b": "same" });
    assert.deepEqual(found.files[0]?.problems, ["its user is 5 instead of 0", "its group is 6 instead of 7"]);
  });

  test("what cannot be told ends with 2, and never with success", async () => {
    const good = await transcriptOf(makeNode("told"));
    const policyLine = good.split("\n")[0]!;
    const broken: Readonly<Record<string, string>> = {
      empty: "",
      "cut within a file": good.slice(0, 200),
      "cut behind a file": good.slice(0, good.indexOf("signet-end\n") + 11),
      "a file left out": good.slice(good.indexOf("signet-end\n") + 11),
      "a line lost": good.replace(/\n[A-Za-z0-9+/=]{20,}\n/, "\n"),
      "no base64": good.replace(/\n[A-Za-z0-9+/=]{20,}\n/, "\n%%%%\n"),
      "two contents": `${policyLine.replace(" 644 ", " 600 ")}\n${good.split("\n").slice(1).join("\n")}${good}`,
      "no mode": good.replace("signet-file 644", "signet-file rw"),
    };
    const { files } = parseNodeFiles(readFileSync(folder.join("trust.yaml")), "trust.yaml");
    for (const [name, text] of Object.entries(broken))
      assert.throws(
        () => parseNodeTranscript(Buffer.from(text), files, "broken.txt"),
        { code: "node-transcript-malformed", message: /^broken\.txt:\d+: / },
        name,
      );
    writeFileSync(folder.join("broken.txt"), broken["cut within a file"]!);
    const cut = await verify("--oc-debug", "broken.txt", "trust.yaml");
    assert.deepEqual([cut.status, cut.stdout], [2, ""]);
    put("large", "etc/containers/policy.json", new Uint8Array(4 * 1024 * 1024 + 1));
    const large = await verify("--root", "large", "trust.yaml");
    assert.deepEqual([large.status, /missing .*\/a\.yaml/.test(large.stdout)], [1, true]);
    const node = makeNode("told-large", (root) =>
      put(root, "etc/containers/policy.json", new Uint8Array(4 * 1024 * 1024 + 1)),
    );
    const unknown = await report("--root", node, "trust.yaml");
    assert.deepEqual([unknown.status, unknown.verdict], [2, "undetermined"]);
    assert.deepEqual(outcomes(unknown), { ...allSame, "/etc/containers/policy.json": "unknown" });
    assert.match(unknown.files[0]!.problems.join(), /limit is 4194304/);
    // What could be told outranks it.
    rmSync(folder.join(node, "etc/containers/registries.d/a.yaml"));
    assert.deepEqual((await report("--root", node, "trust.yaml")).status, 1);
    assert.equal((await verify("--root", "nowhere", "trust.yaml")).status, 2);
    const text = readFileSync(folder.join("trust.yaml"), "utf8");
    for (const [name, config] of [
      ["climbing", text.replace("path: /etc/pki/keys/bin", "path: /etc/../../root/x")],
      ["not a MachineConfig", "kind: ConfigMap\n"],
      ["two", `${text}---\n${text}`],
      ["twice", text.replace("path: /etc/pki/keys/bin", "path: /etc/containers/policy.json")],
    ] as const) {
      assert.throws(
        () => parseNodeFiles(Buffer.from(config), "config.yaml"),
        { code: "machineconfig-malformed" },
        name,
      );
    }
    writeFileSync(folder.join("config.yaml"), 'ignition: {version: "3.4.0"}\n');
    assert.equal((await verify("--root", "told", "config.yaml")).status, 64);
    assert.equal((await verify("trust.yaml")).status, 64);
    assert.equal((await verify("--root", "told", "--script", "trust.yaml")).status, 64);
  });

  test("the script's quoting holds for any path", async () => {
    const odd = '/etc/it\'s $(touch x) `y` "z"';
    const config = {
      ignition: { version: "3.4.0" },
      storage: { files: [{ path: odd, contents: { source: "data:,odd" } }] },
    };
    writeFileSync(folder.join("odd.json"), JSON.stringify(config));
    put("odd", odd, "odd");
    const { stdout: script } = await verify("--script", "odd.json");
    const place = folder.join("odd");
    const { stdout } = await run("/bin/sh", ["-c", script.replace("'/etc", `'${place}/etc`)], { cwd: folder.path });
    writeFileSync(folder.join("odd.txt"), stdout.replaceAll(place, ""));
    assert.deepEqual(outcomes(await report("--oc-debug", "odd.txt", "odd.json")), { [odd]: "same" });
    assert.throws(() => readFileSync(folder.join("x")), { code: "ENOENT" });
    assert.equal(join("/", odd), odd);
  });
});
