import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { run } from "./tools.ts";

/** No folder of that name exists there, so that nothing is harmed should the guard fail. */
const nowhere = "/etc/containers/signet-no-such-folder/file";

const evaluate = (script: string): ReturnType<typeof run> =>
  run(process.execPath, [
    "--input-type=module",
    "--eval",
    `import fs, { readdirSync } from "node:fs"; import { open, readdir, readFile, rename, writeFile } from "node:fs/promises";
     import { promisify } from "node:util";
     ${script}`,
  ]);

describe("the guard of the machine's own files", () => {
  for (const [what, script, path = nowhere] of [
    ["writing, promised", `await writeFile(${JSON.stringify(nowhere)}, "")`],
    ["writing on the spot", `fs.writeFileSync(${JSON.stringify(nowhere)}, "")`],
    [
      "opening for writing where reading is only hidden",
      'await open("/etc/containers/registries.d/none/a", "a")',
      "/etc/containers/registries.d/none/a",
    ],
    ["moving something there", `await rename("/nonexistent/a", ${JSON.stringify(nowhere)})`],
    ["making a folder", `fs.mkdir(new URL("file://${nowhere}"), () => {})`],
    ["reading a policy", 'await readFile("/etc/containers/policy.json")', "/etc/containers/policy.json"],
    [
      "asking for a policy by a relative path",
      'process.chdir("/"); fs.statSync("etc/containers/policy.json")',
      "/etc/containers/policy.json",
    ],
    [
      "the user's own keyring",
      `fs.existsSync(${JSON.stringify(join(userInfo().homedir, ".gnupg/pubring.kbx"))})`,
      join(userInfo().homedir, ".gnupg/pubring.kbx"),
    ],
  ] as const) {
    it(`ends a process for ${what}, whatever it catches`, async () => {
      const { status, stderr, stdout } = await evaluate(`try { ${script} } catch {} console.log("still here");`);
      assert.deepEqual([status, stdout], [99, ""]);
      assert.match(stderr, /^test guard: \w+ of /);
      assert.ok(stderr.includes(` of ${path}, `), stderr);
    });
  }

  it("shows configuration folders as if they were not there, in every manner of asking", async () => {
    const { status, stdout, stderr } = await evaluate(`
      const place = "/etc/containers/registries.d";
      const codes = [
        await readdir(place).catch((error) => error.code),
        await promisify(fs.readdir)(place).catch((error) => error.code),
        await new Promise((resolve) => fs.open("/etc/containers/registries.conf", "r", (error) => resolve(error.code))),
        fs.existsSync("/usr/share/containers/registries.conf"),
        fs.statSync("/etc/docker/certs.d", { throwIfNoEntry: false }) ?? "none",
      ];
      try { readdirSync(place); } catch (error) { codes.push(error.code); }
      console.log(JSON.stringify(codes));`);
    assert.deepEqual([status, stdout], [0, '["ENOENT","ENOENT","ENOENT",false,"none","ENOENT"]\n'], stderr);
  });

  it("leaves all other files alone, also those whose names only look alike", async () => {
    const { status, stderr } = await evaluate(`
      await readdir("/etc"); fs.readFileSync("/etc/passwd"); fs.existsSync("/etc/containers-of-others");
      const { bytesRead } = await promisify(fs.read)(fs.openSync("/etc/passwd"), Buffer.alloc(1), 0, 1, 0);
      process.exit(bytesRead === 1 ? 0 : 1);`);
    assert.equal(status, 0, stderr);
  });
});
