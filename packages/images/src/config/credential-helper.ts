/** Programs named `docker-credential-NAME` that keep credentials elsewhere (docker-credential-helpers). */
import { spawn } from "node:child_process";
import { FormatError, StoreError, jsonString, parseJson, strictObject } from "@signet/core";
import { cleanText } from "../registry/clean-text.ts";
import type { Credentials } from "../registry/credentials.ts";

/** What a helper is asked to do. */
type HelperAction = "get" | "store" | "erase";

/** Milliseconds: some helpers ask the user to unlock a key ring first. */
const HELPER_TIMEOUT_MS = 60_000;

/** Bytes of each output stream; an answer is one small JSON object. */
const MAX_HELPER_OUTPUT_BYTES: number = 64 * 1024;

/** The user name by which helpers say that the secret is an identity token. */
const IDENTITY_TOKEN_USER = "<token>";

/** One file name; nothing that could become a path or an option. */
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export interface HelperOptions {
  /** The helper's whole environment; `PATH` is where it is searched. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds; default a minute. */
  readonly timeoutMs?: number;
}

/**
 * Asks a helper for the credentials of a registry. The program is started without a shell, gets the registry on standard input, and must answer in time.
 * @param registry `host[:port]`
 * @returns undefined when it has none
 * @throws StoreError `credential-helper-failed`
 */
export async function askCredentialHelper(
  name: string,
  registry: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  const result = await runHelper(name, "get", registry, options);
  // Helpers report problems on standard output, with a status other than 0; this one sentence is part of their protocol.
  if (result.status !== 0) {
    if (result.stdout.trim() === "credentials not found in native keychain") return undefined;
    throw reported(name, result);
  }
  let username: string;
  let secret: string;
  try {
    const answer = parseJson(result.bytes, "answer", { maxBytes: MAX_HELPER_OUTPUT_BYTES, maxDepth: 8 });
    const members = strictObject(answer, "", { required: ["Username", "Secret"], allowUnknown: true });
    username = jsonString(members.get("Username")!, "Username");
    secret = jsonString(members.get("Secret")!, "Secret");
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // Neither the answer nor the parser's error is passed on: they may hold the secret.
    throw failed(name, "its answer is not a JSON object with Username and Secret");
  }
  if (username === IDENTITY_TOKEN_USER) return { kind: "identity-token", token: secret };
  return username === "" && secret === "" ? undefined : { kind: "password", username, password: secret };
}

/**
 * Has a helper keep credentials.
 * @throws StoreError `credential-helper-failed`
 */
export async function storeWithCredentialHelper(
  name: string,
  registry: string,
  credentials: Credentials,
  options: HelperOptions,
): Promise<void> {
  const username = credentials.kind === "identity-token" ? IDENTITY_TOKEN_USER : credentials.username;
  const secret = credentials.kind === "identity-token" ? credentials.token : credentials.password;
  const input = JSON.stringify({ ServerURL: registry, Username: username, Secret: secret });
  const result = await runHelper(name, "store", input, options);
  if (result.status !== 0) throw reported(name, result);
}

/**
 * Has a helper forget credentials.
 * @throws StoreError `credential-helper-failed`
 */
export async function eraseWithCredentialHelper(name: string, registry: string, options: HelperOptions): Promise<void> {
  const result = await runHelper(name, "erase", registry, options);
  if (result.status !== 0) throw reported(name, result);
}

interface HelperResult {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly stdout: string;
  readonly stderr: string;
}

async function runHelper(
  name: string,
  action: HelperAction,
  input: string,
  options: HelperOptions,
): Promise<HelperResult> {
  if (!nameForm.test(name)) {
    throw failed(JSON.stringify(name.slice(0, 100)), "that is not the name of a credential helper");
  }
  const timeoutMs = options.timeoutMs ?? HELPER_TIMEOUT_MS;
  const child = spawn(`docker-credential-${name}`, [action], {
    env: { ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  return await new Promise<HelperResult>((resolve, reject) => {
    let failure: StoreError | undefined;
    const stop = (error: StoreError): void => {
      failure ??= error;
      child.kill("SIGKILL");
      // A grandchild may hold the pipes open; nobody waits for it.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => stop(failed(name, `no answer within ${timeoutMs} ms`)), timeoutMs);
    const collect = (): { readonly chunks: Buffer[]; readonly add: (chunk: Buffer) => void } => {
      const chunks: Buffer[] = [];
      let length = 0;
      return {
        chunks,
        add: (chunk) => {
          length += chunk.length;
          if (length > MAX_HELPER_OUTPUT_BYTES)
            stop(failed(name, `it prints more than ${MAX_HELPER_OUTPUT_BYTES} bytes`));
          else chunks.push(chunk);
        },
      };
    };
    const stdout = collect();
    const stderr = collect();
    child.stdout.on("data", stdout.add);
    child.stderr.on("data", stderr.add);
    // A helper may end without reading its input.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    child.on("error", (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = cause.code === "ENOENT";
      reject(
        failed(
          name,
          missing ? `there is no program docker-credential-${name}` : `it cannot be started: ${cause.message}`,
          missing ? "install it, or take it out of credHelpers" : undefined,
        ),
      );
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (failure !== undefined) return reject(failure);
      const bytes = Buffer.concat(stdout.chunks);
      resolve({
        status: code ?? -1,
        bytes,
        stdout: bytes.toString("utf8"),
        stderr: Buffer.concat(stderr.chunks).toString("utf8"),
      });
    });
  });
}

/** Characters of a helper's own words that are shown. */
const MAX_SHOWN_LENGTH = 300;

/** Only for failures: a helper that failed has no secret to print. */
function reported(name: string, result: HelperResult): StoreError {
  const said = cleanText(result.stdout.trim() === "" ? result.stderr : result.stdout, MAX_SHOWN_LENGTH);
  return failed(name, `it ended with status ${result.status}${said === "" ? "" : `: ${said}`}`);
}

function failed(name: string, problem: string, hint?: string): StoreError {
  return new StoreError("credential-helper-failed", `credential helper ${name}: ${problem}`, {
    side: "local",
    hint: hint ?? `try it by hand: echo HOST | docker-credential-${name} get`,
  });
}
