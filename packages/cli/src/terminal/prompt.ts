import { FormatError, UsageError } from "@signet/core";
import { cleanText } from "./clean-text.ts";

/** Asks a person for a secret. */
export type SecretPrompt = (question: string) => Promise<string>;

/** Thrown when somebody answers a prompt with Ctrl-C or Ctrl-D. */
export class InterruptedError extends Error {}

/** Characters: no passphrase is longer; more is something else pasted by mistake. */
const MAX_SECRET_LENGTH = 4096;

/**
 * Asks on the terminal, without showing what is typed. The question goes to standard error, so that the answer can be asked for while standard output
 * goes to a file.
 * @throws UsageError `command-line-malformed` when there is no terminal to ask on; InterruptedError
 */
export async function askSecret(question: string): Promise<string> {
  requireTerminal(question);
  const { stdin, stderr } = process;
  // Before the question: whoever answers at once must not see the answer either.
  stdin.setRawMode(true);
  try {
    stderr.write(`${cleanText(question)}: `);
    return await readHidden(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

/**
 * Asks on the terminal for something that may be seen, such as a user name.
 * @throws as {@link askSecret}
 */
export async function askText(question: string): Promise<string> {
  requireTerminal(question);
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const stopped = new AbortController();
  lines.once("SIGINT", () => stopped.abort());
  lines.once("close", () => stopped.abort());
  try {
    return await lines.question(`${cleanText(question)}: `, { signal: stopped.signal });
  } catch (error) {
    if (stopped.signal.aborted) throw new InterruptedError();
    throw error;
  } finally {
    lines.close();
  }
}

function requireTerminal(question: string): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new UsageError("command-line-malformed", `${question}: there is no terminal to ask on`, {
    hint: "give it by an option, as the command's --help says",
  });
}

async function readHidden(stdin: NodeJS.ReadStream): Promise<string> {
  const decoder = new TextDecoder();
  let secret = "";
  for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
    for (const character of decoder.decode(chunk as Uint8Array, { stream: true })) {
      if (character === "\r" || character === "\n") return secret;
      if (character === "\u0003" || (character === "\u0004" && secret === "")) throw new InterruptedError();
      if (character === "\u007f" || character === "\b") secret = Array.from(secret).slice(0, -1).join("");
      else if (character === "\u0015") secret = "";
      else secret += character;
    }
    if (secret.length > MAX_SECRET_LENGTH)
      throw new FormatError("input-too-large", `the answer has more than ${MAX_SECRET_LENGTH} characters`);
  }
  throw new InterruptedError();
}
