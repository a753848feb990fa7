/** Runs what docs/registry-clients.md tells people to type, a client's section at a time. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { buildTestImage, httpPushTarget, makeTempDir, pushTestImage, requireTool, run } from "@signet/testkit";
import { adminPassword, startServe } from "./serve-process.testing.ts";

const page = readFileSync(join(import.meta.dirname, "../../../../docs/registry-clients.md"), "utf8");

/** The lines that are typed, by the heading above them. */
export const typedLines: ReadonlyMap<string, readonly string[]> = new Map(
  page
    .split(/^## /m)
    .map((text) => [text.slice(0, text.indexOf("\n")), [...text.matchAll(/^\$ (.*)$/gm)].map(([, line = ""]) => line)]),
);

/** What is asked for on a terminal, as an option. */
const passwordOptions = { cosign: "--password", notation: "", oras: "--password", regctl: "--pass" } as const;

/** Every line of the client's section does what the page says, one after the other, with `signet serve` and an image there. */
export async function testPageOf(t: TestContext, tool: keyof typeof passwordOptions): Promise<void> {
  const program = requireTool(t, tool);
  if (program === undefined) return;
  const lines = typedLines.get(tool) ?? [];
  assert.ok(lines.length >= 4);
  using dir = makeTempDir("signet-page-");
  await using server = await startServe(["--data", dir.join("data")]);
  const target = httpPushTarget(server.url, { user: "admin", password: adminPassword });
  await pushTestImage(target, "team/app:1", await buildTestImage({ format: "oci" }));
  const env = {
    PATH: `${dirname(program)}${delimiter}${process.env["PATH"] ?? ""}`,
    HOME: dir.path,
    COSIGN_PASSWORD: "of the key",
    NOTATION_USERNAME: "admin",
    NOTATION_PASSWORD: adminPassword,
  };
  for (const line of lines) {
    const isLogin = / login /.test(line);
    const typed = line.replaceAll("127.0.0.1:5000", new URL(server.url).host);
    const whole = isLogin ? `${typed} ${passwordOptions[tool]} '${adminPassword}'` : typed;
    const { status, stdout, stderr } = await run("sh", ["-c", whole], { env, cwd: dir.path });
    assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
  }
}
