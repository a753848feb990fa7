/** An HTTP/1.1 client that costs as little as possible, so that what is measured is the registry: bodies are counted and thrown away. */
import { type Socket, connect } from "node:net";

/**
 * A socket that reads into the same memory again and again.
 * @param host address and port
 * @param take is given each piece; it holds until `take` returns
 */
export function openSocket(host: string, readBytes: number, take: (piece: Buffer) => void): Socket {
  const [address, port] = host.split(":");
  return connect({
    host: address!,
    port: Number(port),
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (length, buffer) => {
        take(Buffer.from(buffer.buffer, buffer.byteOffset, length));
        return true;
      },
    },
  });
}

/** Bytes read at a time, into the same memory again and again. */
const READ_BYTES = 256 * 1024;
/** Bytes of a body that are kept. */
const MAX_KEPT_BYTES = 64 * 1024;

export interface Answer {
  readonly status: number;
  /** The status line and the headers, as they came. */
  readonly head: string;
  /** Bytes of the body. */
  readonly size: number;
  /** The body's beginning; a chunked body with its frames. */
  readonly body: string;
}

interface Waiting {
  readonly isHead: boolean;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection, kept; one request at a time. */
export class Connection {
  readonly #host: string;
  readonly #authorization: string;
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #head = "";
  #kept = "";
  #size = 0;
  /** Bytes of the body; undefined: it ends with its last chunk, or the headers are not there yet. */
  #length: number | undefined;
  #isBody = false;

  /** @param authorization the value of that header; empty: none */
  constructor(host: string, authorization = "") {
    this.#host = host;
    this.#authorization = authorization === "" ? "" : `Authorization: ${authorization}\r\n`;
    this.#socket = openSocket(host, READ_BYTES, (chunk) => this.#read(chunk));
    const fail = (error?: Error): void => {
      const cause = error ?? new Error(`${host} closed the connection after: ${this.#head.slice(0, 300)}`);
      this.#waiting?.reject(cause);
      this.#waiting = undefined;
    };
    this.#socket.on("error", fail);
    this.#socket.on("close", () => fail());
  }

  /** @param headers whole lines, each with its end */
  request(method: string, path: string, headers = "", body: readonly Uint8Array[] = []): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting = { isHead: method === "HEAD", resolve, reject };
    this.#head = "";
    this.#kept = "";
    this.#size = 0;
    this.#length = undefined;
    this.#isBody = false;
    const length = body.reduce((sum, part) => sum + part.length, 0);
    const stated = method === "GET" || method === "HEAD" ? "" : `Content-Length: ${length}\r\n`;
    this.#socket.cork();
    this.#socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${this.#authorization}${headers}${stated}\r\n`,
    );
    for (const part of body) this.#socket.write(part);
    this.#socket.uncork();
    return promise;
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    if (!this.#isBody) {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const before = this.#head.length - chunk.length;
      rest = chunk.subarray(end + 4 - before);
      this.#head = this.#head.slice(0, end + 2);
      this.#isBody = true;
      const stated = /\r\ncontent-length: *(\d+)\r\n/i.exec(this.#head)?.[1];
      const isEmpty = this.#waiting?.isHead === true || /^HTTP\/1\.1 [23]04 /.test(this.#head);
      this.#length = isEmpty ? 0 : stated === undefined ? undefined : Number(stated);
    }
    this.#size += rest.length;
    if (this.#kept.length < MAX_KEPT_BYTES) this.#kept += rest.toString("latin1");
    const isWhole = this.#length === undefined ? this.#kept.endsWith("0\r\n\r\n") : this.#size >= this.#length;
    if (!isWhole) return;
    const status = Number(this.#head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status, head: this.#head, size: this.#size, body: this.#kept });
  }
}

/** The value of a header of an answer. */
export function headerOf({ head }: Answer, name: string): string | undefined {
  const start = head.toLowerCase().indexOf(`\r\n${name}:`);
  return start < 0 ? undefined : head.slice(start + name.length + 3, head.indexOf("\r\n", start + 2)).trim();
}

/** @throws Error when an answer has another status */
export function expectStatus(answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer;
  throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 300)}`);
}
