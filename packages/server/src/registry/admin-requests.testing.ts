/** What tests ask of a served document as admin. For tests only. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ServedDocument } from "../openapi/served-document.testing.ts";

export const MIB: number = 1024 * 1024;
/** Bytes that the kernel takes off a sender before the receiver has looked at them. */
export const IN_FLIGHT: number = 16 * MIB;

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** The status of a request by admin. */
export async function statusOf(served: ServedDocument, path: string, init: RequestInit = {}): Promise<number> {
  const headers = { ...served.admin, ...(init.headers as Record<string, string>) };
  const response = await fetch(`${served.url}${path}`, { ...init, headers });
  await response.arrayBuffer();
  return response.status;
}

/** Begins an upload as admin; its path. */
export async function beginUpload(served: ServedDocument): Promise<string> {
  const path = "/v2/team/app/blobs/uploads/";
  const begun = await fetch(`${served.url}${path}`, { method: "POST", headers: served.admin });
  assert.equal(begun.status, 202);
  return begun.headers.get("location")!;
}
