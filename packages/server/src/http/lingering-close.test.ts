import assert from "node:assert/strict";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { startLoopbackServer } from "@signet/testkit";
import { type LingerLimits, lingerBeforeClose } from "./lingering-close.ts";

/** A limit that no test reaches: an hour, a terabyte. */
const NEVER = { milliseconds: 3_600_000, bytes: 2 ** 40 } as const satisfies LingerLimits;

/** What the client says that it is going to send: more than any test sends unasked. */
const BODY_BYTES = 16 * 1024 * 1024;

/** Milliseconds after which a connection that should have ended is a failure. */
const timeout = 60_000;

/** One refused request whose body goes on. */
interface Refused {
  readonly client: Socket;
  /** The server's end of the connection. */
  readonly served: Socket;
  /** What the client has read; `client` is paused until the test lets it read. */
  readonly text: () => string;
  readonly failures: readonly Error[];
}

/** A server that answers 413 to the head of a request and reads no body; a client that has sent that head, and whose end does not close by itself. */
async function refuse(t: TestContext, limits?: LingerLimits): Promise<Refused> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = await startLoopbackServer((request, response) => {
    lingerBeforeClose(request.socket, limits);
    response.writeHead(413, { connection: "close", "content-length": 8 });
    response.end("too much");
    response.once("finish", () => resolve(request.socket));
  });
  t.after(() => server.dispose());
  const { hostname, port } = new URL(server.url);
  const client = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  t.after(() => client.destroy());
  const failures: Error[] = [];
  client.on("error", (error) => failures.push(error)).pause();
  let text = "";
  client.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  client.pause();
  client.write(`PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: ${BODY_BYTES}\r\n\r\n`);
  return { client, served: await promise, text: () => text, failures };
}

/** Resolves once this end is closed, with or without an error. */
async function closeOf(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

/** Resolves once the system has taken them all, or the connection has ended. */
async function send(client: Socket, bytes: number): Promise<void> {
  await new Promise<void>((resolve) => client.write(Buffer.alloc(bytes, 0x20), () => resolve()));
}

test("a client that goes on sending after it was refused reads the answer", { timeout }, async (t) => {
  const { client, served, text, failures } = await refuse(t);
  // The answer is there and not read yet; a reset would take it away. Each part arrives before the next is sent.
  for (let part = 0; part < 12; part += 1) {
    const before = served.bytesRead;
    await send(client, 65_536);
    while (!served.destroyed && served.bytesRead < before + 65_536) await nextTurn();
  }
  client.resume();
  await Promise.race([once(client, "end"), closeOf(client)]);
  assert.match(text(), /^HTTP\/1\.1 413 [^]*\r\n\r\ntoo much$/);
  const closed = closeOf(served);
  client.end();
  await closed;
  assert.deepEqual(failures, []);
});

test("the end waits for no more than its bytes", { timeout }, async (t) => {
  const { client, served } = await refuse(t, { ...NEVER, bytes: 100_000 });
  const closed = closeOf(served);
  // As fast as they are taken, until the connection ends.
  for (let sent = 0; sent < BODY_BYTES / 2 && !client.destroyed; sent += 65_536) await send(client, 65_536);
  await closed;
  assert.ok(served.bytesRead > 100_000, String(served.bytesRead));
});

test("the end waits for no more than its time, for a client that neither sends nor closes", { timeout }, async (t) => {
  const { client, served, text } = await refuse(t, { ...NEVER, milliseconds: 50 });
  const closed = closeOf(served);
  client.resume();
  await once(client, "end");
  await closed;
  assert.match(text(), /too much$/);
});

test("the end waits no longer once the client has closed", { timeout }, async (t) => {
  const ways: readonly ((client: Socket) => void)[] = [
    (client) => client.end(),
    (client) => client.end(Buffer.alloc(BODY_BYTES)),
    (client) => client.resetAndDestroy(),
  ];
  for (const close of ways) {
    const { client, served } = await refuse(t, NEVER);
    const closed = closeOf(served);
    close(client);
    await closed;
  }
});
