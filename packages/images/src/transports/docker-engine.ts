/** The API of a docker engine (or of podman's service, which speaks it), as far as images are saved and loaded (Docker Engine API v1.24 and newer). */
import { type FileHandle, open } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { SignetError, StoreError, UsageError } from "@signet/core";
import type { Client, Dispatcher } from "undici";
import type { HostEnvironment } from "../config/host-environment.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { cleanText } from "../registry/clean-text.ts";
import { collectChunks } from "./blob-check.ts";
import { readWholeFile, writeAt } from "./file-chunks.ts";

/** Where an engine listens when nothing says otherwise. */
const DEFAULT_SOCKET = "/var/run/docker.sock";

/** Milliseconds until the engine begins to answer: podman first puts the whole archive together, and both unpack what was loaded. */
const ANSWER_TIMEOUT_MS: number = 60 * 60 * 1000;

/** Milliseconds of silence within an answer. */
const IDLE_TIMEOUT_MS: number = 5 * 60 * 1000;

/** Milliseconds until a connection stands; it leads to this very machine. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Bytes: the largest image taken from an engine. */
const MAX_SAVED_BYTES: number = 256 * 1024 ** 3;

/** Bytes of an error, and of the progress that loading reports. */
const MAX_MESSAGE_BYTES: number = 1024 * 1024;

/** Characters of the engine's own words in an error message. */
const MAX_MESSAGE_LENGTH = 500;

/** How to reach an engine. */
export interface EngineAddress {
  /** For people. */
  readonly label: string;
  readonly origin: string;
  readonly socketPath?: string;
}

/**
 * The engine that `DOCKER_HOST` names, else the one behind `/var/run/docker.sock`. Only this machine's: a unix socket, or a TCP port of the loopback interface.
 * @throws UsageError `image-name-malformed` for anything else
 */
export function engineAddress(host: HostEnvironment): EngineAddress {
  const written = host.env["DOCKER_HOST"] ?? "";
  const text = written === "" ? `unix://${DEFAULT_SOCKET}` : written;
  const socketPath = /^unix:\/\/(.*)$/s.exec(text)?.[1];
  if (socketPath !== undefined && isAbsolute(socketPath)) {
    return { label: text, origin: "http://docker", socketPath };
  }
  const address = /^(?:tcp|http):\/\/((?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):\d{1,5})\/?$/.exec(
    text,
  )?.[1];
  if (address !== undefined) return { label: text, origin: `http://${address}` };
  throw new UsageError("image-name-malformed", `DOCKER_HOST: ${JSON.stringify(text.slice(0, 300))} is not supported`, {
    hint: "unix:///path/to/socket and tcp://127.0.0.1:PORT are; bring a distant engine here, such as with ssh -L",
  });
}

/**
 * Saves an image into a file of the engine's form, a docker archive.
 * @param name a reference with its tag, or `sha256:` and an image id
 * @param file open for writing and empty
 * @throws StoreError `image-missing`, `engine-unreachable`, `engine-error`; FormatError `input-too-large`
 */
export async function saveImage(
  engine: EngineAddress,
  name: string,
  file: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  await withClient(engine, async (client) => {
    const path = `/images/get?names=${encodeURIComponent(name)}`;
    const { statusCode, body } = await client.request({ method: "GET", path, signal });
    if (statusCode !== 200) {
      const message = await readMessage(body);
      const isMissing = statusCode === 404 || /no such image|image not known/i.test(message);
      throw new StoreError(
        isMissing ? "image-missing" : "engine-error",
        isMissing ? `no image ${name} in the engine ${engine.label}` : answered(engine, statusCode, message),
        { side: "source", status: statusCode, ...(isMissing ? { hint: "`docker images` lists them" } : {}) },
      );
    }
    let position = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (position + chunk.length > MAX_SAVED_BYTES) {
        throw new StoreError("engine-error", `${engine.label}: an image of more than ${MAX_SAVED_BYTES} bytes`, {
          side: "source",
        });
      }
      await writeFile(file, chunk, position);
      position += chunk.length;
    }
  });
}

