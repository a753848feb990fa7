import { type Policy, UndeterminedError } from "@signet/core";
import type { CatalogAuditOptions } from "@signet/openshift";
import type { Command, FlagOption, Invocation, PairOption, TextOption } from "../command-line/command.ts";
import {
  jobsOption,
  outputFormatOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  policyOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import type { AuditReport } from "../catalogs/audit-report.ts";
import type { ImageAccess } from "../images/image-access.ts";
import type { Runtime } from "../runtime.ts";

const name = "catalog audit";

const checkOption: FlagOption = {
  kind: "flag",
  name: "check",
  summary: "Judge every image by the policy, with its signatures",
};
const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "With --check: of a list judge every instance and the list itself",
};
const mirrorOption: TextOption = {
  kind: "text",
  name: "mirror",
  value: "HOST/PATH",
  summary: "Look whether every image is there by its digest, below this path and its own without its registry",
  completion: "nothing",
};
const reportOption: PairOption = {
  kind: "pair",
  name: "report",
  value: "html|json|csv|sarif FILE",
  choices: ["html", "json", "csv", "sarif"],
  summary: "Also write the audit to a file in this form; may be given several times",
};

export const command: Command = {
  name,
  summary: "Audit the images of an OLM catalog or bundle: tags, policy, signatures, mirror",
  description: [
    "Lists every image that a catalog, a bundle or a ClusterServiceVersion names, and tells of each whether it is named by digest, which scope of the policy governs it and whether that demands a signature; with --check whether it is signed and accepted, with --mirror whether the mirror has it. Each digest is looked at once, and the verdict is told by package and channel.",
    "FILE or FOLDER is a file-based catalog (JSON or YAML, as opm has it) of any size, the manifests of a bundle, or a ClusterServiceVersion; - stands for standard input. An image is a catalog or bundle by its labels.",
    "The exit status is 1 when there is a finding of severity error, else 2 when something could not be told, else 0. A catalog that cannot be read is 2.",
  ],
  arguments: [
    {
      name: "FILE|FOLDER|IMAGE",
      summary: "Files, or docker://…, dir:…, oci:…, oci-archive:…; a bare name that is no file means docker://",
      completion: "file",
    },
  ],
  options: [
    checkOption,
    allOption,
    mirrorOption,
    reportOption,
    policyOption,
    outputFormatOption,
    jobsOption,
    registriesDOption,
    registriesConfOption,
    overrideOsOption,
    overrideArchOption,
    overrideVariantOption,
    ...registryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
  ],
  examples: [
    {
      line: "signet catalog audit --policy policy.json configs/my-operator",
      purpose: "What the policy would make of a catalog's images, without a network",
    },
    {
      line: "signet catalog audit --check --mirror mirror.example.com:5000/olm registry.redhat.io/redhat/redhat-operator-index:v4.17 --report html audit.html",
      purpose: "A catalog image before it is used: every signature, and what the mirror lacks",
    },
    {
      line: "opm render registry.example.com/operators/index:1 | signet catalog audit --report sarif audit.sarif -",
      purpose: "What another tool rendered, for a code host",
    },
  ],
  async run(invocation, runtime) {
    const [argument] = invocation.arguments as [string];
    await using access = lazyAccess(invocation, runtime);
    const { readPlatform } = await import("../images/platform-options.ts");
    const { readCatalog } = await import("../catalogs/catalog-source.ts");
    const policy = await readPolicy(invocation);
    runtime.progress.step(`Reading ${argument}`);
    const read = await readCatalog(
      argument,
      readPlatform(invocation),
      () => access.get(),
      (text) => runtime.terminal.warn(text),
    );
    const { auditCatalog } = await import("@signet/openshift");
    const audit = await auditCatalog(read.catalog, {
      ...(await auditOptions(policy, access, invocation, runtime)),
      ...(read.reference === undefined ? {} : { source: read.reference }),
    });
    const { reportAudit } = await import("../catalogs/audit-report.ts");
    const report = reportAudit(read.source, audit);
    await writeReports(report, invocation, runtime);
    runtime.progress.clear();
    if (invocation.get(outputFormatOption) === "json") runtime.terminal.json(report);
    else {
      const { printAudit } = await import("../catalogs/audit-text.ts");
      printAudit(report, runtime.terminal);
    }
    if (audit.verdict === "findings") return exitCodes.rejected;
    if (audit.verdict === "clean") return exitCodes.done;
    const first = audit.findings.find(({ rule }) => rule === "image-undetermined" || rule === "mirror-undetermined");
    throw new UndeterminedError(
      "catalog-undetermined",
      `not everything could be told about the catalog's images: ${first?.message ?? ""}`,
    );
  },
};

