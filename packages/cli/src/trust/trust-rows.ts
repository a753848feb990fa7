/** A trust report as rows: Signet's own table, and the list that `podman image trust show --json` prints. */
import type { CertificateReport } from "../keys/key-report.ts";
import type { KeyTrust, RequirementTrust, ScopeReport, TrustReport } from "./trust-report.ts";

/** The table's columns, in podman's words where it has them. */
export const trustHeadings: readonly string[] = ["TRANSPORT", "NAME", "TYPE", "ID", "KEY", "EXPIRES", "STORE"];

/**
 * The table: a row for each requirement, and below it one for each further key that may sign instead. Requirements of one scope after the first begin with `and`,
 * further keys with `or`.
 */
export function trustRows({ scopes }: TrustReport): readonly (readonly string[])[] {
  return scopes.flatMap((scope) => {
    const rows: (readonly string[])[] = [];
    for (const [index, requirement] of scope.requirements.entries()) {
      const type = `${index === 0 ? "" : "and "}${describeType(requirement)}`;
      const [first, ...others] = keyCells(requirement);
      rows.push([podmanTransport(scope), podmanName(scope, "default"), type, ...first!, scope.store?.url ?? ""]);
      for (const [id, key, expires] of others) rows.push(["", "", "", id, `or ${key}`, expires, ""]);
    }
    return rows;
  });
}

/** ID, KEY and EXPIRES. At least one triple. */
function keyCells({ type, keys, sigstore }: RequirementTrust): readonly (readonly [string, string, string])[] {
  if (type === "sigstoreSigned") return [["N/A", describeSigstore(sigstore), ""]];
  const cells = keys.flatMap((key) => {
    const readable = key.certificates.map((certificate): readonly [string, string, string] => [
      owner(certificate),
      certificate.fingerprint.slice(-16),
      describeExpiry(certificate),
    ]);
    return readable.length > 0 ? readable : [["", key.source, "unreadable"] as const];
  });
  return cells.length > 0 ? cells : [["", type === "signedBy" ? "(no key)" : "", ""]];
}

function describeType({ trust, type }: RequirementTrust): string {
  return trust ?? `${type} (never met)`;
}

function describeSigstore(sigstore: object | undefined): string {
  const { keys, fulcio, pki } = (sigstore ?? {}) as Readonly<Record<string, readonly string[] | undefined>>;
  const sources = keys ?? fulcio ?? pki ?? [];
  const kind = keys === undefined ? (fulcio === undefined ? "pki " : "fulcio ") : "";
  return `${kind}${sources.join(" or ")}`;
}

/** Until when a signature made with it is accepted, or why none is. */
function describeExpiry({ keys }: CertificateReport): string {
  const usable = keys.filter(({ status }) => status === "usable");
  if (usable.length === 0) {
    const [primary] = keys;
    const { status, expires, revocation } = primary!;
    const revokedAt = revocation?.time ?? null;
    if (status === "revoked" && revokedAt !== null) return `revoked ${revokedAt.slice(0, 10)}`;
    if (status === "expired" && expires !== null) return `expired ${expires.slice(0, 10)}`;
    return status === "not-for-signing" ? "cannot sign" : status;
  }
  const ends = usable.flatMap(({ expires }) => (expires === null ? [] : [expires]));
  return ends.length < usable.length ? "never" : ends.toSorted().at(-1)!.slice(0, 10);
}

/** As podman names a key's owner: the address of each user id, the whole user id where it has none. */
function owner({ userIds }: CertificateReport): string {
  return userIds.map((text) => /<([^<>]*)>/.exec(text)?.[1] ?? text).join(", ");
}

/** One entry of podman's list. */
interface PodmanEntry {
  readonly transport: string;
  readonly name?: string;
  readonly repo_name?: string;
  readonly sigstore?: string;
  readonly type: string;
  readonly gpg_id?: string;
}

/** What `podman image trust show --json` prints for the same policy. */
export function podmanEntries({ scopes }: TrustReport): readonly PodmanEntry[] {
  return scopes.flatMap((scope) =>
    scope.requirements.map(({ trust, type, keys }): PodmanEntry => ({
      transport: podmanTransport(scope),
      ...ifAny("name", podmanName(scope, "* (default)")),
      ...ifAny("repo_name", podmanName(scope, "default")),
      ...ifAny("sigstore", scope.store?.url),
      type: trust ?? "",
      ...ifAny("gpg_id", type === "sigstoreSigned" ? "N/A" : keys.flatMap(owners).join(", ")),
    })),
  );
}

function owners({ certificates }: KeyTrust): readonly string[] {
  return certificates.map(owner).filter((text) => text !== "");
}

/** podman leaves empty members out. */
function ifAny<Name extends string>(name: Name, value: string | undefined): { readonly [name in Name]?: string } {
  return value === undefined || value === "" ? {} : ({ [name]: value } as { readonly [name in Name]: string });
}

function podmanTransport({ transport }: ScopeReport): string {
  if (transport === null) return "all";
  return transport === "docker" ? "repository" : transport;
}

function podmanName({ transport, scope }: ScopeReport, fallback: string): string {
  return transport === null ? fallback : (scope ?? "");
}
