/** An explanation as a tree on the terminal, the fix last. */
import {
  type CertificateAssessment,
  type Check,
  type CheckOutcome,
  type RequirementEvidence,
  type SignatureEvidence,
  type UntrustedClaims,
  firstFailedCheck,
  formatPlatform,
} from "@signet/core";
import type {
  DemandExplanation,
  ExplainedVerdict,
  ImageExplanation,
  KeyExplanation,
  LookupExplanation,
  ManifestExplanation,
  ScopeExplanation,
} from "@signet/images";
import { plural } from "../terminal/plural.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";
import { type Piece, type TreeNode, type TreeStyle, printTree, wrapPieces } from "./tree.ts";

type Colour = Painted["colour"];

const verdictColours: Readonly<Record<ExplainedVerdict | "unknown" | "not-reached", Colour>> = {
  accepted: "green",
  rejected: "red",
  undetermined: "yellow",
  unknown: "dim",
  "not-reached": "dim",
};

const checkMarks: Readonly<Record<CheckOutcome, Painted>> = {
  passed: { colour: "green", text: "ok      " },
  failed: { colour: "red", text: "FAILED  " },
  warning: { colour: "yellow", text: "allowed " },
  skipped: { colour: "dim", text: "skipped " },
  undetermined: { colour: "yellow", text: "unknown " },
};

/** Columns of the names of checks. */
const NAME_WIDTH = 24;

/** Prints the whole story. */
export function printExplanation(explanation: ImageExplanation, terminal: Terminal, style: TreeStyle): void {
  const { image, verdict, fix, error } = explanation;
  terminal.line({ colour: verdictColours[verdict], text: verdict }, "  ", { colour: "bold", text: image });
  printTree(
    [
      scopesNode(explanation),
      ...placesNode(explanation),
      ...manifestsHead(explanation),
      storeNode(explanation),
      ...explanation.demands.map((demand) => demandNode(demand, explanation)),
      ...(error === undefined ? [] : [errorNode("could not tell", error)]),
    ],
    terminal,
    style,
  );
  if (fix === undefined) return;
  const title = fix.command === undefined ? "fix  " : "why  ";
  const [head = [], ...rest] = wrapPieces([{ colour: "bold", text: title }, fix.message], style.width, title.length);
  terminal.line(...head);
  for (const row of rest) terminal.line(" ".repeat(title.length), ...row);
  // Last, and whole: it is there to be copied.
  if (fix.command !== undefined) terminal.line({ colour: "bold", text: "fix  " }, fix.command);
}

/** A short form for a list of test cases: what failed first, and what would help. */
export function shortExplanation(explanation: ImageExplanation): readonly string[] {
  const { scopes, manifests, fix, verdict } = explanation;
  const governing = scopes.find(({ governs }) => governs);
  const lines = [`${verdict} by scope ${governing?.label}: ${governing?.summary}`];
  for (const { examination } of manifests) {
    for (const { signatures, reasons } of examination?.evidence.requirements ?? []) {
      for (const signature of signatures) {
        const failed = firstFailedCheck(signature);
        if (failed === undefined) lines.push(`${signature.location}: accepted`);
        else lines.push(`${signature.location}: ${failed.name}: ${failed.message}`, ...comparison(failed));
      }
      if (signatures.length === 0) lines.push(...reasons.map(({ code, message }) => `${code}: ${message}`));
    }
  }
  if (fix !== undefined) lines.push(fix.message, ...(fix.command === undefined ? [] : [`fix: ${fix.command}`]));
  return lines;
}

function comparison({ expected, found }: Check): readonly string[] {
  return [
    ...(expected === undefined ? [] : [`  expected ${expected}`]),
    ...(found === undefined ? [] : [`  found    ${found}`]),
  ];
}

/** Columns of the names of scopes, so that what they say stands below each other; a longer name is followed at once. */
const MAX_LABEL_WIDTH = 56;

function scopesNode({ policy, scopes }: ImageExplanation): TreeNode {
  const width = Math.max(...scopes.map(({ label }) => label.length).filter((length) => length <= MAX_LABEL_WIDTH), 0);
  return {
    pieces: [{ colour: "bold", text: "policy  " }, policy ?? "made from the command line"],
    children: scopes.map((scope) => scopeNode(scope, width)),
  };
}

function scopeNode(scope: ScopeExplanation, width: number): TreeNode {
  const name = scope.label.padEnd(width);
  const { summary, governs, verdict } = scope;
  if (summary === undefined) return { pieces: [{ colour: "dim", text: `${name}  not in the policy` }] };
  if (governs) {
    return {
      pieces: [
        { colour: "bold", text: name },
        "  ",
        { colour: "green", text: "GOVERNS" },
        `, the first that the policy has: ${summary}`,
      ],
      hang: 2,
    };
  }
  const would: readonly Piece[] =
    verdict === undefined
      ? ["  would say: "]
      : verdict === "unknown"
        ? ["  would ask for signatures: "]
        : [
            "  would have ",
            { colour: verdictColours[verdict], text: verdict === "undetermined" ? "left open" : verdict },
            ": ",
          ];
  return { pieces: [name, ...would, summary], hang: 2 };
}

