/** Runs what docs/registry.md tells a newcomer to type, line by line. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { buildTestImage, makeTempDir, requireTool, run, writeDirImage } from "@signet/testkit";
import { signetEnvironment } from "../signet-process.ts";
import { adminPassword, startServe } from "./serve-process.testing.ts";

const root = join(import.meta.dirname, "../../../..");

test("every line of docs/registry.md does what the page says", async (t) => {
  if (!requireTool(t, "podman") || !requireTool(t, "skopeo")) return;
  const page = readFileSync(join(root, "docs/registry.md"), "utf8");
  const lines = [...page.matchAll(/^\$ (.*)$/gm)].map(([, line = ""]) => line);
  assert.ok(lines.length >= 10);
  assert.equal(lines[0], "signet serve");
  using dir = makeTempDir("signet-page-");
  const data = dir.join("data");
  await using server = await startServe(["--data", data]);
  writeDirImage(dir.join("image"), await buildTestImage());
  mkdirSync(dir.join(".config/containers"), { recursive: true });
  writeFileSync(dir.join(".config/containers/policy.json"), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const env = {
    ...signetEnvironment(),
    PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"] ?? ""}`,
    HOME: dir.path,
    REGISTRY_AUTH_FILE: dir.join("auth.json"),
    SIGNET_DATA: data,
  };
  const type = async (line: string): Promise<string> => {
    const { status, stdout, stderr } = await run("sh", ["-c", line], { env, cwd: dir.path, timeoutMs: 60_000 });
    assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
    return stdout;
  };
  let token = "";
  for (const line of lines.slice(1)) {
    let typed = line.replaceAll("127.0.0.1:5000", new URL(server.url).host).replace(":TOKEN'", `:${token}'`);
    // What people are asked for.
    if (line.startsWith("podman login")) typed = `${typed} --password '${adminPassword}'`;
    if (line.endsWith("create ann")) typed = `printf 'a password of ann' | ${typed} --password-stdin`;
    token = /^sgn_\w+$/m.exec(await type(typed))?.[0] ?? token;
  }
  await type("signet admin audit verify");
});
