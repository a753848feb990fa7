/** Whose name the changes of trust bear that are made on the database itself. */
import { userInfo } from "node:os";
import type { TrustAuthor } from "@signet/server";
import type { TextOption } from "../command-line/command.ts";
import type { Runtime } from "../runtime.ts";

/** Why something is added or withdrawn: kept with it, and repeated to whoever it concerns. */
export const reasonOption: TextOption = {
  kind: "text",
  name: "reason",
  value: "TEXT",
  summary: "Why; kept with the change, and repeated where it shows",
  completion: "nothing",
};

/** The author of offline changes; each leaves an entry in the audit log. */
export async function offlineAuthor(runtime: Runtime): Promise<TrustAuthor> {
  const { appendAudit } = await import("@signet/server");
  return {
    by: "offline",
    now: runtime.now(),
    audit: (writer, change) =>
      appendAudit(writer, { ...change, detail: { ...change.detail, system_user: userInfo().username } }),
  };
}