async function writeFile(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  try {
    await writeAt(file, chunk, position);
  } catch (error) {
    throw fileError(error, "the temporary file of an image", "write");
  }
}

/**
 * Loads the image of a docker archive.
 * @throws StoreError `engine-unreachable`, `engine-error` also when the engine reports a failure while it answers 200
 */
export async function loadImage(engine: EngineAddress, path: string, signal: AbortSignal): Promise<void> {
  await withClient(engine, async (client) => {
    const handle = await open(path, "r");
    const { size } = await handle.stat();
    const { statusCode, body } = await client.request({
      method: "POST",
      path: "/images/load?quiet=1",
      headers: { "content-type": "application/x-tar", "content-length": `${size}` },
      // Typed as a Readable, but any async iterable is sent as it comes.
      body: readWholeFile({ handle, size }, path) as unknown as Uint8Array,
      signal,
    });
    if (statusCode !== 200) {
      throw new StoreError("engine-error", answered(engine, statusCode, await readMessage(body)), {
        side: "destination",
        status: statusCode,
      });
    }
    const text = new TextDecoder().decode(await collectChunks(body, MAX_MESSAGE_BYTES, `${engine.label}: its answer`));
    for (const line of text.split("\n")) {
      const failure = failureIn(line);
      if (failure === undefined) continue;
      throw new StoreError("engine-error", `${engine.label} could not load the image: ${failure}`, {
        side: "destination",
      });
    }
  });
}

/** What a line of progress reports as failed; undefined for success. A line that is no JSON object is no report of success either. */
function failureIn(line: string): string | undefined {
  if (line.trim() === "") return undefined;
  let report: unknown;
  try {
    report = JSON.parse(line);
  } catch {
    return cleanText(line, MAX_MESSAGE_LENGTH);
  }
  if (typeof report !== "object" || report === null) return cleanText(line, MAX_MESSAGE_LENGTH);
  const { error, errorDetail } = report as { readonly error?: unknown; readonly errorDetail?: unknown };
  if (error === undefined && errorDetail === undefined) return undefined;
  return cleanText(typeof error === "string" ? error : JSON.stringify(errorDetail), MAX_MESSAGE_LENGTH);
}

async function withClient(engine: EngineAddress, use: (client: Client) => Promise<void>): Promise<void> {
  const { Client: UndiciClient } = await import("undici");
  const client = new UndiciClient(engine.origin, {
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: IDLE_TIMEOUT_MS,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...(engine.socketPath === undefined ? {} : { socketPath: engine.socketPath }),
    },
  });
  try {
    await use(client);
  } catch (error) {
    throw translate(error, engine);
  } finally {
    await client.destroy();
  }
}

function translate(error: unknown, engine: EngineAddress): SignetError {
  if (error instanceof SignetError) return error;
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such socket",
    ECONNREFUSED: "nobody listens there",
    EACCES: "permission denied",
  };
  const reason = reasons[errnoOf(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
  return new StoreError("engine-unreachable", `cannot reach the docker engine ${engine.label}: ${reason}`, {
    cause: error,
    side: "local",
    retryable: true,
    hint: "start it, or name its socket: DOCKER_HOST=unix:///path; podman has one with `podman system service`",
  });
}

function answered(engine: EngineAddress, status: number, message: string): string {
  return `${engine.label} answered ${status}${message === "" ? "" : `: ${message}`}`;
}

/** The engine's own words for an error. */
async function readMessage(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const bytes = await collectChunks(body, MAX_MESSAGE_BYTES, "the engine's answer");
  const text = new TextDecoder().decode(bytes);
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === "string") return cleanText(message, MAX_MESSAGE_LENGTH);
  } catch {
    // Not the form it should have; shown as it is.
  }
  return cleanText(text, MAX_MESSAGE_LENGTH);
}
