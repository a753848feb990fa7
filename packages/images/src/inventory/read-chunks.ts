/** Reading a file or standard input piece by piece. */
import { close, constants, open, read } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { FormatError, SignetError } from "@signet/core";
import { errnoOf, fileError } from "../config/file-error.ts";

/** Bytes of one input. A PodList of a hundred thousand pods has about one and a half billion. */
export const MAX_INPUT_BYTES: number = 4 * 1024 * 1024 * 1024;

/** Bytes read at a time. */
const CHUNK_BYTES = 256 * 1024;

const openFile = promisify(open);
const readInto = promisify(read);
const closeFile = promisify(close);

/** Milliseconds between two looks at a descriptor that does not block and has nothing yet. */
const RETRY_MS = 5;

/**
 * The content of a file, or of standard input for `-`, in pieces; each is overwritten when the next one is asked for.
 * @param what its name in messages
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `input-too-large` beyond 4 GiB
 */
export async function* readChunks(path: string, what: string): AsyncGenerator<Uint8Array, void, undefined> {
  let descriptor: number | undefined;
  try {
    descriptor = path === "-" ? 0 : await openFile(path, constants.O_RDONLY);
    const buffer = new Uint8Array(CHUNK_BYTES);
    let length = 0;
    for (;;) {
      const count = await readSome(descriptor, buffer);
      if (count === 0) return;
      length += count;
      if (length > MAX_INPUT_BYTES)
        throw new FormatError("input-too-large", `${what}: more than ${MAX_INPUT_BYTES} bytes`, {
          hint: "give it in several parts, such as one namespace at a time",
        });
      yield buffer.subarray(0, count);
    }
  } catch (error) {
    if (error instanceof SignetError) throw error;
    throw fileError(error, what, "read", "list of images");
  } finally {
    if (descriptor !== undefined && descriptor !== 0) await closeFile(descriptor);
  }
}

async function readSome(descriptor: number, buffer: Uint8Array): Promise<number> {
  for (;;) {
    try {
      return (await readInto(descriptor, buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      const code = errnoOf(error);
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** The first octets, up to `count`, and a stream that begins with them all the same. */
export async function peekChunks(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  count: number,
): Promise<{ readonly head: Uint8Array; readonly all: AsyncGenerator<Uint8Array, void, undefined> }> {
  const taken: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const next = await chunks.next();
    if (next.done === true) break;
    taken.push(next.value.slice());
    length += next.value.length;
  }
  const head = Buffer.concat(taken).subarray(0, count);
  const all = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield* taken;
    yield* chunks;
  };
  return { head, all: all() };
}

/**
 * Lines of UTF-8 text without their ends.
 * @throws FormatError `image-list-malformed` for what is no text, `input-too-large` for a line of more than `maxBytes` bytes
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what: string,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes: Uint8Array | undefined): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new FormatError("image-list-malformed", `${what}: it is not UTF-8 text`, { cause });
    }
  };
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decode(chunk)).split("\n");
    rest = lines.pop()!;
    for (const line of [...lines, rest])
      if (line.length > maxBytes)
        throw new FormatError("input-too-large", `${what}: a line of more than ${maxBytes} characters`, {
          hint: "a list of images has one name a line",
        });
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  rest += decode(undefined);
  if (rest !== "") yield rest;
}