/** Registries are asked, and the code for it loaded, only when something needs them. */
interface LazyAccess extends AsyncDisposable {
  get(): Promise<ImageAccess>;
}

function lazyAccess(invocation: Invocation, runtime: Runtime): LazyAccess {
  let access: Promise<ImageAccess> | undefined;
  return {
    get: () => {
      access ??= import("../images/image-access.ts").then(({ openImageAccess }) =>
        openImageAccess(invocation, registryOptions, runtime),
      );
      return access;
    },
    [Symbol.asyncDispose]: async () => (await access)?.[Symbol.asyncDispose](),
  };
}

/** The policy that was named, or with --check that of this machine. */
async function readPolicy(invocation: Invocation): Promise<Policy | undefined> {
  const path = invocation.get(policyOption);
  if (path === undefined && !invocation.get(checkOption)) return undefined;
  const { currentHost, loadPolicy } = await import("@signet/images");
  return (await loadPolicy({ host: currentHost(), ...(path === undefined ? {} : { path }) })).policy;
}

async function auditOptions(
  policy: Policy | undefined,
  access: LazyAccess,
  invocation: Invocation,
  runtime: Runtime,
): Promise<CatalogAuditOptions> {
  const jobs = invocation.get(jobsOption);
  const mirror = invocation.get(mirrorOption);
  const { progress } = runtime;
  const { readPlatform } = await import("../images/platform-options.ts");
  const { openImageSource, parseImageName } = await import("@signet/images");
  return {
    ...(jobs === undefined ? {} : { jobs }),
    ...(policy === undefined ? {} : { policy }),
    ...(policy === undefined || !invocation.get(checkOption)
      ? {}
      : {
          check: {
            policy,
            now: runtime.now(),
            switches: readSwitches(invocation),
            platform: readPlatform(invocation),
            all: invocation.get(allOption),
            open: (await access.get()).open,
            ...(jobs === undefined ? {} : { jobs }),
          },
          onChecked: (done, total) => progress.count(done, total, "images judged"),
        }),
    ...(mirror === undefined
      ? {}
      : {
          mirror: {
            repository: mirror,
            open: async (image) => openImageSource(await parseImageName(image), (await access.get()).open),
          },
          onMirrored: (done, total) => progress.count(done, total, "images looked for in the mirror"),
        }),
  };
}

async function writeReports(report: AuditReport, invocation: Invocation, { now, terminal }: Runtime): Promise<void> {
  const reports = invocation.get(reportOption);
  if (reports.length === 0) return;
  const { writeFileAtomic } = await import("@signet/images");
  for (const [form, file] of reports) {
    await writeFileAtomic(file, new TextEncoder().encode(await writeReport(form, report, now())));
    terminal.note(`wrote ${file}`);
  }
}

async function writeReport(form: string, report: AuditReport, now: number): Promise<string> {
  if (form === "html") return (await import("../catalogs/audit-html.ts")).writeAuditHtml(report, now);
  if (form === "csv") return (await import("../catalogs/audit-csv.ts")).writeAuditCsv(report);
  const document = form === "json" ? report : (await import("../catalogs/audit-sarif.ts")).writeAuditSarif(report);
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
