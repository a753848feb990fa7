import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  buildTestImage,
  findTool,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

const folder = makeTempDir();
after(() => folder.dispose());
writeDirImage(folder.join("image"), await buildTestImage());
writeFileSync(folder.join("accept.json"), '{"default":[{"type":"insecureAcceptAnything"}]}');
const verify = ["verify", "--policy", "accept.json", "dir:image", "dir:image"];

interface TerminalRun {
  readonly status: number | null;
  /** Both streams, as the terminal got them. */
  readonly screen: string;
}

/** Runs signet on a terminal of its own, which util-linux's `script` makes. `answers` are typed when their question is on the screen. */
async function runOnTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  answers: readonly { readonly question: string; readonly answer: string }[] = [],
): Promise<TerminalRun> {
  const line = [process.execPath, signetScript, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
    cwd: folder.path,
    env: signetEnvironment({ TERM: "xterm", SHELL: "/bin/sh", ...env }),
  });
  let screen = "";
  const waiting = [...answers];
  child.stdout.on("data", (chunk: Buffer) => {
    screen += chunk.toString("utf8");
    if (waiting.length > 0 && screen.includes(waiting[0]!.question)) child.stdin.write(`${waiting.shift()!.answer}\r`);
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status, screen };
}

const hasTerminal = findTool("script") !== undefined;

test("a terminal gets colours and a bar, unless NO_COLOR or TERM=dumb asks for plain text", async (t) => {
  if (!hasTerminal) return t.diagnostic("script (bsdutils) is not installed; no terminal was made");
  const [coloured, plain, dumb] = await Promise.all([
    runOnTerminal(verify, {}),
    runOnTerminal(verify, { NO_COLOR: "1" }),
    runOnTerminal(verify, { TERM: "dumb" }),
  ]);
  assert.equal(coloured.status, 0);
  assert.match(coloured.screen, /\u001b\[32maccepted\u001b\[0m/);
  assert.match(coloured.screen, /\r\u001b\[K\[#+\.*\] \d\/2 images judged/);
  for (const { status, screen } of [plain, dumb]) {
    assert.equal(status, 0);
    assert.doesNotMatch(screen, /\u001b/);
    assert.match(screen, /^accepted/m);
  }
});

test("what is not a terminal gets neither colours nor a bar", async () => {
  const run = await runSignet(verify, { cwd: folder.path, env: { TERM: "xterm" } });
  assert.equal(run.status, 0);
  assert.doesNotMatch(run.stdout + run.stderr, /\u001b|\r/);
});

test("a passphrase is asked for on a terminal and not shown", async (t) => {
  if (!hasTerminal) return t.diagnostic("script (bsdutils) is not installed; no terminal was made");
  const passphrase = "typed-by-hand";
  const key = await generateKey({
    engine: nodeEngine,
    now: Date.now(),
    userIds: ["T"],
    algorithm: "ed25519",
    passphrase,
  });
  writeFileSync(folder.join("key.private"), key.secretKey);
  const sign = ["standalone-sign", "image/manifest.json", "e.com/a:1", "./key.private", "-o"];
  const question = "Passphrase for ./key.private: ";
  const [good, stopped] = await Promise.all([
    runOnTerminal([...sign, "good.sig"], {}, [{ question, answer: `typo\u0015${passphrase}x\u007f` }]),
    runOnTerminal([...sign, "stopped.sig"], {}, [{ question, answer: "abc\u0003" }]),
  ]);
  assert.equal(good.status, 0, good.screen);
  assert.ok(existsSync(folder.join("good.sig")));
  assert.doesNotMatch(good.screen, /typo|typed/);
  assert.equal(stopped.status, 130);
  assert.ok(!existsSync(folder.join("stopped.sig")));
});

test("a new passphrase is asked for twice", async (t) => {
  if (!hasTerminal) return t.diagnostic("script (bsdutils) is not installed; no terminal was made");
  const generate = ["keys", "generate", "T", "--algorithm", "ed25519", "--output-prefix"];
  const asked = (second: string): readonly { readonly question: string; readonly answer: string }[] => [
    { question: "New passphrase: ", answer: "once" },
    { question: "The same again: ", answer: second },
  ];
  const [same, different] = await Promise.all([
    runOnTerminal([...generate, "same"], {}, asked("once")),
    runOnTerminal([...generate, "different"], {}, asked("twice")),
  ]);
  assert.equal(same.status, 0, same.screen);
  assert.equal(different.status, 64);
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => /^(same|different)/.test(name)),
    ["same.private", "same.pub", "same.revoke"],
  );
});

test("Ctrl-C in the middle of a copy takes back what was written and exits with 130", async () => {
  // One blob arrives, the other never does.
  await using registry = await startTestRegistry({ faults: [{ path: /\/blobs\//, from: 2, hang: true }] });
  await pushTestImage(registry, "team/app:1", await buildTestImage());
  const source = `docker://${registry.host}/team/app:1`;
  const args = ["copy", "--insecure-policy", source, "dir:interrupted", "--tls-verify=false"];
  const child = spawn(process.execPath, [signetScript, ...args], { cwd: folder.path, env: signetEnvironment() });
  const written = (): readonly string[] =>
    readdirSync(folder.path, { recursive: true, encoding: "utf8" }).filter((name) =>
      /signet-stage|interrupted/.test(name),
    );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
  const closed = once(child, "close") as Promise<[number | null]>;
  while (written().length < 2 && child.exitCode === null) await wait(5);
  assert.ok(written().length >= 2, `nothing was written before the signal: ${said}`);
  child.kill("SIGINT");
  const [status] = await closed;
  assert.equal(status, 130, said);
  assert.doesNotMatch(said, /internal fault/);
  assert.deepEqual(written(), []);
});
