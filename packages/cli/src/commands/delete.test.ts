import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type TestImage,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir("signet-delete-command-");
let registry: TestRegistry;
let image: TestImage;

const remove = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["delete", "--tls-verify=false", "--registries.d", "registries.d", ...args], {
    cwd: folder.path,
    env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path },
  });

const lookaside = (repository: string, digest: string): string =>
  folder.join("store", `${repository}@${digest.replace(":", "=")}`);

function sign(repository: string, digest: string): void {
  mkdirSync(lookaside(repository, digest), { recursive: true });
  for (const number of [1, 2]) writeFileSync(`${lookaside(repository, digest)}/signature-${number}`, "signature");
}

before(async () => {
  registry = await startTestRegistry();
  image = await buildTestImage();
  mkdirSync(folder.join("registries.d"));
  writeFileSync(
    folder.join("registries.d/all.yaml"),
    `default-docker: {lookaside: "file://${folder.join("store")}"}\n`,
  );
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

describe("signet delete", () => {
  test("says what would go with --dry-run, then deletes it and says what went", async () => {
    for (const tag of ["1", "stable"]) await pushTestImage(registry, `app:${tag}`, image);
    sign("app", image.digest);
    const name = `docker://${registry.host}/app:1`;
    const planned = await remove("--dry-run", name);
    assert.equal(planned.status, 0, planned.stderr);
    const store = `file://${folder.join("store")}`;
    assert.equal(
      planned.stdout,
      [
        `would delete  ${name}  ${image.digest}`,
        "              as well: tags stable",
        `              2 signatures of ${image.digest} in ${store}\n`,
      ].join("\n"),
    );
    assert.equal(registry.manifest("app", "1")?.digest, image.digest);
    const done = await remove(name);
    assert.equal(
      done.stdout,
      [
        `deleted  ${name}  ${image.digest}`,
        "         gone as well: tags stable",
        `         2 signatures of ${image.digest} in ${store}\n`,
      ].join("\n"),
    );
    assert.deepEqual([done.status, done.stderr], [0, `Deleting ${name}, ${image.digest}\n`]);
    assert.equal(registry.manifest("app", "stable"), undefined);
    assert.deepEqual(readdirSync(folder.join("store")), []);
    const again = await remove(name);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /^error: manifest .*not found \(HTTP 404\)/);
  });

  test("completes by digest what was cut short after the manifest went", async () => {
    sign("cut", image.digest);
    const run = await remove(`docker://${registry.host}/cut@${image.digest}`);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /the manifest was gone already\n +2 signatures/);
    assert.ok(!existsSync(lookaside("cut", image.digest)));
  });

  test("prints JSON", async () => {
    const list = buildTestIndex([image, await buildTestImage({ seed: 2, architecture: "arm64" })]);
    await pushTestImage(registry, "json:1", list);
    const run = await remove("-o", "json", "--all", "--keep-signatures", `docker://${registry.host}/json:1`);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(JSON.parse(run.stdout), {
      image: `docker://${registry.host}/json:1`,
      digest: list.digest,
      dryRun: false,
      manifests: [list, ...list.images].map(({ digest }) => ({ digest, outcome: "deleted" })),
      otherTags: [],
      signatures: [],
      removed: [],
      warnings: [],
    });
  });

  test("exits with 2 and a way out where the registry does not delete, and nothing is gone", async () => {
    await pushTestImage(registry, "locked:1", image);
    sign("locked", image.digest);
    registry.addFaults({ method: "DELETE", path: /locked/, status: 405 });
    const run = await remove(`docker://${registry.host}/locked:1`);
    assert.equal(run.status, 2);
    assert.match(
      run.stderr,
      /does not allow deleting \(HTTP 405\); nothing was deleted\nhint: .*REGISTRY_STORAGE_DELETE/,
    );
    assert.equal(readdirSync(lookaside("locked", image.digest)).length, 2);
  });

  test("removes a folder's image and leaves what is not part of it", async () => {
    writeDirImage(folder.join("image"), image, [new Uint8Array([1])]);
    writeFileSync(folder.join("image/notes"), "mine");
    const run = await remove("dir:image");
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(readdirSync(folder.join("image")), ["notes"]);
    const wrong = await remove("dir:image");
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /holds no dir: image/);
  });
});
