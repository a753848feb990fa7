/** How the stores of releases are walked: as a cluster walks them, with a failing place told apart from an empty one. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { makeTempDir, startLoopbackServer } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const hex = "0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363";
const signatures = join(import.meta.dirname, "../../../../vectors/openshift/signatures");
const good = readFileSync(join(signatures, `sha256=${hex}`, "signature-1"));
/** Above the 50 KiB that a cluster's reader allows for. */
const large = Buffer.alloc(50 * 1024 + 1, 0xa3);
const junk = Buffer.from("junk");

interface Report {
  readonly verdict: string;
  readonly signature: {
    readonly stores: readonly {
      readonly found: number | null;
      readonly attempts: readonly { readonly outcome: string; readonly status?: number }[];
      readonly warnings: readonly string[];
      readonly error: { readonly code: string } | null;
    }[];
  };
}

/** What a store has at signature-1, -2, …: bytes, or an HTTP status; 404 behind them. */
type Row = readonly (Buffer | number)[];

async function verifyFromWeb(t: TestContext, row: Row, ...more: readonly string[]) {
  const server = await startLoopbackServer((request, response) => {
    const position = Number(/\/signatures\/sha256=[0-9a-f]{64}\/signature-(\d+)$/.exec(request.url ?? "")?.[1]);
    const answer = row[position - 1] ?? 404;
    if (typeof answer === "number") response.writeHead(answer).end();
    else response.writeHead(200).end(answer);
  });
  t.after(() => server.dispose());
  return { ...(await verify(t, `${server.url}/signatures/`, ...more)), server };
}

async function verify(t: TestContext, store: string, ...more: readonly string[]) {
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const args = ["release", "verify", "--shallow", `sha256:${hex}`, "--store", store, "-o", "json", ...more];
  const result = await runSignet(args, { env: { HOME: dir.path } });
  return { ...result, report: result.stdout === "" ? undefined : (JSON.parse(result.stdout) as Report) };
}

