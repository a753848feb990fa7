/** HEAD requests in the way of wrk, which cannot send them itself: it waits for the body that never comes. */
import type { Socket } from "node:net";
import { openSocket } from "./connection.ts";

/** Bytes of one answer's headers, many times over. */
const READ_BYTES = 16 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");
const STATUS = Buffer.from("HTTP/1.1 200 ");

export interface HeadTurn {
  readonly seconds: number;
  readonly failures: number;
  /** Milliseconds of each, in ascending order. */
  readonly times: readonly number[];
}

/** Sends the same request over so many connections, each with one under way, for so long. */
export async function runHeadRequests(
  host: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  connections: number,
  seconds: number,
): Promise<HeadTurn> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`HEAD ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join("")}\r\n`);
  const times: number[] = [];
  let failures = 0;
  const started = performance.now();
  const until = started + seconds * 1000;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let began = 0;
      let before = Buffer.alloc(0);
      const send = (socket: Socket): void => {
        began = performance.now();
        socket.write(request);
      };
      const socket = openSocket(host, READ_BYTES, (piece) => {
        const head = before.length === 0 ? piece : Buffer.concat([before, piece]);
        if (!head.subarray(-HEAD_END.length).equals(HEAD_END)) {
          // Its memory is read into again.
          before = Buffer.from(head);
          return;
        }
        before = Buffer.alloc(0);
        const now = performance.now();
        if (head.subarray(0, STATUS.length).equals(STATUS)) times.push(now - began);
        else failures += 1;
        if (now < until) send(socket);
        else {
          socket.destroy();
          resolve();
        }
      });
      socket.once("connect", () => send(socket));
      socket.once("error", reject);
      socket.once("end", () => reject(new Error(`${host} closed the connection`)));
    });
  await Promise.all(Array.from({ length: connections }, work));
  return {
    seconds: (performance.now() - started) / 1000,
    failures,
    times: times.toSorted((a, b) => a - b),
  };
}
