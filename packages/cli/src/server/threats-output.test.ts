/** What clients and keys say, in the server's log and on the terminal (T22, T25). */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { test } from "node:test";
import { makeTempDir, makeTestKey, writeTestCertificate } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { startServe } from "./serve-process.testing.ts";

/** Clears the screen, sets the title, turns the text around, begins a line of its own, closes a tag. */
const hostile = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egnp.\u2028\n{"level":"info","msg":"forged"}<script>';
const orders = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** Characters of a log line that a client had a say in: three texts of 300, each character escaped, and what surrounds them. */
const MAX_LINE = 8_000;

for (const format of ["json", "text"]) {
  test(`T22 T25 no request forges a line of the log in ${format}, gives the terminal an order, or makes a long line`, async () => {
    using dir = makeTempDir("signet-threats-");
    writeFileSync(dir.join("c.yaml"), `log: {format: ${format}}\nlimits: {headerBytes: 64KiB}\n`);
    await using server = await startServe(["--data", dir.join("data"), "--config", dir.join("c.yaml")]);
    const begun = server.log().split("\n").length;
    const escaped = encodeURIComponent(hostile);
    const latin = Buffer.from(hostile.replaceAll(/[\r\n\u001b\u0007]/g, "\u009b")).toString("latin1");
    const ask = async (path: string, headers: Record<string, string>, method = "GET"): Promise<void> => {
      await new Promise<void>((resolve) => {
        const sending = request(`${server.url}${path}`, { method, headers }, (answer) =>
          answer.resume().once("end", resolve),
        );
        sending.once("error", () => resolve()).end();
      });
    };
    const long = "x".repeat(18_000);
    const asked: readonly (readonly [string, Record<string, string>])[] = [
      [`/v2/${escaped}/tags/list`, {}],
      [`/${escaped}?${escaped}`, { "user-agent": latin }],
      ["/v2/", { "x-request-id": latin, "user-agent": `agent ${latin}` }],
      [`/${long}`, { "user-agent": long, "x-request-id": long }],
      [
        "/healthz",
        { "x-forwarded-for": latin, authorization: `Basic ${Buffer.from(`${hostile}:x`).toString("base64")}` },
      ],
      ["/v2/", { authorization: `Basic ${Buffer.from(`${hostile.replace("\n", "")}:x`).toString("base64")}` }],
      [`/token?scope=repository:${escaped}:pull`, {}],
    ];
    for (const [path, headers] of asked) await ask(path, headers);
    server.signal("SIGTERM");
    await server.ended;
    const lines = server.log().trimEnd().split("\n");
    const requests = lines.filter((line) =>
      format === "json" ? line.includes('"msg":"request"') : / INFO +request /.test(line),
    );
    assert.equal(requests.length, asked.length, server.log());
    if (format === "json") {
      const agents = requests.map((line) => (JSON.parse(line) as { readonly agent?: string }).agent);
      assert.ok(agents.includes(latin), "what was escaped reads as it was sent");
    }
    // One line a request, and those of the end.
    assert(lines.length <= begun + asked.length + 3);
    for (const line of lines) {
      assert(line.length < MAX_LINE, `${line.length} characters`);
      if (format === "json") assert.equal(typeof JSON.parse(line), "object");
      assert.doesNotMatch(line, orders);
      assert.doesNotMatch(line, /^\{"level":"info","msg":"forged"|\u001b|\u0007/);
    }
  });
}

test("T22 the words of a key's owner, of whoever withdraws it and of a repository reach the terminal without orders", async () => {
  using dir = makeTempDir("signet-threats-");
  const data = dir.join("data");
  {
    await using server = await startServe(["--data", data]);
    assert.ok(server.url);
  }
  const certificate = writeTestCertificate(makeTestKey("ed25519"), { userIds: [{ text: hostile }] });
  writeFileSync(dir.join("key.gpg"), certificate);
  const admin = (...args: readonly string[]) => runSignet(["admin", ...args, "--data", data]);
  const printed: string[] = [];
  for (const args of [
    ["key", "add", dir.join("key.gpg"), "--reason", hostile],
    ["key", "list"],
    ["user", "create", hostile],
    ["group", "add", hostile],
    ["role", "grant", "reader", hostile],
    ["repository", "set", hostile, "--description", hostile],
    ["repository", "delete", hostile, "--yes"],
    ["key", "withdraw", hostile],
  ]) {
    const { status, stdout, stderr } = await admin(...args);
    assert.equal(status === 0, args[0] === "key" && args[1] !== "withdraw", `${args[1]}: ${stderr}`);
    assert.doesNotMatch(stdout, orders, args.join(" "));
    assert.doesNotMatch(stderr, orders, args.join(" "));
    printed.push(stdout);
  }
  assert.match(printed[1]!, /gnp\./, "it is listed, harmless");
  assert.equal(printed[1]!.trimEnd().split("\n").length, 1, "and takes one line");
  const { keys } = JSON.parse((await admin("key", "list", "-o", "json")).stdout) as { keys: { reason: string }[] };
  assert.equal(keys.length, 1);
});
