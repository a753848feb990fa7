/** What a request is for, in the one form that everything else reads (RFC 9112, section 3.2). */
import type { IncomingMessage } from "node:http";
import { RegistryError } from "../registry/registry-error.ts";

const absoluteForm = /^https?:\/\/([^/?#]+)([/?][^#]*)?$/i;

/**
 * Brings a target that names the server as well, as clients write it to proxies, into the form without: path and query. The name counts as that of `Host` then. Any other target stays
 * as it is.
 */
export function normalizeTarget(request: IncomingMessage): void {
  if (request.url === undefined || request.url.startsWith("/")) return;
  const [, host, rest = "/"] = absoluteForm.exec(request.url) ?? [];
  if (host === undefined) return;
  request.headers.host = host;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
}

/** @throws RegistryError 400 for a request with several hosts: this server and a proxy before it could each go by another one */
export function refuseSeveralHosts({ rawHeaders }: IncomingMessage): void {
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === "host".length && name.toLowerCase() === "host") hosts += 1;
  }
  if (hosts > 1) throw new RegistryError("UNSUPPORTED", "the request has several hosts", { status: 400 });
}
