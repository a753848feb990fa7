import { StoreError } from "@signet/core";

/**
 * Path and query of the next page of a listing (RFC 8288, `<…>; rel="next"`); undefined on the last one. Pages are asked for at the registry's own origin only.
 * @param lines the `Link` headers of an answer
 * @param from where that answer came from
 * @throws StoreError `registry-url-refused` for another origin; `registry-error` for a link that cannot be read
 */
export function nextPage(lines: readonly string[], from: URL, registry: string, what: string): string | undefined {
  const links = lines.join(", ").slice(0, 8192);
  for (const match of links.matchAll(/<([^<>]*)>([^<]*)/g)) {
    if (!/;\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)/i.test(match[2]!)) continue;
    const next = URL.parse(match[1]!, from.href);
    if (next === null) throw new StoreError("registry-error", `${what}: the link to the next page cannot be read`);
    if (next.origin !== from.origin) {
      throw new StoreError(
        "registry-url-refused",
        `${registry}: the next page of ${what} is on ${next.host}, which is not asked`,
        {
          details: { host: next.host },
          hint: "ask whoever runs the registry",
        },
      );
    }
    return `${next.pathname}${next.search}`;
  }
  return undefined;
}