/** Where registries.conf let the image be looked for. */
function placesNode({ endpoints }: ImageExplanation): readonly TreeNode[] {
  if (endpoints.length === 0) return [];
  return [
    {
      pieces: [{ colour: "bold", text: "places  " }, "by registries.conf, in the order in which they were tried"],
      children: endpoints.map(({ role, reference, outcome, message, code }) => ({
        pieces: [
          { colour: outcome === "served" ? "green" : "yellow", text: outcome.padEnd(8) },
          `${role.padEnd(10)}${reference}`,
          ...(message === undefined ? [] : [`: ${message} [${code}]`]),
        ],
        hang: 2,
      })),
    },
  ];
}

/** What was fetched, and of a list which part of it is judged. */
function manifestsHead({ digest, list, manifests }: ImageExplanation): readonly TreeNode[] {
  if (digest === undefined) return [];
  const title: Piece = { colour: "bold", text: "image  " };
  if (list === undefined) return [{ pieces: [title, digest] }];
  const judged = new Set(manifests.map((one) => one.digest));
  const wanted = formatPlatform(list.wanted);
  const why = list.all
    ? "the list and every instance are judged, as --all asks"
    : `the instance for ${wanted} is judged, as podman and skopeo do; --override-os, --override-arch choose another, --all judges every one`;
  return [
    {
      pieces: [title, `${digest}, a list: ${why}`],
      hang: 2,
      children: list.platforms.map((one) => ({
        pieces: [
          `${one.digest}  ${one.platform === undefined ? "-" : formatPlatform(one.platform)}`,
          ...(judged.has(one.digest) ? [{ colour: "bold", text: "  judged" } as const] : []),
        ],
      })),
    },
  ];
}

function storeNode({ store, manifests, demands }: ImageExplanation): TreeNode {
  const isAsked = demands.some(({ requirement }) => /^(?:signedBy|sigstoreSigned)$/.test(requirement.type));
  const { attachments } = store;
  const isSeveral = manifests.length > 1;
  return {
    pieces: [
      { colour: "bold", text: "signatures  " },
      isAsked ? store.label : `${store.label}, not asked: the scope demands no signature`,
    ],
    children: [
      ...store.why.map((why) => ({ pieces: ["because ", why], hang: 2 })),
      ...(attachments === undefined
        ? []
        : [{ pieces: [`sigstore attachments ${attachments.enabled ? "on" : "off"}: ${attachments.why}`], hang: 2 }]),
      ...manifests.flatMap((manifest) => lookupNodes(manifest, isSeveral)),
    ],
  };
}

function lookupNodes(manifest: ManifestExplanation, isSeveral: boolean): readonly TreeNode[] {
  const { lookup, unjudged, listSignatures, attachments } = manifest;
  const nodes: TreeNode[] = lookup === undefined ? [] : [...attemptNodes(lookup)];
  for (const { location, claims } of unjudged)
    nodes.push({ pieces: [`${location} was found and not judged; `, claimsText(claims)], hang: 2 });
  if (listSignatures !== undefined)
    nodes.push({ pieces: [`of the list itself: ${plural(listSignatures, "signature")}`] });
  if (attachments !== undefined && attachments.count > 0)
    nodes.push({ pieces: [`tag ${attachments.tag}: ${plural(attachments.count, "sigstore signature")} attached`] });
  if (!isSeveral || nodes.length === 0) return nodes;
  return [{ pieces: [`for ${describe(manifest)}`], children: nodes }];
}

function attemptNodes({ attempts, warnings, error, found }: LookupExplanation): readonly TreeNode[] {
  const nodes: TreeNode[] = attempts.map(({ location, outcome, status }) => ({
    pieces: [
      { colour: outcome === "found" ? "green" : outcome === "absent" ? "dim" : "yellow", text: outcome.padEnd(8) },
      ...(status === undefined ? [] : [`HTTP ${status}  `]),
      location,
    ],
    hang: 2,
  }));
  if (attempts.length === 0 && error === undefined) nodes.push({ pieces: [plural(found, "signature")] });
  for (const warning of warnings) nodes.push({ pieces: [{ colour: "yellow", text: "warning " }, warning], hang: 2 });
  if (error !== undefined) nodes.push(errorNode("could not be read", error));
  return nodes;
}

function demandNode(demand: DemandExplanation, { manifests, demands }: ImageExplanation): TreeNode {
  const { index, summary, keys, identity } = demand;
  const title = demands.length === 1 ? "requirement  " : `requirement ${index + 1} of ${demands.length}  `;
  const judged = manifests.flatMap((manifest) => {
    const evidence = manifest.examination?.evidence.requirements[index];
    return evidence === undefined ? [] : [{ manifest, evidence }];
  });
  return {
    pieces: [{ colour: "bold", text: title }, summary],
    hang: 2,
    children: [
      ...keys.map(keyNode),
      ...(identity === undefined
        ? []
        : [{ pieces: [`signatures must be for ${identity.expected} (${identity.rule})`], hang: 2 }]),
      ...judged.map(({ manifest, evidence }) => evidenceNode(manifest, evidence, manifests.length > 1)),
    ],
  };
}

