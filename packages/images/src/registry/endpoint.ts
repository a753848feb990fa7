import { FormatError } from "@signet/core";

/**
 * The host that serves a reference's domain: `docker.io` is served by registry-1.docker.io, all others by themselves.
 * @param domain of a Reference: host with optional port
 */
export function servingHost(domain: string): string {
  return domain === "docker.io" || domain === "index.docker.io" ? "registry-1.docker.io" : domain;
}

/**
 * The origin of a registry under a scheme.
 * @throws FormatError `reference-malformed` when `host` is not a host with an optional port
 */
export function originOf(host: string, scheme: "https" | "http"): URL {
  const url = URL.parse(`${scheme}://${host}/`);
  if (url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "") {
    if (url.hostname !== "" && url.password === "" && !/[/\\?#@\s]/.test(host)) return url;
  }
  throw new FormatError("reference-malformed", `invalid registry host ${JSON.stringify(host.slice(0, 300))}`, {
    hint: "a registry is written host or host:port",
  });
}

/** A URL fit for messages and logs: without user, password, query and fragment, which can all hold secrets. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, 500);
}
