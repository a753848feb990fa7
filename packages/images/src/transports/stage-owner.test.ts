import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { isOwnedSuffix, isOwnerGone, ownedSuffix } from "./stage-owner.ts";
import { newStagePath } from "./stage.ts";

/** The suffix that another process would make, which has ended by now. */
function suffixOfTheDead(): string {
  const script = `import { ownedSuffix } from ${JSON.stringify(new URL("./stage-owner.ts", import.meta.url).href)}; console.log(await ownedSuffix());`;
  const flags = ["--conditions=@signet/source", "--input-type=module", "--eval", script];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: "utf8" });
  assert.notEqual(stdout, "", stderr);
  return stdout.trim();
}

void describe("the owner of a stage", () => {
  void it("is known to live while it does, and to be gone afterwards", async () => {
    const own = await ownedSuffix();
    const dead = suffixOfTheDead();
    assert.ok(isOwnedSuffix(own) && isOwnedSuffix(dead));
    assert.equal(await isOwnerGone(own), false);
    assert.equal(await isOwnerGone(dead), true);
  });

  void it("is gone when its number belongs to a process that was started later", async () => {
    const [machine, , start, random] = (await ownedSuffix()).split("-");
    assert.equal(await isOwnerGone([machine, process.pid, Number(start) - 1, random].join("-")), true);
  });

  void it("is not judged on another machine, nor where nothing is said of it", async () => {
    const [, pid, start, random] = suffixOfTheDead().split("-");
    assert.equal(await isOwnerGone(["00000000", pid, start, random].join("-")), false);
    assert.equal(await isOwnerGone(random!), false);
    for (const text of ["", "x", `${random}0`, `-${random}`, `${random}/..`]) assert.equal(isOwnedSuffix(text), false);
  });

  void it("lets the next writer remove what the dead left, files and folders, and nothing else", async (t) => {
    const folder = makeTempDir("signet-stage-owner-");
    t.after(() => folder.dispose());
    const [alive, dead] = [await ownedSuffix(), suffixOfTheDead()];
    mkdirSync(folder.join(`.signet-stage-${dead}`));
    writeFileSync(folder.join(`.signet-stage-${dead}`, "blob"), "half");
    writeFileSync(folder.join(`.signet-stage-${suffixOfTheDead()}`), "half an archive");
    const stay = [`.signet-stage-${alive}`, ".signet-stage-0123456789abcdef", `.other-stage-${dead}`];
    for (const name of stay) mkdirSync(folder.join(name));
    await newStagePath(folder.path);
    assert.deepEqual(readdirSync(folder.path).sort(), stay.toSorted());
  });
});
