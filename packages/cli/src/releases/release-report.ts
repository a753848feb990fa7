/** A verified release, as JSON for auditors and as text for people. */
import { formatPlatform } from "@signet/core";
import {
  type ComponentCheck,
  type ComponentOutcome,
  type ReleaseEvidence,
  type ReleaseImage,
  type ReleaseSignaturesVerdict,
  describeRedHatKey,
} from "@signet/openshift";
import { plural } from "../terminal/plural.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";
import type { UsedTrust } from "./trust-from-release.ts";

/** What was found where it could not be told whether the release is signed. */
export interface UndeterminedSignatures extends ReleaseEvidence {
  readonly verdict: "undetermined";
}

/** What was found of one release. */
export interface VerifiedRelease {
  /** The image's canonical name, or a digest. */
  readonly image: string;
  /** What it was judged by. */
  readonly used: UsedTrust;
  readonly signatures: ReleaseSignaturesVerdict | UndeterminedSignatures;
  /** Undefined when the images were not looked at. */
  readonly release?: ReleaseImage;
  readonly components?: readonly ComponentCheck[];
}

const outcomes: readonly ComponentOutcome[] = ["equal", "different", "wrong-platform", "absent", "by-tag", "unknown"];

export function reportRelease({ image, used, signatures, release, components }: VerifiedRelease): object {
  return {
    image,
    digest: signatures.digest,
    verdict: verdictOf(signatures, components),
    trust: reportUsedTrust(used),
    signature: {
      verdict: signatures.verdict,
      keyrings: reportKeyrings(signatures),
      stores: signatures.sources.map(({ label, reading, error }) => ({
        store: label,
        found: reading?.signatures.length ?? null,
        attempts: reading?.attempts ?? [],
        warnings: reading?.warnings ?? [],
        error: error === undefined ? null : { code: error.code, message: error.message },
      })),
      signatures: signatures.signatures.map(({ location, keyring, judgement }) => ({
        location,
        keyring,
        ...judgement,
      })),
      reasons: signatures.verdict === "rejected" ? signatures.reasons : [],
    },
    release:
      release === undefined
        ? null
        : {
            name: release.release.name,
            created: release.release.created,
            platform: formatPlatform(release.platform),
            instance: release.instanceDigest,
            images: release.release.components.length,
          },
    components: components ?? null,
    summary: components === undefined ? null : summarise(components),
  };
}

function reportKeyrings({ keyrings }: ReleaseEvidence): readonly object[] {
  return keyrings.map(({ name, signer, location }) => ({
    name,
    satisfied: signer !== undefined,
    location: location ?? null,
    signer: signer ?? null,
  }));
}

/** Where the trust came from; for that of a release also what accepted that release. */
export function reportUsedTrust({ trust, from }: UsedTrust): object {
  if (from === undefined) return { source: trust.source, release: null };
  const { image, signatures, acceptedBy } = from;
  const release = { image, digest: signatures.digest, acceptedBy, keyrings: reportKeyrings(signatures) };
  return { source: trust.source, release };
}

/** The same for people. */
export function describeUsedTrust({ trust, from }: UsedTrust): readonly string[] {
  return [trust.source, ...(from === undefined ? [] : [`which ${from.acceptedBy} accepts`])];
}

function verdictOf(
  { verdict }: Pick<VerifiedRelease["signatures"], "verdict">,
  components: readonly ComponentCheck[] = [],
): string {
  if (verdict !== "accepted") return verdict;
  const bad = components.filter(({ outcome }) => outcome !== "equal");
  if (bad.some(({ outcome }) => outcome !== "unknown")) return "rejected";
  return bad.length === 0 ? "accepted" : "undetermined";
}

function summarise(components: readonly ComponentCheck[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    outcomes.map((outcome) => [outcome, components.filter((check) => check.outcome === outcome).length]),
  );
}

const colours: Readonly<Record<string, Painted["colour"]>> = {
  accepted: "green",
  rejected: "red",
  undetermined: "yellow",
};

/** What people should know of the signature that satisfies a keyring: a key that has expired since, one for previews, weak parts that are let pass. */
export function notesOn({ keyrings, signatures }: ReleaseEvidence, name: string): readonly string[] {
  const { signer, location } = keyrings.find((keyring) => keyring.name === name) ?? {};
  if (signer === undefined) return [];
  const judged = signatures.find(({ keyring, location: place, judgement }) => {
    return keyring === name && place === location && judgement.verdict === "accepted";
  });
  const warnings = (judged?.judgement.checks ?? []).filter(({ outcome }) => outcome === "warning");
  const note = describeRedHatKey(signer.fingerprint);
  return [
    ...(note === undefined ? [] : [note]),
    ...warnings.map(({ message }) => `warning: ${message.replace(/; a switch allows it$/, "")}`),
  ];
}

export function printReleaseReport(verified: VerifiedRelease, terminal: Terminal): void {
  const { image, used, signatures, release, components } = verified;
  const verdict = verdictOf(signatures, components);
  terminal.line({ colour: colours[verdict]!, text: verdict }, `  ${image}`);
  if (!image.endsWith(signatures.digest)) terminal.line(`  digest     ${signatures.digest}`);
  const [trust, ...why] = describeUsedTrust(used);
  terminal.line(`  trust      ${trust}`);
  for (const line of why) terminal.line(`             ${line}`);
  for (const { name, signer, location } of signatures.keyrings) {
    if (signer === undefined) {
      terminal.line(`  keyring    ${name}: no signature`);
      continue;
    }
    const userId = signer.userIds[0] === undefined ? "" : ` (${signer.userIds[0]})`;
    terminal.line(`  keyring    ${name}: signed by ${signer.fingerprint}${userId}`);
    terminal.line(`             for ${signer.dockerReference}, ${signer.signedAt.slice(0, 10)}, ${location ?? ""}`);
    for (const note of notesOn(signatures, name)) terminal.line(`             ${note}`);
  }
  for (const { label, reading, error } of signatures.sources) {
    const failure = error === undefined ? "not waited for" : `could not be asked: ${error.message}`;
    const found = reading === undefined ? failure : plural(reading.signatures.length, "signature");
    terminal.line(`  store      ${label}: ${found}`);
    if (reading !== undefined && error !== undefined) terminal.line(`             not all of it: ${error.message}`);
    for (const warning of reading?.warnings ?? []) terminal.line(`             warning: ${warning}`);
  }
  if (signatures.verdict === "rejected") {
    for (const { message, hint } of signatures.reasons) {
      terminal.line(`  reason     ${message}`);
      if (hint !== undefined) terminal.line(`    hint: ${hint}`);
    }
  }
  if (release !== undefined)
    terminal.line(
      `  release    ${release.release.name}, ${formatPlatform(release.platform)}, ${plural(release.release.components.length, "image")}`,
    );
  for (const check of components ?? []) {
    if (check.outcome === "equal") continue;
    terminal.line(`  ${check.outcome.padEnd(14)} ${check.name}  ${check.pullSpec}`);
    terminal.line(`                 ${check.message}`);
  }
  if (components === undefined) return;
  const counts = Object.entries(summarise(components)).filter(([outcome, count]) => count > 0 || outcome === "equal");
  terminal.line(`  images     ${counts.map(([outcome, count]) => `${count} ${outcome}`).join(", ")}`);
}
