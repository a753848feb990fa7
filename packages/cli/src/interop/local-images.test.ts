/** Images of docker archives, an engine and the local storage: Signet, skopeo and podman bring the same ones to the same places and judge them alike. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import {
  type PodmanService,
  type TestImage,
  buildTestImage,
  findTool,
  startPodmanService,
  writeDirImage,
} from "@signet/testkit";
import {
  type Bench,
  assertDone,
  assertRejected,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  plainHttpCopy,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

const accepts = [{ type: "insecureAcceptAnything" }];

void describe("local images", { concurrency: false }, () => {
  let bench: Bench;
  let image: TestImage;
  let imageDir: string;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    image = await buildTestImage({ layers: 2, seed: 40 });
    imageDir = bench.path("image");
    writeDirImage(imageDir, image);
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  const copy = async (from: string, to: string, ...flags: string[]): Promise<string> =>
    assertDone(await bench.signet(["copy", "--insecure-policy", ...plainHttpCopy, ...flags, from, to])).stdout;
  const skopeoCopy = async (from: string, to: string, ...flags: string[]): Promise<void> => {
    assertDone(await bench.skopeo(["copy", "--insecure-policy", ...flags, from, to]));
  };
  /** The manifest of an image as skopeo sees it when it copies. */
  const manifestBySkopeo = async (name: string, ...flags: string[]): Promise<string> => {
    const folder = bench.path();
    await skopeoCopy(name, `dir:${folder}`, ...flags);
    return readFileSync(`${folder}/manifest.json`, "utf8");
  };
  const manifestBySignet = async (name: string): Promise<string> => {
    const folder = bench.path();
    await copy(name, `dir:${folder}`);
    return readFileSync(`${folder}/manifest.json`, "utf8");
  };

  void it("an archive of podman save has the same manifest with skopeo and Signet, and goes through a registry to podman pull", async (t) => {
    if (!hasTools(t)) return;
    const archive = bench.path("saved.tar");
    await skopeoCopy(`dir:${imageDir}`, "containers-storage:example.com/saved:1");
    assertDone(
      await bench.podman(["save", "--quiet", "--format", "docker-archive", "-o", archive, "example.com/saved:1"]),
    );
    for (const name of [`docker-archive:${archive}`, `docker-archive:${archive}:example.com/saved:1`]) {
      assert.equal(await manifestBySignet(name), await manifestBySkopeo(name));
    }
    const pushed = `${bench.docker.host}/from/archive:1`;
    const { status, stdout } = await bench.signet([
      ...["copy", "--insecure-policy", ...plainHttpCopy],
      ...[`docker-archive:${archive}`, `docker://${pushed}`],
    ]);
    assert.equal(status, 0);
    assert.match(stdout, /digest sha256:[0-9a-f]{64}, 0 signatures/);
    const pulled = assertDone(await bench.podman(["pull", "--quiet", `docker://${pushed}`]));
    assert.equal(pulled.stdout.trim(), image.config.digest.slice("sha256:".length));
  });

  void it("an archive of several images is read by name and by position, as skopeo reads it", async (t) => {
    if (!hasTools(t)) return;
    const other = bench.path("other");
    writeDirImage(other, await buildTestImage({ seed: 41 }));
    const archive = bench.path("several.tar");
    await skopeoCopy(`dir:${imageDir}`, "containers-storage:example.com/several:1");
    await skopeoCopy(`dir:${other}`, "containers-storage:example.com/several:2");
    const names = ["example.com/several:1", "example.com/several:2"];
    assertDone(await bench.podman(["save", "--quiet", "-m", "--format", "docker-archive", "-o", archive, ...names]));
    for (const choice of [...names, "@0", "@1"]) {
      const name = `docker-archive:${archive}:${choice}`;
      assert.equal(await manifestBySignet(name), await manifestBySkopeo(name), choice);
    }
    const open = await bench.signet(["inspect", `docker-archive:${archive}`]);
    assert.equal(open.status, 2);
    assert.match(open.stderr, /there are 2 images in it\nhint: .*:@0 example\.com\/several:1, :@1 example/);
  });

  void it("an archive written from a registry loads into podman and is to skopeo what skopeo's own is", async (t) => {
    if (!hasTools(t)) return;
    for (const format of ["docker", "oci"] as const) {
      const made = await buildTestImage({ format, layers: 3, seed: 42 });
      const name = `${bench.docker.host}/to/archive:${format}`;
      await bench.push(name, made);
      const [ours, theirs] = [bench.path(`ours-${format}.tar`), bench.path(`theirs-${format}.tar`)];
      const reference = `example.com/loaded:${format}`;
      await copy(`docker://${name}`, `docker-archive:${ours}:${reference}`);
      await skopeoCopy(`docker://${name}`, `docker-archive:${theirs}:${reference}`);
      const archived = await manifestBySkopeo(`docker-archive:${ours}:${reference}`);
      assert.equal(archived, await manifestBySkopeo(`docker-archive:${theirs}:${reference}`));
      assert.equal(archived, await manifestBySignet(`docker-archive:${theirs}`));
      const loaded = assertDone(await bench.podman(["load", "--quiet", "-i", ours]));
      assert.match(loaded.stdout, new RegExp(`Loaded image: ${reference}`));
      const shown = assertDone(await bench.podman(["image", "inspect", "--format", "{{.Id}}", reference]));
      assert.equal(shown.stdout.trim(), made.config.digest.slice("sha256:".length));
    }
  });

  void it("a signed image goes into an archive only without its signatures, and an archive is rejected where one is demanded", async (t) => {
    if (!hasTools(t)) return;
    const { gpgKeys } = bench;
    const signed = bench.path("signed");
    writeDirImage(signed, image);
    assertDone(
      await bench.signet(["sign", "--key", gpgKeys.rsa2048.fingerprint, "--identity", "a.b/c:1", `dir:${signed}`]),
    );
    const archive = bench.path("unsigned.tar");
    const refused = await bench.signet(["copy", "--insecure-policy", `dir:${signed}`, `docker-archive:${archive}`]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /cannot copy signatures.*\nhint: .*--remove-signatures/);
    await copy(`dir:${signed}`, `docker-archive:${archive}`, "--remove-signatures");
    const policy = rejectExcept({ "docker-archive": { "": [signedBy(gpgKeys.rsa2048)] } });
    const verdicts = await bench.judge(`docker-archive:${archive}`, policy);
    assert.deepEqual(verdicts, { signet: "rejected", skopeo: "rejected" });
    const open = rejectExcept({ "docker-archive": { "": accepts } });
    assert.deepEqual(await bench.judge(`docker-archive:${archive}`, open), { signet: "accepted", skopeo: "accepted" });
  });

  void describe("in an engine, of which podman's service is the real part", () => {
    let service: PodmanService;
    before(async () => {
      if (bench !== undefined) service = await startPodmanService(bench.home);
    });
    after(async () => service?.[Symbol.asyncDispose]());

    void it("come out as skopeo gets them, by name and by id, and go in so that podman has them", async (t) => {
      if (!hasTools(t)) return;
      const env = { DOCKER_HOST: service.address };
      const daemon = ["--src-daemon-host", service.address];
      const loaded = await bench.signet(
        ["copy", "--insecure-policy", `dir:${imageDir}`, "docker-daemon:example.com/engine:1"],
        { env },
      );
      assert.equal(loaded.status, 0, loaded.stderr);
      const { stdout } = assertDone(
        await bench.podman(["image", "inspect", "--format", "{{.Id}}", "example.com/engine:1"]),
      );
      assert.equal(`sha256:${stdout.trim()}`, image.config.digest);
      for (const name of ["docker-daemon:example.com/engine:1", `docker-daemon:${image.config.digest}`]) {
        const folder = bench.path();
        const taken = await bench.signet(["copy", "--insecure-policy", name, `dir:${folder}`], { env });
        assert.equal(taken.status, 0, taken.stderr);
        assert.equal(readFileSync(`${folder}/manifest.json`, "utf8"), await manifestBySkopeo(name, ...daemon));
      }
    });

    void it("are governed by the scopes that govern them with skopeo", async (t) => {
      if (!hasTools(t)) return;
      const name = "docker-daemon:example.com/engine:1";
      for (const [scope, isGoverning] of [
        ["example.com/engine:1", true],
        ["example.com/engine", true],
        ["*.com", true],
        ["example.com/engine:2", false],
      ] as const) {
        const file = bench.path();
        writeFileSync(file, JSON.stringify(rejectExcept({ "docker-daemon": { [scope]: accepts } })));
        const ours = await bench.signet(["verify", "--policy", file, name], { env: { DOCKER_HOST: service.address } });
        const args = ["copy", "--quiet", "--src-daemon-host", service.address, name, `dir:${bench.path()}`];
        const theirs = await bench.skopeo(["--policy", file, ...args]);
        assert.deepEqual([ours.status === 0, theirs.status === 0], [isGoverning, isGoverning], scope);
        if (!isGoverning) assertRejected(ours);
      }
    });

    void it("that are not there, and engines that do not answer, are told apart", async (t) => {
      if (!hasTools(t)) return;
      const missing = await bench.signet(["inspect", "docker-daemon:example.com/missing:1"], {
        env: { DOCKER_HOST: service.address },
      });
      assert.deepEqual([missing.status, /no image example\.com\/missing:1/.test(missing.stderr)], [2, true]);
      for (const [host, status, message] of [
        [`unix://${bench.path("no.sock")}`, 2, /there is no such socket/],
        ["tcp://127.0.0.1:1", 2, /nobody listens there/],
        ["tcp://192.0.2.1:2375", 64, /DOCKER_HOST.*is not supported/],
        ["ssh://user@example.com", 64, /is not supported/],
      ] as const) {
        const run = await bench.signet(["inspect", "docker-daemon:a:1"], { env: { DOCKER_HOST: host } });
        assert.equal(run.status, status, run.stderr);
        assert.match(run.stderr, message);
      }
      assert.deepEqual(
        readdirSync(bench.home.env["TMPDIR"]!).filter((file) => file.startsWith("signet-image-")),
        [],
      );
    });
  });

  void describe("in the local storage", () => {
    const stored = "containers-storage:example.com/team/stored:1";
    let signed: string;
    before(async () => {
      if (bench === undefined) return;
      signed = bench.path("signed-for-storage");
      writeDirImage(signed, image);
      const { fingerprint } = bench.gpgKeys.rsa2048;
      const identity = ["--identity", "example.com/team/stored:1"];
      assertDone(await bench.signet(["sign", "--key", fingerprint, ...identity, `dir:${signed}`]));
      await copy(`dir:${signed}`, stored);
    });

    /** What both say of an image under a policy. skopeo needs its signatures left behind, or it could not copy it even when it accepts. */
    const judge = async (name: string, policy: object): Promise<readonly [boolean, boolean]> => {
      const file = bench.path();
      writeFileSync(file, JSON.stringify(policy));
      const args = ["copy", "--quiet", "--remove-signatures", name, `dir:${bench.path()}`];
      const [ours, theirs] = await Promise.all([
        bench.signet(["verify", "--policy", file, ...plainHttp, name]),
        bench.skopeo(["--policy", file, ...args]),
      ]);
      if (ours.status !== 0) assertRejected(ours);
      if (theirs.status !== 0) assert.match(theirs.stderr, /Source image rejected/);
      return [ours.status === 0, theirs.status === 0];
    };

    void it("keep manifest and signatures: podman knows the digest, and both judge by the signature", async (t) => {
      if (!hasTools(t)) return;
      const { rsa2048, ed25519 } = bench.gpgKeys;
      const shown = assertDone(await bench.podman(["images", "--digests", "--format", "{{.Repository}} {{.Digest}}"]));
      assert.ok(shown.stdout.includes(`example.com/team/stored ${image.digest}`), shown.stdout);
      const storage = (key: typeof rsa2048): object => rejectExcept({ "containers-storage": { "": [signedBy(key)] } });
      assert.deepEqual(await judge(stored, storage(rsa2048)), [true, true]);
      assert.deepEqual(await judge(stored, storage(ed25519)), [false, false]);
      const inspected = assertDone(await bench.signet(["inspect", "-o", "json", stored]));
      const report = JSON.parse(inspected.stdout) as { digest: string; signatures: readonly object[] };
      assert.deepEqual([report.digest, report.signatures.length], [image.digest, 1]);
    });

    void it("are governed by the scopes that govern them with skopeo, of the most to the least specific form", async (t) => {
      if (!hasTools(t)) return;
      const { store } = bench.home;
      const root = store.slice(store.indexOf("@") + 1);
      const id = image.config.digest.slice("sha256:".length);
      const cases: readonly (readonly [string, string, boolean])[] = [
        [stored, `[${store}]example.com/team/stored:1@${id}`, true],
        [stored, `[${store}]example.com/team/stored:1`, true],
        [stored, `[${store}]example.com/team/stored`, true],
        [stored, `[${store}]example.com`, true],
        [stored, `[${store}]`, true],
        [stored, `[${root}]`, true],
        [stored, `[overlay@${root}]`, false],
        [stored, `[${store}]example.com/tea`, false],
        [stored, `[${store}]*.com`, false],
        [`containers-storage:@${id}`, `[${store}]@${id}`, true],
        [`containers-storage:${id.slice(0, 12)}`, `[${store}]`, true],
        [
          `containers-storage:example.com/team/stored@${image.digest}`,
          `[${store}]example.com/team/stored@${image.digest}`,
          true,
        ],
        [`containers-storage:[${store}]example.com/team/stored:1`, `[${store}]example.com/team/stored:1`, true],
      ];
      for (const [name, scope, isGoverning] of cases) {
        const verdicts = await judge(name, rejectExcept({ "containers-storage": { [scope]: accepts } }));
        assert.deepEqual(verdicts, [isGoverning, isGoverning], `${name} under ${scope}`);
      }
    });

    void it("come out without their signatures as skopeo brings them out, and never with signatures that would not hold", async (t) => {
      if (!hasTools(t)) return;
      const refused = await bench.signet(["copy", "--insecure-policy", stored, `dir:${bench.path("out")}`]);
      assert.equal(refused.status, 2);
      assert.match(refused.stderr, /cannot copy the signatures.*keeps layers unpacked.*\nhint: .*--remove-signatures/);
      const preserved = ["copy", "--insecure-policy", "--remove-signatures", "--preserve-digests"];
      assert.equal((await bench.signet([...preserved, stored, `dir:${bench.path("out")}`])).status, 2);
      const folder = bench.path();
      await copy(stored, `dir:${folder}`, "--remove-signatures");
      assert.equal(
        readFileSync(`${folder}/manifest.json`, "utf8"),
        await manifestBySkopeo(stored, "--remove-signatures"),
      );
      assert.deepEqual(
        readdirSync(bench.home.env["TMPDIR"]!).filter((file) => file.startsWith("signet-image-")),
        [],
      );
    });

    void it("are rejected by a copy before a tool is started, and copied when the policy accepts", async (t) => {
      if (!hasTools(t)) return;
      const { rsa2048, ed25519 } = bench.gpgKeys;
      for (const [key, status] of [
        [ed25519, 1],
        [rsa2048, 0],
      ] as const) {
        const file = bench.path();
        writeFileSync(file, JSON.stringify(rejectExcept({ "containers-storage": { "": [signedBy(key)] } })));
        const args = ["copy", "--policy", file, "--remove-signatures", stored, `dir:${bench.path()}`];
        // Without a PATH there is no tool: a rejection does not need one.
        const run = await bench.signet(args, status === 1 ? { env: { PATH: "/nonexistent" } } : {});
        assert.equal(run.status, status, run.stderr);
      }
    });

    void it("need skopeo only where a driver must be known, and say so", async (t) => {
      if (!hasTools(t)) return;
      const env = { PATH: "/nonexistent" };
      assertDone(await bench.signet(["inspect", stored], { env }));
      for (const [from, to] of [
        [stored, `dir:${bench.path()}`],
        [`dir:${imageDir}`, "containers-storage:example.com/x:1"],
      ] as const) {
        const run = await bench.signet(["copy", "--insecure-policy", "--remove-signatures", from, to], { env });
        assert.equal(run.status, 2);
        assert.match(run.stderr, /skopeo.* is needed .* is not installed\nhint: install skopeo/);
      }
    });

    void it("come out through podman where skopeo is not installed", async (t) => {
      if (!hasTools(t)) return;
      const tools = bench.path("podman-only");
      mkdirSync(tools);
      symlinkSync(findTool("podman")!, `${tools}/podman`);
      const [byPodman, bySkopeo] = [bench.path(), bench.path()];
      const name = stored.replace(":", `:[${bench.home.store}+${bench.home.path}/storage-run]`);
      const args = ["copy", "--insecure-policy", "--remove-signatures", name, `dir:${byPodman}`];
      assertDone(await bench.signet(args, { env: { PATH: tools } }));
      await copy(stored, `dir:${bySkopeo}`, "--remove-signatures");
      for (const file of readdirSync(bySkopeo)) {
        assert.deepEqual(readFileSync(`${byPodman}/${file}`), readFileSync(`${bySkopeo}/${file}`), file);
      }
    });

    void it("pass on what skopeo says when it cannot", async (t) => {
      if (!hasTools(t)) return;
      const broken = bench.path("not-a-layer");
      writeDirImage(broken, await buildTestImage({ seed: 43 }));
      const to = "containers-storage:[nosuch@/proc/nowhere+/proc/nowhere]example.com/x:1";
      const run = await bench.signet(["copy", "--insecure-policy", `dir:${broken}`, to]);
      assert.equal(run.status, 2);
      assert.match(run.stderr, /^error: skopeo ended with status 1: \S/m);
    });

    void it("that are not there are missing, whichever way they are named", async (t) => {
      if (!hasTools(t)) return;
      const { store } = bench.home;
      for (const name of [
        "example.com/team/stored:2",
        "example.com/team/stored",
        `@${"0".repeat(64)}`,
        `example.com/other@${image.config.digest.slice("sha256:".length)}`,
        `example.com/other@${image.digest}`,
        `[${store}/nowhere]example.com/team/stored:1`,
      ]) {
        const run = await bench.signet(["inspect", `containers-storage:${name}`]);
        assert.equal(run.status, 2, name);
        assert.match(run.stderr, /^error: .*(?:no such image|no image storage)/m, name);
      }
    });
  });
});
