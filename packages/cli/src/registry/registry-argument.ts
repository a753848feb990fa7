import { SignetError, StoreError } from "@signet/core";
import { usage } from "../command-line/parse.ts";

/** Runs what takes a registry from the command line: one that is written wrongly is a mistake of usage, not of a file. */
export async function asUsage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof SignetError && error.code === "reference-malformed")
      throw usage(error.message, undefined, error.hint);
    throw error;
  }
}

/** For when nothing is kept for the registry. */
export function notLoggedIn(registry: string): StoreError {
  return new StoreError("registry-unauthorized", `not logged into ${registry}`, {
    side: "local",
    hint: `use \`signet login ${registry}\``,
  });
}
