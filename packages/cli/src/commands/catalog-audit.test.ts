import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GeneratedKey, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import {
  type TestImage,
  type TestRegistry,
  buildTestImage,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { type SignetRun, runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

const page = readFileSync(join(import.meta.dirname, "../../../../docs/openshift-catalogs.md"), "utf8");
const folder = makeTempDir("signet-catalog-");
const now = Date.now();
let registry: TestRegistry;
let key: GeneratedKey;
let images: readonly TestImage[];
let catalog: string;

/** Of the JSON what the tests look at. */
interface Report {
  readonly verdict: string;
  readonly summary: Readonly<Record<string, unknown>>;
  readonly packages: readonly {
    readonly name: string;
    readonly verdict: string;
    readonly channels: readonly object[];
  }[];
  readonly images: readonly {
    readonly image: string;
    readonly verdict: string | null;
    readonly signed: boolean | null;
  }[];
  readonly findings: readonly { readonly rule: string; readonly image?: string; readonly message: string }[];
}

function put(path: string, content: string | Uint8Array): string {
  const file = folder.join(path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const flags = ["--registries.d", "rd", "--tls-verify=false", "--retry-times", "0"];
const signet = (args: readonly string[], input?: string): Promise<SignetRun> =>
  runSignet(args, { cwd: folder.path, env: { HOME: folder.path }, ...(input === undefined ? {} : { input }) });
const audit = (...args: readonly string[]): Promise<SignetRun> => signet(["catalog", "audit", ...flags, ...args]);

async function auditJson(...args: readonly string[]): Promise<{ readonly run: SignetRun; readonly report: Report }> {
  const run = await audit(...args, "-o", "json");
  return { run, report: JSON.parse(run.stdout) as Report };
}

const lines = (...objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join("\n");
const bundleOf = (name: string, related: readonly string[]): object => ({
  schema: "olm.bundle",
  package: "op",
  name,
  image: `${registry.host}/team/app@${images[0]!.digest}`,
  relatedImages: related.map((image) => ({ name: "", image })),
});
const catalogOf = (...related: readonly string[]): string =>
  lines(
    { schema: "olm.package", name: "op", defaultChannel: "stable" },
    { schema: "olm.channel", package: "op", name: "stable", entries: [{ name: "op.v1" }] },
    bundleOf("op.v1", related),
  );

before(async () => {
  registry = await startTestRegistry();
  images = await Promise.all([1, 2, 3].map((seed) => buildTestImage({ seed })));
  key = await generateKey({ engine, now, userIds: ["Release"], algorithm: "ed25519" });
  const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine, now });
  put("key.pub", key.publicKey);
  put("rd/all.yaml", `docker:\n  ${registry.host}:\n    lookaside: file://${folder.path}/store\n`);
  put(
    "policy.json",
    JSON.stringify({
      default: [{ type: "reject" }],
      transports: {
        docker: { [registry.host]: [{ type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.pub") }] },
      },
    }),
  );
  const sign = async (repository: string, image: TestImage): Promise<void> => {
    const name = `${registry.host}/${repository}`;
    const { bytes } = await createSignature(image.manifest, `${name}:1`, signer, { engine, now });
    put(`store/${repository}@${image.digest.replace(":", "=")}/signature-1`, bytes);
  };
  await pushTestImage(registry, "team/app:1", images[0]!);
  await pushTestImage(registry, "team/lib:1", images[1]!);
  await pushTestImage(registry, "olm/team/app:1", images[0]!);
  await pushTestImage(registry, "olm/team/lib:1", images[1]!);
  await sign("team/app", images[0]!);
  await sign("team/lib", images[1]!);
  catalog = catalogOf(
    `${registry.host}/team/app@${images[0]!.digest}`,
    `${registry.host}/team/lib@${images[1]!.digest}`,
  );
  put("catalog/op/catalog.json", catalog);
  const index = await buildTestImage({
    seed: 9,
    labels: { "operators.operatorframework.io.index.configs.v1": "/configs" },
    files: { "configs/op/catalog.json": catalog },
  });
  await pushTestImage(registry, "operators/index:1", index);
  await sign("operators/index", index);
  const csv = `kind: ClusterServiceVersion\nmetadata: {name: op.v1}\nspec: {relatedImages: [{name: app, image: "${registry.host}/team/app@${images[0]!.digest}"}]}\n`;
  const prefix = "operators.operatorframework.io.bundle";
  const labels = {
    [`${prefix}.mediatype.v1`]: "registry+v1",
    [`${prefix}.package.v1`]: "op",
    [`${prefix}.channels.v1`]: "stable",
  };
  writeDirImage(folder.join("bundle"), await buildTestImage({ labels, files: { "manifests/op.yaml": csv } }));
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

test("every command of docs/openshift-catalogs.md works as it stands there", async () => {
  const commands = [...page.matchAll(/^\$ signet (.+)$/gm)].map(([, line]) => line!);
  assert.equal(commands.length, 5);
  for (const line of commands) {
    const words = line.replaceAll(/(?:registry|mirror)\.example\.com/g, registry.host).split(" ");
    const { status, stdout, stderr } = await signet([...words, ...flags]);
    assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
  }
  assert.match(readFileSync(folder.join("audit.html"), "utf8"), /<strong class="clean">clean<\/strong>/);
});

describe("catalog audit", () => {
  test("judges each digest once, and says which package and channel is affected by what", async () => {
    const unsigned = `${registry.host}/team/none@${images[2]!.digest}`;
    const [app, lib] = images;
    await pushTestImage(registry, "team/none:1", images[2]!);
    put(
      "bad.json",
      `${catalogOf(`${registry.host}/team/app@${app!.digest}`, `${registry.host}/team/app:1@${app!.digest}`, unsigned, `${registry.host}/team/lib:1`)}\n${lines(
        { schema: "olm.package", name: "good", defaultChannel: "stable" },
        { schema: "olm.channel", package: "good", name: "stable", entries: [{ name: "good.v1" }] },
        {
          ...bundleOf("good.v1", [
            `${registry.host}/team/app@${app!.digest}`,
            `${registry.host}/team/lib@${lib!.digest}`,
          ]),
          package: "good",
        },
      )}`,
    );
    const earlier = registry.log.length;
    const { run, report } = await auditJson(
      "--check",
      "--policy",
      "policy.json",
      "--mirror",
      `${registry.host}/olm`,
      "bad.json",
    );
    assert.equal(run.status, 1, run.stderr);
    assert.deepEqual(
      report.findings.map(({ rule, image }) => `${rule} ${image?.replace(/^[^/]*|@.*/g, "")}`),
      [
        "image-by-tag /team/lib:1",
        "image-unsigned /team/none",
        "mirror-missing /team/none",
        "image-tag-and-digest /team/app:1",
      ],
    );
    assert.deepEqual(
      report.packages.map(({ name, verdict }) => [name, verdict]),
      [
        ["good", "clean"],
        ["op", "findings"],
      ],
    );
    const { byDigest, byTag, signed, accepted, rejected, mirrored, missingInMirror } = report.summary;
    assert.deepEqual([byDigest, byTag, signed, accepted, rejected, mirrored, missingInMirror], [4, 1, 4, 4, 1, 3, 1]);
    const asked = registry.log.slice(earlier).filter(({ path }) => path === `/v2/team/app/manifests/${app!.digest}`);
    assert.equal(asked.length, 1, JSON.stringify(asked));
  });

  test("cannot tell, and is never clean, when a registry does not answer; what is bad all the same is told", async () => {
    put("unknown.json", catalogOf(`127.0.0.1:1/gone/x@${images[1]!.digest}`));
    put(
      "unknown-policy.json",
      readFileSync(folder.join("policy.json"), "utf8")
        .replaceAll(registry.host, "127.0.0.1:1")
        .replace('"reject"', '"insecureAcceptAnything"'),
    );
    const { run, report } = await auditJson("--check", "--policy", "unknown-policy.json", "unknown.json");
    assert.deepEqual([run.status, report.verdict], [2, "undetermined"], run.stderr);
    assert.match(run.stderr, /^error: not everything could be told about the catalog's images/m);
    const mirror = await auditJson("--mirror", "127.0.0.1:1", "unknown.json");
    assert.deepEqual([mirror.run.status, mirror.report.summary["mirrored"]], [2, 0]);
    put("both.json", catalogOf(`127.0.0.1:1/gone/x@${images[1]!.digest}`, "x:1"));
    assert.equal((await audit("--mirror", "127.0.0.1:1", "both.json")).status, 1);
  });

  test("reports survive hostile names in every form", async () => {
    const hostile = `</td><script>alert(1)</script>"'\`&\u001b[31m\u202e`;
    put(
      "hostile.json",
      lines(
        { schema: "olm.package", name: hostile },
        { schema: "olm.channel", package: hostile, name: "=cmd()", entries: [{ name: hostile }] },
        {
          schema: "olm.bundle",
          package: hostile,
          name: hostile,
          image: hostile,
          relatedImages: [{ name: "=HYPERLINK(1)", image: '+x,"y"\nz' }],
        },
      ),
    );
    const forms = ["html", "json", "csv", "sarif"].flatMap((form) => ["--report", form, `hostile.${form}`]);
    const { status, stdout } = await audit("hostile.json", ...forms);
    assert.equal(status, 1);
    assert.ok(!stdout.includes("\u001b") && !stdout.includes("\u202e"));
    const html = readFileSync(folder.join("hostile.html"), "utf8");
    assert.ok(!/<script|\u001b|\u202e|"'/.test(html) && html.includes("&#60;/td&#62;&#60;script&#62;"));
    assert.ok(!/https?:\/\/|src=/.test(html));
    const csv = readFileSync(folder.join("hostile.csv"), "utf8");
    assert.ok(
      csv.split("\r\n").every((row) => !/(?:^|,)"?[=+@-]/.test(row)),
      csv,
    );
    assert.ok(csv.includes('\'=HYPERLINK(1),"\'+x,""y""\\nz"'), csv);
    const sarif = JSON.parse(readFileSync(folder.join("hostile.sarif"), "utf8")) as {
      readonly version: string;
      readonly runs: readonly {
        readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
        readonly results: readonly { readonly ruleId: string; readonly ruleIndex: number; readonly level: string }[];
      }[];
    };
    const [run] = sarif.runs;
    assert.equal(sarif.version, "2.1.0");
    assert.ok(run!.results.length > 0);
    for (const { ruleId, ruleIndex } of run!.results) assert.equal(run!.tool.driver.rules[ruleIndex]?.id, ruleId);
    const json = JSON.parse(readFileSync(folder.join("hostile.json"), "utf8")) as Report;
    assert.equal(json.verdict, "findings");
  });

  test("reads standard input, and 60 MB of it with little memory", async () => {
    assert.equal((await signet(["catalog", "audit", "-"], catalog)).status, 0);
    const manifest = Buffer.from(JSON.stringify({ kind: "CustomResourceDefinition", text: "x".repeat(150_000) }));
    const properties = [{ type: "olm.bundle.object", value: { data: manifest.toString("base64") } }];
    const child = spawn(process.execPath, ["--max-old-space-size=96", signetScript, "catalog", "audit", "-q", "-"], {
      cwd: folder.path,
      env: signetEnvironment({ HOME: folder.path, NODE_OPTIONS: "--max-old-space-size=96" }),
    });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.stdin.write('{"schema":"olm.package","name":"op"}');
    for (let index = 0; index < 300; index++) {
      const text = JSON.stringify({ ...bundleOf(`op.v${index}`, []), properties });
      if (!child.stdin.write(text)) await new Promise((resolve) => child.stdin.once("drain", resolve));
    }
    child.stdin.end();
    assert.equal(await ended, 0, Buffer.concat(output).toString().slice(-2000));
    assert.match(Buffer.concat(output).toString(), /op {2}300 bundles, 1 image,/);
  });

  test("nonsense is 2, a wrong command line 64, and neither writes a report", async () => {
    put("cut.json", catalog.slice(0, -20));
    put("deep.json", `{"schema":${"[".repeat(200_000)}`);
    put("empty.json", "");
    put("blocked.conf", '[[registry]]\nprefix = "docker.io"\nblocked = true\n');
    for (const [args, status, message] of [
      [["cut.json"], 2, /has no end/],
      [["deep.json"], 2, /nested deeper/],
      [["empty.json"], 2, /neither a bundle/],
      [["./missing"], 2, /cannot read catalog/],
      [["missing", "--registries-conf", "blocked.conf"], 2, /^warning: there is no file or folder missing; /m],
      [[`${registry.host}/team/app:1`], 2, /neither an operator catalog nor a bundle/],
      [["catalog", "--mirror", "https://x/"], 64, /is not a mirror/],
      [["catalog", "--report", "pdf", "x"], 64, /--report is one of/],
      [["catalog", "--report", "html"], 64, /needs two values/],
      [["catalog", "--check", "--policy", "missing.json"], 2, /missing\.json/],
    ] as const) {
      const run = await audit(...args, "--report", "json", "never.json");
      assert.deepEqual([run.status, message.test(run.stderr)], [status, true], `${args.join(" ")}: ${run.stderr}`);
    }
    assert.throws(() => readFileSync(folder.join("never.json")), /ENOENT/);
  });
});
