/** Runs what docs/registry-clients.md tells people to type, each client's section where that client is there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { buildTestImage, httpPushTarget, makeTempDir, pushTestImage, requireTool, run } from "@signet/testkit";
import { adminPassword, startServe } from "./serve-process.testing.ts";

const page = readFileSync(join(import.meta.dirname, "../../../../docs/registry-clients.md"), "utf8");

/** What is asked for on a terminal, as an option. */
const passwordOptions = { cosign: "--password", notation: "", oras: "--password", regctl: "--pass" } as const;

for (const tool of ["cosign", "notation", "oras", "regctl"] as const) {
  test(`every line about ${tool} in docs/registry-clients.md does what the page says`, async (t) => {
    const program = requireTool(t, tool);
    if (program === undefined) return;
    const section = page.split(/^## /m).find((text) => text.startsWith(`${tool}\n`))!;
    const lines = [...section.matchAll(/^\$ (.*)$/gm)].map(([, line = ""]) => line);
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
  });
}