/** Keys of one file that are shown; a whole distribution's keyring would hide everything else. */
const MAX_SHOWN_CERTIFICATES = 12;

function keyNode({ source, certificates, error, warnings }: KeyExplanation): TreeNode {
  return {
    pieces: ["key ", source, ...(error === undefined ? [] : [": ", { colour: "red", text: error.message } as const])],
    hang: 2,
    children: [
      ...certificates.slice(0, MAX_SHOWN_CERTIFICATES).map(certificateNode),
      ...(certificates.length > MAX_SHOWN_CERTIFICATES
        ? [{ pieces: [`and ${certificates.length - MAX_SHOWN_CERTIFICATES} more: see signet keys list`] }]
        : []),
      ...warnings.map((warning) => ({ pieces: [{ colour: "yellow", text: "warning " } as const, warning], hang: 2 })),
      ...(certificates.length === 0 && error === undefined
        ? [{ pieces: [{ colour: "red", text: "no key in it" } as const] }]
        : []),
    ],
  };
}

function certificateNode({ fingerprint, userIds, signingKeys, keys }: CertificateAssessment): TreeNode {
  const [primary] = keys;
  const expiry =
    primary?.expiresAt === undefined ? "" : ` until ${new Date(primary.expiresAt).toISOString().slice(0, 10)}`;
  const status: Painted =
    signingKeys.length > 0
      ? { colour: "green", text: `can sign${expiry}` }
      : { colour: "red", text: primary?.explanation ?? "cannot sign" };
  return { pieces: [`${fingerprint}  ${userIds[0] ?? "(no user id)"}  `, status], hang: 2 };
}

function evidenceNode(manifest: ManifestExplanation, evidence: RequirementEvidence, isSeveral: boolean): TreeNode {
  const { verdict, message, signatures } = evidence;
  return {
    pieces: [
      { colour: verdictColours[verdict], text: verdict },
      isSeveral ? ` for ${describe(manifest)}: ` : ": ",
      message,
    ],
    hang: 2,
    children: signatures.map(signatureNode),
  };
}

function signatureNode(signature: SignatureEvidence): TreeNode {
  const { location, verdict, checks, signer, claims } = signature;
  const first = firstFailedCheck(signature);
  const who = signer === undefined ? claimsText(claims) : `by ${signer.fingerprint} on ${signer.signedAt.slice(0, 10)}`;
  return {
    pieces: [{ colour: verdictColours[verdict], text: verdict }, `  ${shortLocation(location)}, ${who}`],
    hang: 2,
    children: checks.map((check) => checkNode(check, check === first)),
  };
}

function checkNode(check: Check, isFirstFailure: boolean): TreeNode {
  const { name, outcome, message, expected, found, clause } = check;
  const isCompared = outcome !== "passed";
  return {
    pieces: [
      checkMarks[outcome],
      name.padEnd(NAME_WIDTH),
      message,
      ...(clause === undefined ? [] : [{ colour: "dim", text: ` (${clause})` } as const]),
      ...(isFirstFailure ? [{ colour: "red", text: "  <- first failure" } as const] : []),
    ],
    hang: 8,
    children: [
      ...(expected !== undefined && isCompared ? [{ pieces: [`expected  ${expected}`], hang: 2 }] : []),
      ...(found !== undefined && isCompared ? [{ pieces: [`found     ${found}`], hang: 2 }] : []),
      ...(found !== undefined && !isCompared ? [{ pieces: [{ colour: "dim", text: found } as const], hang: 2 }] : []),
    ],
  };
}

/** The file's name alone: its whole place stands above, with the answers of the store. */
function shortLocation(location: string): string {
  return /[^/]*$/.exec(location)?.[0] || location;
}

/** What a signature says of itself, marked as nobody's word but its own. */
function claimsText({ format, dockerReference, keyId }: UntrustedClaims): string {
  if (format === "sigstore-json") return "a sigstore signature";
  if (format === "unrecognized") return "not a signature";
  const claims = [
    ...(keyId === undefined ? [] : [`key ${keyId}`]),
    ...(dockerReference === undefined ? [] : [`for ${dockerReference}`]),
  ];
  return claims.length === 0 ? "claims nothing that can be read" : `claims (unverified): ${claims.join(", ")}`;
}

function describe({ role, digest, platform }: ManifestExplanation): string {
  return `${role}${platform === undefined ? "" : ` ${formatPlatform(platform)}`} ${digest}`;
}

function errorNode(what: string, error: { readonly code: string; readonly message: string }): TreeNode {
  return { pieces: [{ colour: "yellow", text: what }, `: ${error.message} [${error.code}]`], hang: 2 };
}
