/**
 * Where a registry's token service may be (threat T14; CVE-2026-33540, CVE-2019-10214 and ggcr#2193 are about clients without such a rule).
 *
 * For every token request:
 * 1. The realm is an absolute URL, https, or http if the registry itself is spoken to over http; it holds no user name and no fragment.
 * 2. It does not lead to private, loopback or link-local addresses, unless the registry itself was reached at an address of that class
 *    (`connections.ts` holds this for the addresses really connected to).
 *
 * A request that carries credentials, in addition: the realm's host must be
 * 3. the registry's own host, under any port; or
 * 4. in the registry's own domain: both are names, not addresses, and end in the same two labels, or three under `co.uk` and its like; never under
 *    suffixes whose names are handed out to anybody, such as `amazonaws.com` (see {@link ownDomain}); or
 * 5. a service known to belong to that registry ({@link knownServices}); or
 * 6. one of the `trustedRealms` that somebody configured, compared as `host[:port]`. Rule 2 is waived for these too.
 *
 * A request with credentials to any other realm is an error, not an anonymous request: what would come back could not be told from what was asked for.
 */
import { isIP } from "node:net";
import { StoreError } from "@signet/core";
import { checkNamedUrl } from "./exchange.ts";
import { shownUrl } from "./endpoint.ts";
import { bareHost } from "./proxy.ts";

/** Registries whose token service has another domain of the same owner. */
const knownServices: ReadonlyMap<string, string> = new Map([["registry.redhat.io", "sso.redhat.com"]]);

/** Suffixes under which names are handed out to anybody: what shares them shares no owner. */
const sharedSuffixes: ReadonlySet<string> = new Set([
  "amazonaws.com",
  "appspot.com",
  "azurecontainer.io",
  "azurecr.io",
  "azurewebsites.net",
  "cloudapp.net",
  "cloudfront.net",
  "digitaloceanspaces.com",
  "duckdns.org",
  "dyndns.org",
  "firebaseapp.com",
  "fly.dev",
  "github.io",
  "gitlab.io",
  "googleapis.com",
  "herokuapp.com",
  "jfrog.io",
  "myhuaweicloud.com",
  "netlify.app",
  "ngrok.app",
  "ngrok.dev",
  "ngrok.io",
  "nip.io",
  "no-ip.org",
  "onrender.com",
  "pages.dev",
  "pkg.dev",
  "r2.dev",
  "run.app",
  "sslip.io",
  "vercel.app",
  "web.app",
  "windows.net",
  "workers.dev",
]);

/** Second labels that countries use for registering below, as in `com.au` and `ac.jp`; those of up to two letters count without being listed. */
const countrySecondLabels: ReadonlySet<string> = new Set([
  "com",
  "edu",
  "gob",
  "gov",
  "gouv",
  "govt",
  "ind",
  "ltd",
  "mil",
  "net",
  "nom",
  "org",
  "plc",
  "sch",
]);

/** Suffixes of one provider whose third label is a region with registry and token service side by side. */
const regionalSuffixes: ReadonlySet<string> = new Set(["aliyuncs.com"]);

export interface RealmRule {
  /** The origin at which the registry is spoken to. */
  readonly registry: URL;
  /** The registry's name as references write it. */
  readonly name: string;
  /** `host[:port]` of further token services that may have the credentials. */
  readonly trustedRealms: readonly string[];
}

/**
 * Judges the realm of a Bearer challenge by the rules at the top of this file, except rule 2.
 * @param withCredentials whether the token request is to carry credentials
 * @throws StoreError `registry-url-refused`
 */
export function checkRealm(realm: string | undefined, rule: RealmRule, withCredentials: boolean): URL {
  const url = realm === undefined ? null : URL.parse(realm);
  if (url === null || url.hostname === "" || url.hash !== "") {
    throw new StoreError("registry-error", `${rule.name}: its challenge names no usable token service`, {
      hint: "ask whoever runs the registry",
    });
  }
  checkNamedUrl(url, rule.registry, rule.name, "a token request");
  if (withCredentials && !mayHaveCredentials(url, rule)) {
    throw new StoreError(
      "registry-url-refused",
      `${rule.name} asks to send its credentials to ${shownUrl(url)}, a host that does not belong to it; nothing was sent`,
      { details: { host: url.host }, hint: `if that token service is right, set SIGNET_TRUSTED_REALMS=${url.host}` },
    );
  }
  return url;
}

function mayHaveCredentials(realm: URL, rule: RealmRule): boolean {
  if (realm.hostname === rule.registry.hostname) return true;
  if (knownServices.get(rule.registry.hostname) === realm.hostname && realm.port === "") return true;
  if (rule.trustedRealms.some((trusted) => trusted.toLowerCase() === realm.host)) return true;
  const own = ownDomain(bareHost(rule.registry));
  return own !== undefined && own === ownDomain(bareHost(realm));
}

/**
 * The part of a host name that its owner registered, by a rule of thumb that errs towards too long: two labels; three under country codes whose second label
 * is a generic one (`com.au`) or at most two letters (`co.uk`). Undefined for addresses, for names that are shorter, and under suffixes open to anybody.
 */
export function ownDomain(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (isIP(name) !== 0) return undefined;
  const labels = name.split(".");
  const [second, top] = labels.slice(-2) as [string, string | undefined];
  if (top === undefined) return undefined;
  const suffix = `${second}.${top}`;
  if (sharedSuffixes.has(suffix)) return undefined;
  const underCountry = top.length === 2 && (second.length <= 2 || countrySecondLabels.has(second));
  const count = underCountry || regionalSuffixes.has(suffix) ? 3 : 2;
  return labels.length < count ? undefined : labels.slice(-count).join(".");
}
