import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { emptyAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { Fault } from "./faults.ts";

/** The answer that a fault gives instead of the true one. */
export function replaceAnswer(fault: Fault | undefined): Answer | undefined {
  if (fault?.redirect !== undefined) return emptyAnswer(307, { location: fault.redirect });
  if (fault?.status === undefined) return undefined;
  return { ...emptyAnswer(fault.status), body: Buffer.from(fault.body ?? "") };
}

/** Writes the answer, with what a fault does to its headers, its body and the way it is sent. */
export async function sendAnswer(
  response: ServerResponse,
  method: string,
  answer: Answer,
  fault: Fault | undefined,
): Promise<void> {
  let { body } = answer;
  if (fault?.status === undefined && fault?.body !== undefined) body = Buffer.from(fault.body);
  if (fault?.alterBody !== undefined) body = fault.alterBody(body);
  const headers: Record<string, string> = { ...answer.headers };
  if (fault?.endless !== true) headers["content-length"] = String(body.length);
  for (const [name, value] of Object.entries(fault?.headers ?? {})) {
    if (value === "") delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = value;
  }
  response.writeHead(answer.status, headers);
  if (method === "HEAD") {
    response.end();
  } else if (fault?.truncateAt !== undefined) {
    response.write(body.subarray(0, fault.truncateAt), () => response.destroy());
    response.flushHeaders();
  } else if (fault?.drip !== undefined) {
    const { bytes, everyMs } = fault.drip;
    for (let start = 0; start < body.length && !response.destroyed; start += bytes) {
      response.write(body.subarray(start, start + bytes));
      await wait(everyMs);
    }
    response.end();
  } else if (fault?.endless === true) {
    response.write(body);
    await sendZeros(response);
  } else {
    response.end(body);
  }
}

/** Until the client goes away, no faster than it reads. */
async function sendZeros(response: ServerResponse): Promise<void> {
  const zeros = new Uint8Array(64 * 1024);
  const gone = once(response, "close");
  while (!response.destroyed) {
    if (response.write(zeros)) await wait(0);
    else await Promise.race([once(response, "drain"), gone]);
  }
}
