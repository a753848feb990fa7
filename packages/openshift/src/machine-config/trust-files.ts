/** What a MachineConfig says about trust, held to the rules of the tools on the node before it gets there: a policy that does not parse keeps a node from pulling anything. */
import {
  FormatError,
  type LintFacts,
  type LintFinding,
  type Policy,
  PolicyError,
  keyFilesOf,
  lintPolicy,
  parsePolicy,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type RegistriesDSection, describeStores, parseRegistriesDFile } from "@signet/images";
import type { MachineConfig } from "./machine-config.ts";
import { type UntrustedNodeFile, nodeFilesOf } from "./node-file.ts";

/** Where the tools of a node look. */
export const POLICY_PATH = "/etc/containers/policy.json";
export const REGISTRIES_D = "/etc/containers/registries.d";

/** Keys that come with the operating system of the nodes. */
const SYSTEM_KEYS = "/etc/pki/rpm-gpg/";

/** Where signatures are looked for that no section speaks of. */
const BUILTIN_FOLDER = "/var/lib/containers/sigstore";

/** What was found in files that all parse. */
export interface TrustFilesCheck {
  /** Of every policy among the files. */
  readonly policies: readonly Policy[];
  /** Lints of severity error or warning, of all policies. */
  readonly findings: readonly LintFinding[];
  /** One line each. */
  readonly warnings: readonly string[];
}

/**
 * Parses every policy.json and registries.d file among the files, as strictly as the tools that read them, and lints the policies with the keys and stores that the files
 * bring.
 *
 * @param now milliseconds since 1970 UTC
 * @param source what the files are from, for messages
 * @throws PolicyError `policy-malformed`, `registries-d-malformed`; FormatError `input-too-large`
 */
export async function checkTrustFiles(
  files: readonly UntrustedNodeFile[],
  now: number,
  source: string,
): Promise<TrustFilesCheck> {
  const policies = files
    .filter(({ path }) => isPolicy(path))
    .map(({ path, content }) => parsePolicy(content, `${source}: ${path}`));
  const warnings: string[] = [];
  const stores = await readStores(files, source, warnings);
  const contentOf = new Map(files.map(({ path, content }) => [path, content]));
  const findings: LintFinding[] = [];
  for (const policy of policies) {
    const keyFiles: LintFacts["keyFiles"] = new Map(
      keyFilesOf(policy).flatMap((path) => {
        const bytes = contentOf.get(path);
        const fact = { outcome: "read", writableBy: undefined, absolutePath: undefined } as const;
        return bytes === undefined ? [] : [[path, { ...fact, bytes }] as const];
      }),
    );
    for (const path of keyFilesOf(policy))
      if (!keyFiles.has(path) && !path.startsWith(SYSTEM_KEYS))
        warnings.push(
          `${policy.source}: key file ${path} does not come with these files; it must be on the nodes already`,
        );
    const facts: LintFacts = { now, engine: nodeEngine, keyFiles, stores, surveys: undefined };
    findings.push(...lintPolicy(policy, facts).filter(({ severity }) => severity !== "info"));
  }
  return { policies, findings, warnings };
}

/** The files of a MachineConfig that was rendered, as nodes will see them. */
export interface RenderedFiles {
  readonly files: readonly UntrustedNodeFile[];
  /** What Butane writes and no node takes, one line each: compressed content that is none, special mode bits. */
  readonly refused: readonly string[];
}

/**
 * Reads back what was rendered.
 * @throws FormatError `machineconfig-malformed` for a file of trust that no node takes, `input-too-large`
 */
export function readRenderedFiles({ spec: { config } }: MachineConfig, source: string): RenderedFiles {
  const refused: string[] = [];
  const list = (config.storage?.files ?? []).filter((file) => {
    try {
      nodeFilesOf({ storage: { files: [file] } }, source);
      return true;
    } catch (error) {
      const isTrust = isPolicy(file.path) || file.path.startsWith(`${REGISTRIES_D}/`);
      if (!(error instanceof FormatError) || error.code !== "machineconfig-malformed" || isTrust) throw error;
      refused.push(`${error.message.replace("storage.files[0] ", "")}; Butane writes it, and no node takes it`);
      return false;
    }
  });
  return { files: nodeFilesOf({ storage: { files: list } }, source), refused };
}

/** The node's own policy, and those of single namespaces and of old podmans. */
function isPolicy(path: string): boolean {
  return (
    path === POLICY_PATH ||
    /^\/etc\/crio\/policies\/[^/]+\.json$/.test(path) ||
    path === "/etc/machine-config-daemon/policy-for-old-podman.json"
  );
}

/** Undefined when no file is about stores: those of the nodes count then. */
async function readStores(
  files: readonly UntrustedNodeFile[],
  source: string,
  warnings: string[],
): Promise<LintFacts["stores"]> {
  const sections = new Map<string, RegistriesDSection>();
  let defaultSection: RegistriesDSection | undefined;
  const configs = files.filter(({ path }) => path.startsWith(`${REGISTRIES_D}/`));
  for (const { path, content } of configs) {
    if (!/^[^/]+\.yaml$/.test(path.slice(REGISTRIES_D.length + 1))) {
      warnings.push(
        `${source}: ${path} is not read by any tool: its name must end in .yaml, right below ${REGISTRIES_D}`,
      );
      continue;
    }
    const file = parseRegistriesDFile(content, `${source}: ${path}`);
    warnings.push(...file.warnings);
    if (file.defaultSection !== undefined && defaultSection !== undefined)
      throw definedTwice("default-docker", defaultSection, file.defaultSection);
    defaultSection ??= file.defaultSection;
    for (const section of file.sections) {
      const namespace = section.namespace ?? "";
      const earlier = sections.get(namespace);
      if (earlier !== undefined) throw definedTwice(`docker namespace ${JSON.stringify(namespace)}`, earlier, section);
      sections.set(namespace, section);
    }
  }
  if (configs.length === 0) return undefined;
  const stores = await describeStores({ sections, defaultSection, builtinFolder: BUILTIN_FOLDER });
  // Nobody knows here what else the nodes have: their own registries.d speaks of Red Hat's registries.
  return { ...stores, builtinFolder: { path: BUILTIN_FOLDER, exists: true } };
}

function definedTwice(what: string, first: RegistriesDSection, second: RegistriesDSection): PolicyError {
  return new PolicyError(
    "registries-d-malformed",
    `${what} is defined in ${first.file}:${first.line} and in ${second.file}:${second.line}`,
    { hint: "keep one of the two; files are merged, they do not override each other", path: what },
  );
}

/**
 * Why the policy of this MachineConfig may not be the one that counts; undefined when it will be.
 *
 * The operator merges the MachineConfigs of a pool in the order of their names, those of the role worker first; of a file that several have, the last one wins. Its own
 * one has a policy.json as soon as the cluster has an image policy or restricts registries, which since 4.21 is always so.
 */
export function explainOverridden(
  name: string,
  role: string,
  files: readonly Pick<UntrustedNodeFile, "path">[],
): string | undefined {
  const generated = `99-${role}-generated-registries`;
  if (!files.some(({ path }) => path === POLICY_PATH) || name > generated) return undefined;
  return `${name} comes before ${generated}, whose policy.json replaces this one where the cluster has image policies or allowed or blocked registries; a name behind it, such as 99-${role}-trust, wins, and must then say what the cluster's own policy says`;
}