describe("stores of releases", () => {
  test("a signature counts although the place behind it, or before it, cannot be told", async (t) => {
    for (const row of [
      [good, 403],
      [good, 503],
      [403, good],
      [junk, 410, good],
      [good, large],
    ] satisfies Row[]) {
      const { status, report, stderr } = await verifyFromWeb(t, row);
      assert.equal(status, 0, `${JSON.stringify(row.map(String).map((text) => text.slice(0, 9)))}: ${stderr}`);
      assert.equal(report?.verdict, "accepted");
    }
    const { report } = await verifyFromWeb(t, [403, good]);
    const [store] = report!.signature.stores;
    assert.deepEqual(
      store!.attempts.map(({ outcome }) => outcome),
      ["failed", "found"],
    );
    assert.deepEqual([store!.found, store!.error?.code], [1, "signature-store-error"]);
  });

  test("a place that cannot be told leaves it open whether there is a signature, whatever else is bad", async (t) => {
    for (const row of [[403], [junk, 403], [403, junk], [large, 503]] satisfies Row[]) {
      const { status, stderr, report } = await verifyFromWeb(t, row);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /could not be asked: .*HTTP (403|503)/);
      // With what was found, for whoever has to show it.
      const [store] = report!.signature.stores;
      assert.deepEqual([report!.verdict, store!.error?.code], ["undetermined", "signature-store-error"]);
    }
  });

  test("what could not be told is reported to people as well", async (t) => {
    const server = await startLoopbackServer((_request, response) => response.writeHead(503).end());
    t.after(() => server.dispose());
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const args = ["release", "verify", "--shallow", `sha256:${hex}`, "--store", server.url];
    const { status, stdout, stderr } = await runSignet(args, { env: { HOME: dir.path } });
    assert.equal(status, 2, stderr);
    assert.match(stdout, new RegExp(`^undetermined {2}sha256:${hex}\n[^]*store {6}.*could not be asked: .*HTTP 503`));
  });

  test("404 ends the walk, and what is larger than any signature is passed over and told", async (t) => {
    assert.equal((await verifyFromWeb(t, [junk, 404, good])).status, 1);
    const { status, report } = await verifyFromWeb(t, [large]);
    assert.equal(status, 1);
    assert.match(report!.signature.stores[0]!.warnings.join(), /signature-1.*51200/);
  });

  test("no more than nine are looked at, as a cluster does, from the web and from a folder", async (t) => {
    const nine: Row = [...Array<Buffer>(8).fill(junk), good];
    assert.equal((await verifyFromWeb(t, nine)).status, 0);
    const { status, server } = await verifyFromWeb(t, [...Array<Buffer>(9).fill(junk), good]);
    assert.equal(status, 1);
    assert.equal(server.requests.length, 9);
    // Unless somebody wants more or fewer.
    const ten: Row = [...Array<Buffer>(9).fill(junk), good];
    assert.equal((await verifyFromWeb(t, ten, "--max-signatures", "10")).status, 0);
    const fewer = await verifyFromWeb(t, nine, "--max-signatures", "8");
    assert.deepEqual([fewer.status, fewer.server.requests.length], [1, 8]);
    for (const wrong of ["0", "129"]) assert.equal((await verify(t, "file:///", "--max-signatures", wrong)).status, 64);

    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const folder = dir.join("store", `sha256=${hex}`);
    mkdirSync(folder, { recursive: true });
    for (let position = 1; position <= 9; position++) writeFileSync(join(folder, `signature-${position}`), junk);
    writeFileSync(join(folder, "signature-10"), good);
    assert.equal((await verify(t, `file://${dir.join("store")}`)).status, 1);
    writeFileSync(join(folder, "signature-9"), good);
    assert.equal((await verify(t, `file://${dir.join("store")}`)).status, 0);
  });

  test("of a folder, what cannot be read is passed over and leaves it open", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const folder = dir.join("store", `sha256=${hex}`);
    mkdirSync(join(folder, "signature-1"), { recursive: true });
    assert.equal((await verify(t, `file://${dir.join("store")}`)).status, 2);
    writeFileSync(join(folder, "signature-2"), good);
    assert.equal((await verify(t, `file://${dir.join("store")}`)).status, 0);
  });

  test("the address of a signature, as documents have it, names the release; for a store it is refused", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const run = (...args: readonly string[]) =>
      runSignet(["release", "verify", "--shallow", ...args], { env: { HOME: dir.path } });
    const store = `file://${signatures}`;
    const address = `https://mirror.openshift.com/pub/openshift-v4/signatures/openshift-release-dev/ocp-release/sha256%${hex}/signature-1`;
    const named = await run(address, "--store", store);
    assert.deepEqual([named.status, named.stdout.startsWith(`accepted  sha256:${hex}\n`)], [0, true], named.stderr);
    for (const behind of [`/sha256=${hex}`, `/sha256%3D${hex}/`, `/sha256=${hex}/signature-1`]) {
      const { status, stderr } = await run(`sha256:${hex}`, "--store", `${store}${behind}`);
      assert.deepEqual([status, stderr.includes(`hint: write ${store}\n`)], [64, true], stderr);
    }
  });

  test("a folder as the update service keeps it is read as well", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    mkdirSync(dir.join("signatures/sha256", hex), { recursive: true });
    writeFileSync(dir.join("signatures/sha256", hex, "signature-1"), good);
    assert.equal((await verify(t, `file://${dir.join("signatures")}`)).status, 0);
    // The published layout counts where both are there.
    mkdirSync(dir.join("signatures", `sha256=${hex}`));
    assert.equal((await verify(t, `file://${dir.join("signatures")}`)).status, 1);
  });

  test("a key that has expired since it signed is told", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const ci = "sha256:edd9824f0404f1a139688017e7001370e2f3fbc088b94da84506653b473fe140";
    const key = join(signatures, "../keyrings/simple.txt");
    const { status, stdout } = await runSignet(
      ["release", "verify", "--shallow", ci, "--key", key, "--store", `file://${signatures}`],
      { env: { HOME: dir.path } },
    );
    assert.equal(status, 0);
    assert.match(stdout, /^ {13}warning: the key expired at 2021-04-21T04:31:39Z, after the signature was made$/m);
  });

  test("whose signature it is that nobody trusts is said where the world knows the key", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const key = join(signatures, "../keyrings/simple.txt");
    const { status, stdout } = await runSignet(
      ["release", "verify", "--shallow", `sha256:${hex}`, "--key", key, "--store", `file://${signatures}`],
      { env: { HOME: dir.path } },
    );
    assert.equal(status, 1);
    assert.match(stdout, /which is not among the trusted keys; by its number it is Red Hat's release key 2\n/);
  });

  test("nobody waits for what lies behind a signature that is enough", async (t) => {
    const server = await startLoopbackServer((request, response) => {
      // The places behind the first never answer.
      if (request.url?.endsWith("/signature-1") === true) response.writeHead(200).end(good);
    });
    t.after(() => server.dispose());
    const { status, report } = await verify(t, `${server.url}/s`);
    assert.equal(status, 0);
    const [store] = report!.signature.stores;
    assert.deepEqual([store!.found, store!.attempts.map(({ outcome }) => outcome)], [1, ["found"]]);
  });

  test("slashes too many in the path of a store do no harm, and its query stays", async (t) => {
    const server = await startLoopbackServer((request, response) => {
      const isFirst = request.url === `/a/signatures/sha256=${hex}/signature-1?token=x`;
      response.writeHead(isFirst ? 200 : 404).end(isFirst ? good : undefined);
    });
    t.after(() => server.dispose());
    const { status, stderr } = await verify(t, `${server.url}//a///signatures//?token=x`);
    assert.equal(status, 0, stderr);
  });
});
