/**
 * registries.conf: what Signet, skopeo and podman make of the same file, before two registries of Debian. Every registry has a signature store of its own by registries.d, so
 * that each outcome tells which place was asked.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type DockerRegistry,
  type RunResult,
  type TestImage,
  buildTestImage,
  httpPushTarget,
  pushTestImage,
  startDockerRegistry,
} from "@signet/testkit";
import { type Bench, assertDone, hasTools, makeBenchIfPossible, rejectExcept, signedBy } from "./bench.test.ts";

/** Nothing listens there. */
const dead = "127.0.0.1:1";
const logical = "registry.example.com/team/app";

type Outcome = "accepted" | "rejected" | "not fetched";

/** A `[[registry]]` table for registry.example.com/team. */
interface Setting {
  readonly location: string;
  readonly lines?: string;
  readonly mirrors?: readonly { readonly location: string; readonly lines?: string }[];
}

void describe("registries.conf for Signet, skopeo and podman", { concurrency: false }, () => {
  let bench: Bench;
  let other: DockerRegistry;
  let image: TestImage;
  let mirror: string;
  let origin: string;
  let unsigned: string;
  let policyFile: string;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    other = await startDockerRegistry();
    image = await buildTestImage();
    bench.home.writeRegistriesD("other", {
      docker: { [other.host]: { lookaside: `file://${bench.path("other-store")}` } },
    });
    [mirror, unsigned, origin] = [
      `${bench.docker.host}/proxy`,
      `${bench.docker.host}/unsigned`,
      `${other.host}/origin`,
    ];
    const manifest = bench.path("manifest.json");
    writeFileSync(manifest, image.manifest);
    const key = bench.gpgKeys.rsa2048;
    for (const [base, place] of [
      [bench.lookaside, "proxy/app"],
      [bench.path("other-store"), "origin/app"],
    ] as const) {
      const file = `${base}/${place}@${image.digest.replace(":", "=")}/signature-1`;
      mkdirSync(dirname(file), { recursive: true });
      assertDone(await bench.signet(["standalone-sign", manifest, `${logical}:1`, key.secret, "-o", file]));
    }
    for (const place of [mirror, unsigned]) await bench.push(`${place}/app:1`, image);
    await pushTestImage(httpPushTarget(other.url), "origin/app:1", image);
    policyFile = bench.path("policy.json");
    writeFileSync(
      policyFile,
      JSON.stringify(rejectExcept({ docker: { "registry.example.com/team": [signedBy(bench.gpgKeys.rsa2048)] } })),
    );
  });
  after(async () => {
    await other?.dispose();
    await bench?.[Symbol.asyncDispose]();
  });

  const writeConf = ({ location, lines = "insecure = true", mirrors = [] }: Setting): string => {
    const file = bench.path();
    const tables = mirrors.map(
      (one) => `[[registry.mirror]]\nlocation = "${one.location}"\n${one.lines ?? "insecure = true"}\n`,
    );
    writeFileSync(
      file,
      `[[registry]]\nprefix = "registry.example.com/team"\nlocation = "${location}"\n${lines}\n${tables.join("")}`,
    );
    return file;
  };

  const outcomeOf = ({ status, stdout, stderr }: RunResult): Outcome => {
    if (status === 0) return "accepted";
    return /Source image rejected|^rejected /im.test(`${stdout}${stderr}`) ? "rejected" : "not fetched";
  };

  /** What each of the three makes of an image by one file. */
  const ask = async (
    setting: Setting,
    name = `${logical}:1`,
    policy = policyFile,
  ): Promise<Readonly<Record<string, Outcome>>> => {
    return await askBy(writeConf(setting), name, policy);
  };
  const askBy = async (conf: string, name: string, policy: string): Promise<Readonly<Record<string, Outcome>>> => {
    const copy = bench.path();
    const [signet, skopeo, podman] = await Promise.all([
      bench.signet(["verify", "--policy", policy, "--registries-conf", conf, "--retry-times", "0", name]),
      bench.skopeo(["--policy", policy, "--registries-conf", conf, "copy", "-q", `docker://${name}`, `dir:${copy}`]),
      bench.podman(["pull", "--quiet", "--signature-policy", policy, name], {
        env: { CONTAINERS_REGISTRIES_CONF: conf },
      }),
    ]);
    rmSync(copy, { recursive: true, force: true });
    if (signet.status !== 0) assert.equal(signet.status, outcomeOf(signet) === "rejected" ? 1 : 2, signet.stderr);
    return { signet: outcomeOf(signet), skopeo: outcomeOf(skopeo), podman: outcomeOf(podman) };
  };
  const all = (outcome: Outcome): Readonly<Record<string, Outcome>> => ({
    signet: outcome,
    skopeo: outcome,
    podman: outcome,
  });

  void it("a mirror serves the image; its signature is looked for at the mirror's place and judged by the logical name", async (t) => {
    if (!hasTools(t)) return;
    assert.deepEqual(await ask({ location: dead, mirrors: [{ location: mirror }] }), all("accepted"));
    // What the origin has does not help: signatures come from where the manifest came from.
    assert.deepEqual(await ask({ location: origin, mirrors: [{ location: unsigned }] }), all("rejected"));
    const confused = { location: origin, mirrors: [{ location: unsigned }, { location: mirror }] };
    assert.deepEqual(await ask(confused), all("rejected"), "a rejection falls through to nowhere");
  });

  void it("mirrors that are down, lack the image or speak plain http unasked are passed over", async (t) => {
    if (!hasTools(t)) return;
    const mirrors = [
      { location: `${dead}/x` },
      { location: `${bench.docker.host}/nothing` },
      { location: unsigned, lines: "insecure = false" },
    ];
    assert.deepEqual(await ask({ location: origin, mirrors }), all("accepted"));
    assert.deepEqual(await ask({ location: `${other.host}/nothing`, mirrors }), all("not fetched"));
  });

  void it("mirrors for digests or tags alone are asked for those alone", async (t) => {
    if (!hasTools(t)) return;
    const byDigest = `${logical}@${image.digest}`;
    const digestOnly = { location: unsigned, lines: 'insecure = true\npull-from-mirror = "digest-only"' };
    const tagOnly = { location: unsigned, lines: 'insecure = true\npull-from-mirror = "tag-only"' };
    const older = {
      location: origin,
      lines: "insecure = true\nmirror-by-digest-only = true",
      mirrors: [{ location: unsigned }],
    };
    assert.deepEqual(await ask(older), all("accepted"));
    assert.deepEqual(await ask(older, byDigest), all("rejected"));
    assert.deepEqual(await ask({ location: origin, mirrors: [digestOnly] }), all("accepted"));
    assert.deepEqual(await ask({ location: origin, mirrors: [digestOnly] }, byDigest), all("rejected"));
    assert.deepEqual(await ask({ location: origin, mirrors: [tagOnly] }), all("rejected"));
    assert.deepEqual(await ask({ location: origin, mirrors: [tagOnly] }, byDigest), all("accepted"));
  });

  void it("a blocked registry is not asked, its mirrors are; Signet alone refuses its other location as well", async (t) => {
    if (!hasTools(t)) return;
    const lines = "insecure = true\nblocked = true";
    assert.deepEqual(await ask({ location: "registry.example.com/team", lines }), all("not fetched"));
    const mirrors = [{ location: mirror }];
    assert.deepEqual(await ask({ location: "registry.example.com/team", lines, mirrors }), all("accepted"));
    assert.deepEqual(await ask({ location: origin, lines }), { ...all("accepted"), signet: "not fetched" });
  });

  void it("Signet says which place served, and what became of the others", async (t) => {
    if (!hasTools(t)) return;
    const conf = writeConf({
      location: dead,
      mirrors: [{ location: `${bench.docker.host}/nothing` }, { location: mirror }],
    });
    const options = ["--policy", policyFile, "--registries-conf", conf, "--retry-times", "0"];
    const text = assertDone(await bench.signet(["verify", ...options, `${logical}:1`])).stdout;
    assert.match(
      text,
      new RegExp(
        `\\n +not served by mirror ${bench.docker.host}/nothing/app:1: .*\\n +served by mirror ${mirror}/app:1\\n`,
      ),
    );
    const json = assertDone(await bench.signet(["verify", ...options, "-o", "json", `${logical}:1`])).stdout;
    const [result] = (
      JSON.parse(json) as { results: { image: string; scope: string; endpoints: Record<string, string>[] }[] }
    ).results;
    assert.equal(result!.image, `docker://${logical}:1`);
    assert.equal(result!.scope, "docker: registry.example.com/team");
    assert.deepEqual(
      result!.endpoints.map(({ role, reference, outcome, code }) => [role, reference, outcome, code]),
      [
        ["mirror", `${bench.docker.host}/nothing/app:1`, "failed", "image-missing"],
        ["mirror", `${mirror}/app:1`, "served", undefined],
      ],
    );
    const inspected = assertDone(await bench.signet(["inspect", ...options.slice(2), `${logical}:1`])).stdout;
    assert.match(inspected, new RegExp(`^served by +mirror ${mirror}/app:1$`, "m"));
    assert.match(inspected, /^ {2}file:.*proxy\/app@sha256=.*signature-1$|proxy\/app@sha256=/m);
    const copied = assertDone(
      await bench.signet(["copy", ...options, `docker://${logical}:1`, `dir:${bench.path()}`]),
    ).stdout;
    assert.match(copied, new RegExp(`^Served by mirror ${mirror}/app:1$`, "m"));
    assert.match(copied, /1 signatures carried along/);

    const gone = writeConf({
      location: dead,
      lines: "blocked = true",
      mirrors: [{ location: `${bench.docker.host}/nothing` }],
    });
    const failed = await bench.signet([
      "verify",
      "--policy",
      policyFile,
      "--registries-conf",
      gone,
      "-o",
      "json",
      `${logical}:1`,
    ]);
    assert.equal(failed.status, 2);
    const [undetermined] = (
      JSON.parse(failed.stdout) as { results: { verdict: string; endpoints: Record<string, string>[] }[] }
    ).results;
    assert.deepEqual(
      undetermined!.endpoints.map(({ outcome, code }) => [outcome, code]),
      [
        ["failed", "image-missing"],
        ["failed", "registry-blocked"],
      ],
    );
  });

  void it("the policy that `trust set --remap-from` writes accepts a mirrored image by its own name and by the mirror's, in all three", async (t) => {
    if (!hasTools(t)) return;
    const setting = { location: "registry.example.com/team", mirrors: [{ location: mirror }] };
    const conf = writeConf(setting);
    const policy = bench.path();
    assertDone(await bench.signet(["trust", "default", "reject", "--policy", policy]));
    const set = [
      "trust",
      "set",
      "registry.example.com/team",
      "-f",
      bench.gpgKeys.rsa2048.publicFile,
      "--policy",
      policy,
    ];
    assertDone(await bench.signet(set));
    // podman and skopeo reach the mirror by its own name only if its table says that it has no TLS.
    const direct = `${mirror}/app:1`;
    writeFileSync(
      conf,
      `${readFileSync(conf, "utf8")}[[registry]]\nlocation = "${bench.docker.host}"\ninsecure = true\n`,
    );
    assert.deepEqual(await ask(setting, `${logical}:1`, policy), all("accepted"));
    assert.deepEqual(await askBy(conf, direct, policy), all("rejected"), "the signature is for another name");

    const remapped = assertDone(await bench.signet([...set, "--remap-from", conf]));
    assert.match(
      remapped.stderr,
      new RegExp(`docker: ${mirror}: signatures for registry.example.com/team count below ${mirror}`),
    );
    assert.deepEqual(await askBy(conf, `${logical}:1`, policy), all("accepted"));
    assert.deepEqual(await askBy(conf, direct, policy), all("accepted"));
    assert.deepEqual(
      await askBy(conf, `${unsigned}/app:1`, policy),
      all("rejected"),
      "what is no mirror stays rejected",
    );
    const written = readFileSync(policy, "utf8");
    assert.match(assertDone(await bench.signet([...set, "--remap-from", conf])).stdout, /^already so: /);
    assert.equal(readFileSync(policy, "utf8"), written);
  });

  void it("an explicit --tls-verify counts for every place", async (t) => {
    if (!hasTools(t)) return;
    const conf = writeConf({ location: origin, mirrors: [{ location: mirror }] });
    const options = ["--registries-conf", conf, "--retry-times", "0"];
    const name = `docker://${logical}:1`;
    const signet = await bench.signet(["verify", "--policy", policyFile, ...options, "--tls-verify=true", name]);
    const skopeo = await bench.skopeo([
      "--policy",
      policyFile,
      "--registries-conf",
      conf,
      "copy",
      "-q",
      "--src-tls-verify=true",
      name,
      `dir:${bench.path()}`,
    ]);
    assert.deepEqual([signet.status, outcomeOf(skopeo)], [2, "not fetched"]);
    assert.match(signet.stderr, /tls-failed/);
  });

  void it("short names mean what the file says: an alias, the one search registry, and never one of several", async (t) => {
    if (!hasTools(t)) return;
    const conf = writeConf({ location: dead, mirrors: [{ location: mirror }] });
    const table = readFileSync(conf, "utf8");
    const verify = async (head: string, name: string, tail = ""): Promise<RunResult> => {
      writeFileSync(conf, `${head}${table}${tail}`);
      return await bench.signet([
        "verify",
        "--policy",
        policyFile,
        "--registries-conf",
        conf,
        "--retry-times",
        "0",
        name,
      ]);
    };
    const pull = async (name: string): Promise<RunResult> =>
      await bench.podman(["pull", "--quiet", "--signature-policy", policyFile, name], {
        env: { CONTAINERS_REGISTRIES_CONF: conf },
      });
    const aliased = assertDone(await verify("", "myapp:1", `[aliases]\nmyapp = "${logical}"\n`));
    assert.ok(aliased.stdout.includes(`docker://${logical}:1`));
    assertDone(await pull("myapp:1"));
    assertDone(await verify('unqualified-search-registries = ["registry.example.com"]\n', "team/app:1"));
    assertDone(await pull("team/app:1"));
    const several =
      'unqualified-search-registries = ["registry.example.com", "docker.io"]\nshort-name-mode = "enforcing"\n';
    // Another name, for podman takes a short name of an image that it has to mean that one.
    const ambiguous = await verify(several, "team/second:1");
    assert.equal(ambiguous.status, 64);
    assert.match(
      `${ambiguous.stdout}${ambiguous.stderr}`,
      /registry\.example\.com\/team\/second:1, docker\.io\/team\/second:1/,
    );
    assert.match((await pull("team/second:1")).stderr, /short-name resolution enforced/);
  });

  void it("signing and pushing go to the place that is named, by plain http where its table allows it", async (t) => {
    if (!hasTools(t)) return;
    const conf = bench.path();
    const place = `${bench.docker.host}/signed/app:1`;
    await bench.push(place, await buildTestImage({ seed: 5 }));
    const table = (lines: string): void =>
      writeFileSync(
        conf,
        `[[registry]]\nlocation = "${bench.docker.host}"\n${lines}\n[[registry.mirror]]\nlocation = "${mirror}"\ninsecure = true\n`,
      );
    table("insecure = true");
    const key = bench.gpgKeys.rsa2048;
    const sign = ["sign", "--key", key.secret, "--registries-conf", conf, place];
    const signed = assertDone(await bench.signet(sign)).stdout;
    assert.match(signed, /in .*\/signed\/app@sha256=.*signature-1/);
    const copy = [
      "copy",
      "--insecure-policy",
      "--registries-conf",
      conf,
      `docker://${place}`,
      `docker://${bench.docker.host}/copied/app:1`,
    ];
    assertDone(await bench.signet(copy));
    assert.match(
      assertDone(await bench.skopeo(["list-tags", `docker://${bench.docker.host}/copied/app`])).stdout,
      /"1"/,
    );
    table("insecure = true\nblocked = true");
    for (const refused of [
      await bench.signet(sign),
      await bench.signet([...copy.slice(0, 4), `dir:${bench.path("nowhere")}`, copy[5]!]),
    ])
      assert.equal(refused.status, 2);
    const blocked = await bench.signet(sign);
    assert.match(blocked.stderr, new RegExp(`registry ${bench.docker.host} is blocked in ${conf}`));
  });
});
