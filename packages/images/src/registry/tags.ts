import { FormatError, StoreError, jsonArray, jsonString, parseJson, strictObject } from "@signet/core";
import { MAX_TAG_PAGES, MAX_TAG_PAGE_BYTES, TAG_PAGE_SIZE } from "./limits.ts";
import { nextPage } from "./next-page.ts";
import type { RegistrySession } from "./session.ts";

/** The grammar of tags; what a registry lists beyond it cannot be asked for. */
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * All tags of a repository, as the registry orders them, page by page. The next page is asked for at the registry's own origin only.
 * @throws StoreError `image-missing` when there is no such repository; `registry-url-refused`, `registry-error`, …
 */
export async function listTags(session: RegistrySession, repository: string): Promise<readonly string[]> {
  const what = `tags of ${session.registry}/${repository}`;
  const tags = new Set<string>();
  let path: string | undefined = `/v2/${repository}/tags/list?n=${TAG_PAGE_SIZE}`;
  for (let page = 0; path !== undefined; page++) {
    if (page >= MAX_TAG_PAGES) throw new StoreError("registry-error", `${what}: more than ${MAX_TAG_PAGES} pages`);
    const { answer, bytes } = await session.read(
      { method: "GET", path, access: [{ repository, actions: "pull" }], expect: [200], what },
      MAX_TAG_PAGE_BYTES,
    );
    const before = tags.size;
    for (const tag of readPage(bytes, what)) tags.add(tag);
    path = nextPage(answer.headerLines("link"), answer.url, session.registry, what);
    // A page that brings nothing new could lead in a circle.
    if (path !== undefined && tags.size === before) throw new StoreError("registry-error", `${what}: the pages repeat`);
  }
  return [...tags];
}

function readPage(bytes: Uint8Array, what: string): readonly string[] {
  try {
    const list = strictObject(parseJson(bytes, what, { maxBytes: MAX_TAG_PAGE_BYTES, maxDepth: 8 }), "", {
      required: ["tags"],
      allowUnknown: true,
    }).get("tags")!;
    if (list.kind === "null") return [];
    const tags = jsonArray(list, "tags").map((tag, index) => jsonString(tag, `tags[${index}]`));
    return tags.filter((tag) => tagForm.test(tag));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new StoreError("registry-error", `${what}: the answer cannot be read: ${error.message}`, { cause: error });
  }
}
