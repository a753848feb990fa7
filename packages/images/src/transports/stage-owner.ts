/** Which process a temporary name belongs to, so that the next one can tell whether anybody still works on it. */
import { createHash, randomBytes } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { encodeHex } from "@signet/core";
import { errnoOf } from "../config/file-error.ts";
import { processStart } from "../config/file-lock.ts";

const form = /^(?:([0-9a-f]{8})-([0-9]{1,10})-([0-9]{1,20})-)?[0-9a-f]{16}$/;

/** The last part of a temporary name: random, and after whoever makes it where that can be told. */
export async function ownedSuffix(): Promise<string> {
  const random = encodeHex(randomBytes(8));
  const machine = await machineMark();
  const start = await processStart(process.pid);
  return machine === undefined || start === "-" ? random : `${machine}-${process.pid}-${start}-${random}`;
}

/** Whether a text is what {@link ownedSuffix} makes. */
export function isOwnedSuffix(text: string): boolean {
  return form.test(text);
}

/** True only when it is certain that the maker of the name has ended. Of processes on another machine, or before a restart, nothing is known. */
export async function isOwnerGone(suffix: string): Promise<boolean> {
  const [, machine, pid, start] = form.exec(suffix) ?? [];
  if (machine === undefined || machine !== (await machineMark())) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return errnoOf(error) === "ESRCH";
  }
  // The number may have been given to another process since.
  const now = await processStart(Number(pid));
  return now !== "-" && now !== start;
}

let mark: Promise<string | undefined> | undefined;

/** This machine since it was started, and this name space of process numbers: containers on one machine may share all but the last. */
function machineMark(): Promise<string | undefined> {
  return (mark ??= readMachineMark());
}

async function readMachineMark(): Promise<string | undefined> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    const space = await readlink("/proc/self/ns/pid");
    return createHash("sha256").update(`${hostname()}\n${boot}\n${space}`).digest("hex").slice(0, 8);
  } catch {
    return undefined;
  }
}
