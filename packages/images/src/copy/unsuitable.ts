import { StoreError } from "@signet/core";

/** The destination cannot take what it would be given. */
export function unsuitable(problem: string, hint: string): StoreError {
  return new StoreError("destination-unsuitable", problem, { side: "destination", hint });
}
