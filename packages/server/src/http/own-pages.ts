/** Pages of the server about itself: `/healthz`, `/readyz`, `/metrics`, `/openapi.json`. */
import { createHash } from "node:crypto";
import { openApiDocument } from "../openapi/document.ts";
import { type CompleteAnswer, type Exchange, answer, answerJson, jsonAnswer, sendAnswer } from "../registry/answer.ts";
import type { ServerMetrics } from "./metrics.ts";
import type { OwnPath } from "./own-routes.ts";
import type { ReadinessCheck } from "./readiness.ts";

export interface OwnPages {
  readonly readiness: ReadinessCheck;
  readonly metrics: ServerMetrics;
}

/**
 * Answers GET or HEAD of one of these pages.
 * @param admitToMetrics asked for `/metrics` alone; what it throws is thrown
 */
export async function servePage(
  pages: OwnPages,
  exchange: Exchange,
  path: Exclude<OwnPath, "/token">,
  admitToMetrics: () => Promise<void>,
): Promise<void> {
  const headers = { "cache-control": "no-store" };
  switch (path) {
    case "/healthz":
      // That this is answered is all it says: a server whose database is gone must not be started again and again.
      return answerJson(exchange, { status: "alive" }, headers);
    case "/readyz": {
      const { isReady, failed } = await pages.readiness.ask();
      if (isReady) return answerJson(exchange, { status: "ready" }, headers);
      return sendAnswer(exchange, { ...jsonAnswer({ status: "unready", failed }, headers), status: 503 });
    }
    case "/metrics":
      await admitToMetrics();
      return answer(
        exchange,
        200,
        { ...headers, "content-type": pages.metrics.contentType },
        await pages.metrics.write(),
      );
    case "/openapi.json":
      return sendAnswer(exchange, documentAnswer);
  }
}

/** The same for everybody, and without credentials: it says nothing of what is stored. */
const documentAnswer: CompleteAnswer = makeDocumentAnswer();

function makeDocumentAnswer(): CompleteAnswer {
  const made = jsonAnswer(openApiDocument, { "cache-control": "no-cache" });
  const tag = `sha256:${createHash("sha256").update(made.body).digest("hex")}`;
  return { ...made, headers: { ...made.headers, etag: `"${tag}"` }, tag };
}
