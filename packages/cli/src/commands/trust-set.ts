import { isWithinScope, type NewRule, writeRequirements } from "@signet/core";
import type { StoreChange, TrustFiles } from "@signet/images";
import type { Command, Invocation } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { labelOf, surprisesOfScope } from "../trust/edit-effects.ts";
import { printEdit } from "../trust/edit-report.ts";
import { editTrust } from "../trust/edit-trust.ts";
import { type ChosenRule, forceOption, readRule, ruleOptions } from "../trust/rule-options.ts";
import { type ChosenRemaps, readRemaps, remapFromOption, remapRule } from "../trust/remap-option.ts";
import { describeRule } from "../trust/rule-text.ts";
import { readTarget, scopeArgument, type TrustTarget } from "../trust/scope-argument.ts";
import { setDefault } from "../trust/set-default.ts";
import { readAttachments } from "../trust/store-notes.ts";
import { type ChosenStore, readStore, storeOptions } from "../trust/store-options.ts";
import { fileOptions, readTrustFiles, scopeOptions } from "../trust/trust-options.ts";

const name = "trust set";

type ScopeTarget = Extract<TrustTarget, { kind: "scope" }>;

export const command: Command = {
  name,
  summary: "Say what images of a registry, repository or tag must be signed by",
  description: [
    "Writes a rule for a scope into policy.json, and with --lookaside, --staging or --attachments the place of the signatures into registries.d. All else in both files stays as it is; the old content is kept beside each as .bak. The rule of a scope replaces the one it had.",
    "Key files are read and checked first, and named in the policy by their absolute paths. Of several scopes the most specific one alone counts for an image. SCOPE default sets what holds for images that no scope names.",
  ],
  arguments: [scopeArgument],
  options: [...ruleOptions, remapFromOption, ...scopeOptions, ...storeOptions, ...fileOptions],
  examples: [
    {
      line: "signet trust set registry.example.com -f /etc/pki/rpm-gpg/RPM-GPG-KEY-example --lookaside https://registry.example.com/sigstore",
      purpose: "Accept what the vendor signed, with its signatures read from a web server",
    },
    { line: "signet trust set registry.example.com/test -t reject", purpose: "Run nothing of a repository" },
    {
      line: "signet trust set mirror.example.com/team -f team.asc --identity remap=mirror.example.com/team=registry.example.com/team",
      purpose: "A mirror whose signatures are for the registry it was filled from",
    },
    {
      line: "signet trust set registry.example.com/team -f team.asc --remap-from /etc/containers/registries.conf",
      purpose: "The same for every mirror of a repository, by the configuration that names them",
    },
    {
      line: "signet trust set registry.example.com/app -t sigstoreSigned -f cosign.pub --identity repo --attachments",
      purpose: "Images signed by cosign with a key",
    },
  ],
  async run(invocation, runtime) {
    const target = readTarget(invocation, name, { mustMatch: true, force: invocation.get(forceOption) });
    const store = readStore(invocation, name);
    if (target.kind === "scope") requireStoreFits(store.change, target);
    const files = await readTrustFiles(invocation, name);
    const chosen = await readRule(invocation, { command: name, root: files.host.root, now: runtime.now() });
    const remaps = await readRemaps(invocation, target, chosen.rule, name);
    if (target.kind === "default") {
      const sayings = { warnings: [...chosen.warnings, ...store.warnings], notes: chosen.notes };
      return setDefault(chosen.rule, store.change, files, invocation, runtime, sayings);
    }
    return setScope(target, chosen, remaps, store, files, invocation, runtime);
  },
};

