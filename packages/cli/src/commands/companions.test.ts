/** What belongs to an image, through `copy` and `inspect`. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type TestImage,
  type TestRegistry,
  buildTestImage,
  makeTempDir,
  pushTestAttachments,
  pushTestImage,
  pushTestReferrer,
  startTestRegistry,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir();
const plainHttp = ["--src-tls-verify=false", "--dest-tls-verify=false", "--registries.d", "registries.d"];
let registry: TestRegistry;
let image: TestImage;
let sbom: string;

function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path } });
}

before(async () => {
  registry = await startTestRegistry();
  image = await buildTestImage();
  await pushTestImage(registry, "app:1", image);
  await pushTestAttachments(registry, "app", image.digest, "sig", [{ payload: "a signature" }]);
  sbom = (await pushTestReferrer(registry, "app", image, "application/spdx+json", "an SBOM")).digest;
  mkdirSync(folder.join("registries.d"));
  writeFileSync(folder.join("registries.d/all.yaml"), `default-docker: {lookaside: "file://${folder.path}/store"}\n`);
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

describe("what belongs to an image", () => {
  test("is carried along and counted, and left behind when it is told so", async () => {
    const from = `docker://${registry.host}/app:1`;
    const copy = ["copy", "--insecure-policy", ...plainHttp];
    const all = await signet(...copy, from, `docker://${registry.host}/all:1`);
    assert.equal(all.status, 0, all.stderr);
    assert.match(all.stdout, /companions: 1 under cosign's tags, 1 referrers \(0 of them were there\), 0 left behind/);
    assert.ok(registry.manifest("all", `${image.digest.replace(":", "-")}.sig`) !== undefined);
    assert.ok(registry.manifest("all", sbom) !== undefined);

    const none = await signet(...copy, "--companions", "none", from, `docker://${registry.host}/none:1`);
    assert.equal(none.status, 0, none.stderr);
    assert.doesNotMatch(none.stdout, /companions/);
    assert.equal(registry.manifest("none", sbom), undefined);

    const dir = await signet(...copy, from, "dir:image");
    assert.equal(dir.status, 0, dir.stderr);
    assert.match(dir.stdout, /1 signatures carried along/);
    assert.match(dir.stderr, /dir:.* has no place for 1 artifact .*: left behind/);
    const strict = await signet(...copy, "--companions", "all", from, "dir:strict");
    assert.equal(strict.status, 2);
    assert.match(strict.stderr, /hint: .*--companions signatures/);

    const refused = await signet(...copy, "dir:image", `docker://${registry.host}/back:1`);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /writing sigstore attachments is disabled by configuration/);
    assert.match(refused.stderr, /hint: .*signet trust set SCOPE --attachments/);
    assert.equal((await signet(...copy, "--companions", "some", from, "dir:x")).status, 64);
  });

  test("stops a copy when the registry does not tell, with status 2 and the way to go on", async (t) => {
    registry.addFaults({ path: /\.att$/, status: 403, times: Infinity });
    t.after(() => registry.clearFaults());
    const from = `docker://${registry.host}/app:1`;
    const run = await signet("copy", "--insecure-policy", ...plainHttp, from, `docker://${registry.host}/lost:1`);
    assert.equal(run.status, 2);
    assert.match(run.stderr, /error: what belongs to sha256:/);
    assert.match(run.stderr, /hint: copy without it: --companions none/);
    assert.equal(registry.manifest("lost", "1"), undefined);
    const inspected = await signet("inspect", "--tls-verify=false", "-o", "json", from);
    assert.equal(inspected.status, 0);
    assert.equal((JSON.parse(inspected.stdout) as { companions: null }).companions, null);
    assert.match(inspected.stderr, /cannot be told what belongs to the image/);
  });

  test("is listed by inspect, marked as unverified", async () => {
    const name = `docker://${registry.host}/app:1`;
    const text = await signet("inspect", "--tls-verify=false", "--registries.d", "registries.d", name);
    assert.match(text.stdout, /companions {2}UNVERIFIED/);
    assert.match(
      text.stdout,
      /sha256-[0-9a-f]{64}\.sig {2}1 of application\/vnd\.dev\.cosign\.simplesigning\.v1\+json/,
    );
    assert.match(text.stdout, new RegExp(`${sbom} {2}application/spdx\\+json, \\d+ bytes`));
    const json = await signet("inspect", "--tls-verify=false", "-o", "json", name);
    const { companions } = JSON.parse(json.stdout) as { companions: { kind: string; verified: boolean }[] };
    assert.deepEqual(
      companions.map(({ kind, verified }) => [kind, verified]),
      [
        ["tag", false],
        ["referrer", false],
      ],
    );
  });
});
