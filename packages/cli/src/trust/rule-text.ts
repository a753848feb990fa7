/** What the requirements of a scope say, for people: from the document's own text, so that rules which strict readers refuse can be told as well. */
import type { JsonNode } from "@signet/core";

/** How much a rule asks for. Rules of one rank may still ask for different keys. */
export const ranks = { accept: 0, signed: 1, reject: 2 } as const;

export type Rank = (typeof ranks)[keyof typeof ranks];

/** The strictest of the requirements, which all have to be met. What is not known can only refuse. */
export function rankOf(requirements: JsonNode | undefined): Rank {
  const types = itemsOf(requirements).map(typeOf);
  if (types.length === 0 || types.some((type) => !knownTypes.has(type))) return ranks.reject;
  if (types.includes("reject")) return ranks.reject;
  return types.every((type) => type === "insecureAcceptAnything") ? ranks.accept : ranks.signed;
}

const knownTypes: ReadonlySet<string> = new Set(["insecureAcceptAnything", "reject", "signedBy", "sigstoreSigned"]);

/** `accepted without a signature`, `rejected`, `accepted when signed by a key of /etc/pki/key.gpg`. */
export function describeRule(requirements: JsonNode | undefined): string {
  const rank = rankOf(requirements);
  if (rank === ranks.reject) return "rejected";
  if (rank === ranks.accept) return "accepted without a signature";
  const signed = itemsOf(requirements).filter((item) => typeOf(item) !== "insecureAcceptAnything");
  return `accepted when signed by ${signed.map(describeSigned).join(" and by ")}`;
}

function describeSigned(item: JsonNode): string {
  const sigstore = typeOf(item) === "sigstoreSigned" ? " (sigstore)" : "";
  const identity = memberOf(item, "signedIdentity");
  const rule = identity === undefined ? "" : `, identity ${describeIdentity(identity)}`;
  return `${describeKeys(item)}${sigstore}${rule}`;
}

function describeKeys(item: JsonNode): string {
  const path = textOf(memberOf(item, "keyPath"));
  if (path !== undefined) return `a key of ${path}`;
  const paths = itemsOf(memberOf(item, "keyPaths")).flatMap((node) => textOf(node) ?? []);
  if (paths.length > 0) return paths.length === 1 ? `a key of ${paths[0]}` : `any key of ${paths.join(", ")}`;
  if (memberOf(item, "keyData") !== undefined) return "a key inside the policy";
  if (memberOf(item, "keyDatas") !== undefined) return "any key inside the policy";
  if (memberOf(item, "fulcio") !== undefined) return "a certificate of Fulcio";
  return "a certificate";
}

function describeIdentity(identity: JsonNode): string {
  const details = ["dockerReference", "dockerRepository", "prefix", "signedPrefix"].flatMap(
    (key) => textOf(memberOf(identity, key)) ?? [],
  );
  return [typeOf(identity), details.join(" → ")].filter((part) => part !== "").join(" ");
}

function itemsOf(node: JsonNode | undefined): readonly JsonNode[] {
  return node?.kind === "array" ? node.items : [];
}

function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return node.kind === "object" ? node.members.find((member) => member.key === key)?.value : undefined;
}

function textOf(node: JsonNode | undefined): string | undefined {
  return node?.kind === "string" ? node.value : undefined;
}

function typeOf(node: JsonNode): string {
  return textOf(memberOf(node, "type")) ?? "";
}