async function setScope(
  { transport, scope }: ScopeTarget,
  chosen: ChosenRule,
  remaps: ChosenRemaps | undefined,
  store: ChosenStore,
  files: TrustFiles,
  invocation: Invocation,
  runtime: Runtime,
): Promise<ExitCode> {
  const [own, ...mirrors] = remaps?.rules ?? [{ scope, remap: undefined, explanation: "" }];
  const requirements = writeRequirements(remapRule(chosen.rule, own!));
  const others = mirrors.map((mirror) => ({
    scope: mirror.scope,
    requirements: writeRequirements(remapRule(chosen.rule, mirror)),
  }));
  const change = { kind: "set", transport, scope, requirements, others } as const;
  const withStore = store.change === undefined ? change : { ...change, store: store.change };
  const { edit, before, after, isDryRun } = await editTrust(withStore, files, invocation, runtime);
  const rule = describeRule(after.transports.get(transport)?.get(scope));
  await printEdit(
    edit,
    {
      target: { transport, scope },
      outcome: `${labelOf(transport, scope)}: ${rule}`,
      warnings: [
        ...chosen.warnings,
        ...(remaps?.warnings ?? []),
        ...store.warnings,
        ...explainUnmeetable(chosen.rule, transport, scope),
        ...[scope, ...others.map((other) => other.scope)].flatMap((one) =>
          surprisesOfScope(before, after, transport, one),
        ),
      ],
      notes: [
        ...chosen.keys.map((key) => `key ${key}`),
        ...chosen.notes,
        ...describeRemaps(remaps),
        ...explainHubName(transport, scope),
        ...(chosen.rule.type === "sigstoreSigned" && transport === "docker"
          ? await readAttachments(scope, store.change, files)
          : []),
      ],
      isDryRun,
      isJson: invocation.get(outputFormatOption) === "json",
      more: remaps === undefined ? { rule } : { rule, remaps: remaps.rules },
    },
    runtime.terminal,
  );
  return exitCodes.done;
}

/** One line a scope, and where the signatures are. */
function describeRemaps(remaps: ChosenRemaps | undefined): readonly string[] {
  if (remaps === undefined) return [];
  const lines = remaps.rules.flatMap(({ scope, remap, explanation }) =>
    remap === undefined
      ? []
      : [
          `${labelOf("docker", scope)}: signatures for ${remap.signedPrefix} count below ${remap.prefix} (${explanation})`,
        ],
  );
  return [
    ...lines,
    "signatures are read from the store of the place that serves an image: mirrors need their own section in registries.d",
  ];
}

function requireStoreFits(store: StoreChange | undefined, { transport, scope }: ScopeTarget): void {
  if (store === undefined) return;
  if (transport !== "docker") {
    throw usage(
      `the signatures of ${transport} images have no store in registries.d`,
      name,
      "it is for transport docker alone",
    );
  }
  if (scope === "") {
    throw usage("registries.d has no section for a whole transport", name, "its default is set with SCOPE default");
  }
}

/** On Docker Hub a name of one part is an image below `library`; as a scope it is the namespace of that name. */
function explainHubName(transport: string, scope: string): readonly string[] {
  const image = /^docker\.io\/([^/:@]+)$/.exec(scope)?.[1];
  if (transport !== "docker" || image === undefined || image === "library") return [];
  return [`${scope} is everything below ${scope}/; the image ${image} is docker.io/library/${image}`];
}

/** Transports whose images have no name that a signature could be for. */
const namelessTransports: ReadonlySet<string> = new Set(["dir", "oci", "oci-archive", "sif", "tarball"]);

/** Rules that parse, and that no image meets. */
function explainUnmeetable(rule: NewRule, transport: string, scope: string): readonly string[] {
  if (rule.type !== "signedBy" && rule.type !== "sigstoreSigned") return [];
  const identity = rule.identity?.type ?? "matchRepoDigestOrExact";
  if (namelessTransports.has(transport) && identity !== "exactReference" && identity !== "exactRepository") {
    const hint = "--identity repository=host/path or reference=host/path:tag says which name it must be for";
    return [`${transport} images have no name, so that no signature can be for theirs and all are rejected: ${hint}`];
  }
  if (rule.identity?.type !== "remapIdentity" || transport !== "docker") return [];
  const { prefix } = rule.identity;
  const fits = prefix === scope || isWithinScope(transport, scope, prefix) || isWithinScope(transport, prefix, scope);
  return fits ? [] : [`the prefix ${prefix} covers no image of ${scope}, so that nothing is remapped there`];
}
