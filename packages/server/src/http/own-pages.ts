/** Pages of the server about itself: `/healthz`, `/readyz`, `/metrics`. */
import { type Exchange, answer, answerJson, jsonAnswer, sendAnswer } from "../registry/answer.ts";
import { RegistryError } from "../registry/registry-error.ts";
import type { ServerMetrics } from "./metrics.ts";
import type { ReadinessCheck } from "./readiness.ts";

export interface OwnPages {
  readonly readiness: ReadinessCheck;
  readonly metrics: ServerMetrics;
}

/**
 * Answers one of these pages.
 * @param mayReadMetrics asked for `/metrics` alone
 * @returns false for any other path: then nothing was answered
 */
export async function servePage(
  pages: OwnPages,
  exchange: Exchange,
  path: string,
  mayReadMetrics: () => Promise<boolean>,
): Promise<boolean> {
  if (path !== "/healthz" && path !== "/readyz" && path !== "/metrics") return false;
  const { method } = exchange.request;
  if (method !== "GET" && method !== "HEAD") {
    throw new RegistryError("UNSUPPORTED", undefined, { headers: { allow: "GET, HEAD" } });
  }
  const headers = { "cache-control": "no-store" };
  if (path === "/healthz") {
    // That this is answered is all it says: a server whose database is gone must not be started again and again.
    answerJson(exchange, { status: "alive" }, headers);
  } else if (path === "/readyz") {
    const { isReady, failed } = await pages.readiness.ask();
    if (isReady) answerJson(exchange, { status: "ready" }, headers);
    else sendAnswer(exchange, { ...jsonAnswer({ status: "unready", failed }, headers), status: 503 });
  } else {
    if (!(await mayReadMetrics())) {
      throw new RegistryError("UNAUTHORIZED", "metrics are for accounts with the role admin", {
        headers: { "www-authenticate": 'Basic realm="signet", charset="UTF-8"' },
      });
    }
    answer(exchange, 200, { ...headers, "content-type": pages.metrics.contentType }, await pages.metrics.write());
  }
  return true;
}
