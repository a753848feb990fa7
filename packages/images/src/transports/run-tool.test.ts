import assert from "node:assert/strict";
import { chmod, readFile, readdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { makeTempDir } from "@signet/testkit";
import { contractImage, storeContractImage } from "@signet/testkit/contract-image";
import type { HostEnvironment } from "../config/host-environment.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination } from "./open.ts";
import { findTool, runTool } from "./run-tool.ts";

interface Place {
  readonly folder: string;
  readonly host: HostEnvironment;
}

/** A PATH on which `skopeo` is this script. */
async function makePlace(t: TestContext, script: string): Promise<Place> {
  const folder = makeTempDir("signet-tool-");
  t.after(() => folder.dispose());
  await writeFile(folder.join("skopeo"), `#!/bin/sh\n${script}\n`);
  await chmod(folder.join("skopeo"), 0o755);
  const env = { PATH: `${folder.path}:/bin:/usr/bin`, TMPDIR: folder.path };
  return { folder: folder.path, host: { env, uid: 0, home: folder.path } };
}

const never = new AbortController().signal;

void describe("running skopeo", () => {
  void it("hands over arguments as they are, with nothing on standard input", async (t) => {
    const { folder, host } = await makePlace(t, 'printf "%s\\n" "$@" > "$TMPDIR/args"; cat >> "$TMPDIR/args"');
    const args = ["copy", "$(touch x)", "a b", "*", "; rm -rf /", "--"];
    await runTool(findTool(["skopeo"], host, "here"), args, host, never);
    assert.equal(await readFile(join(folder, "args"), "utf8"), `${args.join("\n")}\n`);
  });

  void it("passes on the last of many words, without control characters", async (t) => {
    const script = `head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; printf '\\ntime="now" level=fatal msg="it \\033[2J \\\\"broke\\\\""\\n' >&2; exit 3`;
    const { host } = await makePlace(t, script);
    await assert.rejects(runTool(findTool(["skopeo"], host, "here"), [], host, never), {
      code: "tool-failed",
      message: 'skopeo ended with status 3: it [2J "broke"',
    });
  });

  void it("is found on absolute folders of the PATH only", async (t) => {
    const { folder, host } = await makePlace(t, "exit 0");
    const at = (path: string): HostEnvironment => ({ ...host, env: { PATH: path } });
    for (const path of ["", ".", relative(process.cwd(), folder), "/nonexistent"]) {
      assert.throws(() => findTool(["skopeo", "podman"], at(path), "here"), { code: "tool-missing" }, path);
    }
    assert.deepEqual(findTool(["podman", "skopeo"], at(`.:${folder}`), "here"), {
      name: "skopeo",
      path: join(folder, "skopeo"),
    });
  });

  void it("ends with the image that it works for, and leaves no file", async (t) => {
    const { folder, host } = await makePlace(t, 'echo $$ > "$TMPDIR/pid"; exec sleep 600');
    const name = await parseImageName(`containers-storage:[vfs@${folder}/store]example.com/app:1`);
    const destination = await openImageDestination(name, { host });
    const stored = storeContractImage(destination, contractImage());
    stored.catch(() => {});
    const readPid = (): Promise<string> => readFile(join(folder, "pid"), "utf8").catch(() => "");
    for (let tries = 0; (await readPid()) === "" && tries < 600; tries++) await wait(50);
    const pid = Number(await readPid());
    assert.ok(pid > 0);
    await destination.close();
    await assert.rejects(stored, { code: "tool-failed" });
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    assert.deepEqual((await readdir(folder)).sort(), ["pid", "skopeo"]);
  });
});
