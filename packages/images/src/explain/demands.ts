import {
  type Certificate,
  type OpenPgpSwitches,
  type ParsedKeyring,
  type Reference,
  type Requirements,
  SignetError,
  type SignedByRequirement,
  assessCertificate,
  makeKeyring,
  matchSignedIdentity,
  parseKeyring,
  revokeCertificates,
  summarizeIdentity,
  summarizeRequirement,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { DemandExplanation, KeyExplanation } from "./explanation.ts";

interface KeyReading {
  readonly readKeyFile: (path: string) => Uint8Array;
  readonly now: number;
  readonly switches?: OpenPgpSwitches;
}

/** What the requirements of a scope ask for. Keys that cannot be read are said, not thrown. */
export function explainDemands(
  requirements: Requirements,
  reference: Reference | undefined,
  reading: KeyReading,
): readonly DemandExplanation[] {
  return requirements.map((requirement, index) => {
    const common = { index, requirement, summary: summarizeRequirement(requirement) };
    if (requirement.type !== "signedBy") return { ...common, keys: [] };
    const { signedIdentity } = requirement;
    const { expected } = matchSignedIdentity(signedIdentity, reference, "");
    return {
      ...common,
      keys: explainKeys(requirement, reading),
      identity: { rule: summarizeIdentity(signedIdentity), expected },
    };
  });
}

interface Source {
  readonly source: string;
  readonly read?: ParsedKeyring;
  readonly error?: SignetError;
}

function explainKeys({ keys }: SignedByRequirement, reading: KeyReading): readonly KeyExplanation[] {
  const sources =
    keys.kind === "files"
      ? keys.paths.map((path) => readSource(path, () => reading.readKeyFile(path)))
      : keys.blobs.map((blob) => readSource("keyData", () => blob));
  // A revocation may stand in another file than its key.
  const revocations = sources.flatMap(({ read }) => read?.strayRevocations ?? []);
  return sources.map(({ source, read, error }) => {
    const certificates: readonly Certificate[] =
      read === undefined
        ? []
        : makeKeyring(revokeCertificates(read.certificates, revocations, nodeEngine)).certificates;
    return {
      source,
      certificates: certificates.map((one) => assessCertificate(one, reading.now, reading.switches)),
      ...(error === undefined ? {} : { error }),
      warnings: read?.warnings ?? [],
    };
  });
}

function readSource(source: string, read: () => Uint8Array): Source {
  try {
    return { source, read: parseKeyring(read(), nodeEngine) };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return { source, error };
  }
}
