/** docs/openapi.json, written from the document: `node --conditions=@signet/source packages/server/src/openapi/openapi-page.ts`. A test compares. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "./document.ts";

/** Relative to the repository. */
export const openApiPage = "docs/openapi.json";

/** The whole file. */
export function writeOpenApiPage(): string {
  return `${JSON.stringify(openApiDocument, null, 2)}\n`;
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, "../../../..", openApiPage), writeOpenApiPage());
  process.stdout.write(`${openApiPage}: ${Object.keys(openApiDocument["paths"] as object).length} paths\n`);
}
