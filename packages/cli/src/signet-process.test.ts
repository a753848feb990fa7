import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { sep } from "node:path";
import { test } from "node:test";
import { runSignet, signetEnvironment } from "./signet-process.ts";

test("every folder that a run looks into is a temporary one", () => {
  const more = { TMPDIR: tmpdir() };
  for (const [name, value] of Object.entries(signetEnvironment(more)))
    if (/^(?:HOME|GNUPGHOME|XDG_(?!CACHE).*)$/.test(name))
      assert.ok(value.startsWith(tmpdir() + sep), `${name}=${value}`);
  const moved = signetEnvironment({ HOME: "/tmp/some-home" });
  assert.equal(moved["XDG_CONFIG_HOME"], "/tmp/some-home/.config");
});

test("a test whose command would fall back on the machine's policy fails, whatever it expects", async () => {
  const guarded = /test guard: \w+ of \/(?:etc|usr\/share)\/containers/;
  await assert.rejects(runSignet(["trust", "show"]), guarded);
  await assert.rejects(runSignet(["trust", "default", "accept", "--dry-run"]), guarded);
});
