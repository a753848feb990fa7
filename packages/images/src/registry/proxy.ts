/** Which proxy a URL is fetched through, from the environment variables that curl, skopeo and podman follow. */
import { BlockList, isIP, isIPv4 } from "node:net";
import { UsageError } from "@signet/core";

/** Finds the proxy for a URL; undefined means a direct connection. */
export type ProxyChooser = (url: URL) => URL | undefined;

/**
 * Reads `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (lower case as well). A proxy is an `http:` or `https:` URL, with user and password if it wants them;
 * without a scheme, http is meant. `NO_PROXY` holds, separated by commas, host names (with their subdomains), `.domain`, `*.domain` (subdomains alone),
 * IP addresses, CIDR blocks, each with `:port` if wanted, or `*` for all. `localhost` and loopback addresses are never asked for through a proxy.
 * @throws UsageError `proxy-malformed`
 */
export function proxyFromEnvironment(env: Readonly<Record<string, string | undefined>>): ProxyChooser {
  const read = (name: string): string => env[name] ?? env[name.toLowerCase()] ?? "";
  // In a CGI program HTTP_PROXY is a header that the client sent ("httpoxy"); only the lower-case name is safe there.
  const forHttp = env["REQUEST_METHOD"] === undefined ? read("HTTP_PROXY") : (env["http_proxy"] ?? "");
  const http = parseProxy("HTTP_PROXY", forHttp);
  const https = parseProxy("HTTPS_PROXY", read("HTTPS_PROXY"));
  const exceptions = read("NO_PROXY")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map(parseException);
  return (url) => {
    const proxy = url.protocol === "https:" ? https : http;
    if (proxy === undefined) return undefined;
    const host = bareHost(url);
    if (host === "localhost" || isLoopback(host)) return undefined;
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
    return exceptions.some((applies) => applies(host, port)) ? undefined : proxy;
  };
}

/** Host name of a URL, an IPv6 address without its brackets. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function parseProxy(name: string, value: string): URL | undefined {
  const text = value.trim();
  if (text === "") return undefined;
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "") return url;
  // The value may hold a password: it is not shown.
  throw new UsageError("proxy-malformed", `${name} is not the URL of an http or https proxy`, {
    hint: `write ${name}=http://host:port`,
  });
}

function parseException(entry: string): (host: string, port: string) => boolean {
  if (entry === "*") return () => true;
  const block = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(entry);
  if (block !== null && isIP(block[1]!) !== 0) return inBlock(block[1]!, Number(block[2]));
  const withPort = /^(.+?):(\d+)$/.exec(entry);
  const onlyPort = withPort !== null && isIP(entry) === 0 ? withPort[2] : undefined;
  const name = (onlyPort === undefined ? entry : withPort![1]!).toLowerCase().replace(/^\[(.*)\]$/, "$1");
  const suffix = name.startsWith("*.") ? name.slice(1) : name.startsWith(".") ? name : `.${name}`;
  return (host, port) => {
    if (onlyPort !== undefined && onlyPort !== port) return false;
    return host === name || (isIP(host) === 0 && host.endsWith(suffix));
  };
}

function inBlock(address: string, bits: number): (host: string) => boolean {
  const family = isIPv4(address) ? "ipv4" : "ipv6";
  const list = new BlockList();
  if (bits > (family === "ipv4" ? 32 : 128)) return () => false;
  list.addSubnet(address, bits, family);
  return (host) => isIP(host) !== 0 && list.check(host, isIPv4(host) ? "ipv4" : "ipv6");
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
