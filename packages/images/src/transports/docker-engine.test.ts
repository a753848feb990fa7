import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { readdir } from "node:fs/promises";
import { type TestContext, describe, it } from "node:test";
import { makeTempDir, startLoopbackServer } from "@signet/testkit";
import { archivedContractImage, storeContractImage } from "@signet/testkit/contract-image";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";
import type { OpenOptions } from "./open.ts";

/** An engine that answers as `listener` does, and where temporary files go. The decent engine is tried in the tests of the command. */
async function makeEngine(
  t: TestContext,
  listener: RequestListener,
): Promise<{ readonly options: OpenOptions; readonly folder: string }> {
  const server = await startLoopbackServer(listener);
  const folder = makeTempDir("signet-engine-");
  t.after(async () => {
    await server.dispose();
    folder.dispose();
  });
  const env = { DOCKER_HOST: `tcp://${server.host}`, TMPDIR: folder.path };
  return { options: { host: { env, uid: 0, home: folder.path } }, folder: folder.path };
}

const name = "docker-daemon:example.com/app:1";

void describe("a docker engine that does what none should", () => {
  for (const [title, listener, code, message] of [
    [
      "says that there is no such image",
      (_, response) => response.writeHead(404).end('{"message":"No such image: x"}'),
      "image-missing",
      /no image example\.com\/app:1/,
    ],
    [
      "fails with control characters in its words",
      (_, response) => response.writeHead(500).end('{"message":"bad\\u001b[2J\\nthing"}'),
      "engine-error",
      /answered 500: bad \[2J thing$/,
    ],
    ["fails with a page", (_, response) => response.writeHead(502).end("<html>gateway"), "engine-error", /502: <html>/],
    [
      "fails with endless words",
      (_, response) => response.writeHead(500).end("x".repeat(2 * 1024 * 1024)),
      "input-too-large",
      /more than/,
    ],
    [
      "sends something else than an archive",
      (_, response) => response.end("x".repeat(2000)),
      "image-malformed",
      /not a tar header/,
    ],
    ["sends nothing", (_, response) => response.end(), "image-malformed", /ends too early/],
    [
      "breaks off in the middle",
      (_, response) => response.writeHead(200, { "content-length": "100000" }).write("x", () => response.destroy()),
      "engine-unreachable",
      /cannot reach/,
    ],
    ["hangs up at once", (request) => request.destroy(), "engine-unreachable", /cannot reach/],
    [
      "redirects elsewhere",
      (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
      "engine-error",
      /answered 302/,
    ],
  ] as readonly (readonly [string, RequestListener, string, RegExp])[]) {
    void it(`${title}: an error, and no file is left`, async (t) => {
      const { options, folder } = await makeEngine(t, listener);
      await assert.rejects(openImageSource(await parseImageName(name), options), { code, message });
      assert.deepEqual(await readdir(folder), []);
    });
  }

  for (const [title, answer, message] of [
    [
      "reports a failure although it answers 200",
      '{"stream":"1%"}\n{"errorDetail":{"message":"no space"},"error":"no space"}',
      /no space/,
    ],
    ["reports a failure without words", '{"errorDetail":{"code":1}}', /"code":1/],
    ["answers in no form that reports success", "all right", /all right/],
  ] as const) {
    void it(`${title}: the copy failed`, async (t) => {
      const { options, folder } = await makeEngine(t, (request, response) => {
        request.resume().on("end", () => response.end(answer));
      });
      {
        await using destination = await openImageDestination(await parseImageName(name), options);
        const stored = storeContractImage(destination, archivedContractImage());
        await assert.rejects(stored, { code: "engine-error", message });
      }
      assert.deepEqual(await readdir(folder), []);
    });
  }

  void it("gets the archive whole, with its length", async (t) => {
    let length: string | undefined;
    let received = 0;
    const { options } = await makeEngine(t, (request, response) => {
      length = request.headers["content-length"];
      request
        .on("data", (chunk: Buffer) => (received += chunk.length))
        .on("end", () => response.end('{"stream":"ok"}'));
    });
    await using destination = await openImageDestination(await parseImageName(name), options);
    await storeContractImage(destination, archivedContractImage());
    assert.equal(`${received}`, length);
    assert.ok(received > 10_000);
  });

  void it("is asked for an id or a name only, and can be written to under a name only", async (t) => {
    const { options } = await makeEngine(t, (_, response) => response.end());
    const byId = await parseImageName(`docker-daemon:sha256:${"a".repeat(64)}`);
    await assert.rejects(openImageDestination(byId, options), { code: "image-name-malformed" });
  });
});
