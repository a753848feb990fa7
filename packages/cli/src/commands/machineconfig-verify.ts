import type { ActualFiles, NodeCheck, NodeFileCheck, UntrustedNodeFiles } from "@signet/openshift";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodeOfMany, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { unifiedDiff } from "../terminal/unified-diff.ts";
import { readInput } from "../terminal/input.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "machineconfig verify";

const rootOption: TextOption = {
  kind: "text",
  name: "root",
  value: "DIR",
  summary: "The node's files are below this folder: a mounted disk, an unpacked archive, or / itself",
  completion: "directory",
};
const ignitionOption: TextOption = {
  kind: "text",
  name: "ignition",
  value: "FILE",
  summary: "What a node gets: a rendered MachineConfig, or an Ignition document; - for standard input",
  completion: "file",
};
const ocDebugOption: ListOption = {
  kind: "list",
  name: "oc-debug",
  value: "FILE|NODEPATH=FILE",
  summary: "What the script of --script printed on a node, or `cat` of the one file; of several, each by its path",
  completion: "file",
};
/** `/etc/a=FILE`. */
const namedForm = /^(\/[^=]*)=(.+)$/s;

const scriptOption: FlagOption = {
  kind: "flag",
  name: "script",
  summary: "Print a shell script that shows a node's files, for oc debug; it changes nothing",
};
const strictOption: FlagOption = {
  kind: "flag",
  name: "strict",
  summary: "Files that nobody asked for count as failures",
};
const filesDirOption: TextOption = {
  kind: "text",
  name: "files-dir",
  short: "d",
  value: "DIR",
  summary: "Where `local` files and trees of a Butane file are",
  completion: "directory",
};

export const command: Command = {
  name,
  summary: "Hold the files of a node against a MachineConfig",
  description: [
    "Compares every file that the configuration brings with what the node has: its octets, its permission bits, and its owner where the configuration names one. Differences of texts are shown as a diff. Other files in /etc/containers/registries.d and /etc/crio/policies are listed, since the tools read every file there; with --strict they are failures.",
    "The exit status is 1 when something differs, else 2 when a file could not be told, else 0.",
  ],
  arguments: [
    {
      name: "WANTED",
      summary: "A MachineConfig, an Ignition document, or a Butane file (.bu)",
      completion: "file",
    },
  ],
  options: [rootOption, ignitionOption, ocDebugOption, scriptOption, strictOption, filesDirOption, outputFormatOption],
  examples: [
    { line: "signet machineconfig verify --root /mnt/node trust.yaml", purpose: "A node's disk" },
    {
      line: "oc get mc rendered-worker-2b52f75684fbc711bd1652dd86fd0b82 -o yaml | signet machineconfig verify --ignition - trust.yaml",
      purpose: "What a pool was told to get",
    },
    {
      line: "signet machineconfig verify --script trust.yaml > collect.sh",
      purpose: 'For a running node: oc debug node/NAME -- chroot /host sh -c "$(cat collect.sh)" > node.txt',
    },
    { line: "signet machineconfig verify --oc-debug node.txt trust.yaml", purpose: "What it printed" },
    {
      line: "oc debug node/NAME -- chroot /host cat /etc/containers/policy.json | signet machineconfig verify --oc-debug /etc/containers/policy.json=- trust.yaml",
      purpose: "One file, as OpenShift's documentation looks at it; its mode is not known then",
    },
  ],
  async run(invocation, { terminal }) {
    const [file] = invocation.arguments as [string];
    const source = chooseSource(invocation);
    const wanted = await readWanted(file, invocation);
    const { checkNodeFiles, writeNodeScript } = await import("@signet/openshift");
    if (source === undefined) {
      terminal.bytes(new TextEncoder().encode(`${writeNodeScript(wanted.files)}\n`));
      return exitCodes.done;
    }
    const check = checkNodeFiles(wanted.files, await readActual(source, wanted, terminal));
    const found = judge(check, invocation);
    print(check, found, wanted, invocation, terminal);
    return exitCodeOfMany(found);
  },
};

type Source =
  | { readonly kind: "root" | "ignition"; readonly path: string }
  | { readonly kind: "oc-debug"; readonly printouts: readonly string[] };

/** Undefined for the script. */
function chooseSource(invocation: Invocation): Source | undefined {
  const sources = ([rootOption, ignitionOption] as const).flatMap((option): readonly Source[] => {
    const path = invocation.get(option);
    return path === undefined ? [] : [{ kind: option.name as "root" | "ignition", path }];
  });
  const printouts = invocation.get(ocDebugOption);
  const all: readonly Source[] = printouts.length === 0 ? sources : [...sources, { kind: "oc-debug", printouts }];
  if (all.length + Number(invocation.get(scriptOption)) !== 1)
    throw usage(
      "say where the node's files are: one of --root, --ignition and --oc-debug; or ask for the --script",
      name,
    );
  return all[0];
}

/** Bytes of a configuration: a rendered one of a cluster has about 500 KB. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

async function readWanted(file: string, invocation: Invocation): Promise<UntrustedNodeFiles> {
  const { nodeFilesOf, parseNodeFiles } = await import("@signet/openshift");
  const filesDir = invocation.get(filesDirOption);
  if (file.endsWith(".bu")) {
    const { renderFromButane } = await import("../machine-config/rendering.ts");
    const { config } = await renderFromButane(file, filesDir, () => {});
    return { name: config.metadata.name, files: nodeFilesOf(config.spec.config, file) };
  }
  if (filesDir !== undefined) throw usage("--files-dir goes with a Butane file", name);
  const source = file === "-" ? "standard input" : file;
  const wanted = parseNodeFiles(await readInput(file, MAX_CONFIG_BYTES, "MachineConfig"), source);
  // Nothing to compare must not look like success.
  if (wanted.files.length === 0) throw usage(`${source} brings no file`, name);
  return wanted;
}

async function readActual(source: Source, wanted: UntrustedNodeFiles, terminal: Terminal): Promise<ActualFiles> {
  const { actualFilesOf, parseNodeFiles, readNodeTree } = await import("@signet/openshift");
  if (source.kind === "oc-debug") return readPrintouts(source.printouts, wanted, terminal);
  const { kind, path } = source;
  if (kind === "root") return readNodeTree(path, wanted.files);
  const bytes = await readInput(path, MAX_CONFIG_BYTES, "Ignition document");
  return actualFilesOf(parseNodeFiles(bytes, shownName(path)).files);
}

const unknownMode = "only the content is compared: cat does not tell mode and owner (--script does)";

/** The script's output, or files that were printed one by one. */
async function readPrintouts(
  printouts: readonly string[],
  { files }: UntrustedNodeFiles,
  terminal: Terminal,
): Promise<ActualFiles> {
  const { MAX_TRANSCRIPT_BYTES, isNodeTranscript, parseNodePrintout, parseNodeTranscript, printedFiles } =
    await import("@signet/openshift");
  const read = (path: string): Promise<Uint8Array> => readInput(path, MAX_TRANSCRIPT_BYTES, "output of oc debug");
  const [first, ...others] = printouts as [string, ...string[]];
  if (!namedForm.test(first)) {
    if (others.length > 0) throw usage("of several files, --oc-debug names each: NODEPATH=FILE", name);
    const bytes = await read(first);
    const only = files.length === 1 ? files[0] : undefined;
    if (only === undefined || isNodeTranscript(bytes)) return parseNodeTranscript(bytes, files, shownName(first));
    terminal.warn(unknownMode);
    return printedFiles(new Map([[only.path, parseNodePrintout(bytes, only.path, shownName(first))]]));
  }
  const printed = new Map<string, ReturnType<typeof parseNodePrintout>>();
  for (const printout of printouts) {
    const [, path, file] = namedForm.exec(printout) ?? [];
    if (path === undefined || file === undefined)
      throw usage("of several files, --oc-debug names each: NODEPATH=FILE", name);
    if (!files.some((wanted) => wanted.path === path)) throw usage(`no file ${path} is wanted`, name);
    if (printed.has(path)) throw usage(`--oc-debug names ${path} twice`, name);
    printed.set(path, parseNodePrintout(await read(file), path, shownName(file)));
  }
  terminal.warn(unknownMode);
  return printedFiles(printed);
}

function shownName(path: string): string {
  return path === "-" ? "standard input" : path;
}

interface Found {
  readonly isRejected: boolean;
  readonly isUndetermined: boolean;
}

function judge({ files, extra }: NodeCheck, invocation: Invocation): Found {
  const isWrong = files.some(({ outcome }) => outcome !== "same" && outcome !== "unknown");
  return {
    isRejected: isWrong || (invocation.get(strictOption) && extra.length > 0),
    isUndetermined: files.some(({ outcome }) => outcome === "unknown"),
  };
}

function print(
  { files, extra }: NodeCheck,
  { isRejected, isUndetermined }: Found,
  wanted: UntrustedNodeFiles,
  invocation: Invocation,
  terminal: Terminal,
): void {
  const same = files.filter(({ outcome }) => outcome === "same").length;
  const isStrict = invocation.get(strictOption);
  if (invocation.get(outputFormatOption) === "json") {
    terminal.json({
      wanted: wanted.name,
      verdict: isRejected ? "rejected" : isUndetermined ? "undetermined" : "accepted",
      files: files.map((file) => {
        const diff = diffOf(file);
        return {
          path: file.path,
          outcome: file.outcome,
          problems: file.problems,
          ...(diff.length === 0 ? {} : { diff }),
        };
      }),
      extra,
      summary: { files: files.length, same, extra: extra.length },
    });
    return;
  }
  for (const file of files) {
    const colour = file.outcome === "same" ? "green" : file.outcome === "unknown" ? "yellow" : "red";
    terminal.line({ colour, text: file.outcome.padEnd(9) }, ` ${file.path}`);
    for (const problem of file.problems) terminal.line(`  ${problem}`);
    for (const line of diffOf(file)) terminal.line(`  ${shorten(line)}`);
  }
  for (const path of extra) terminal.line({ colour: isStrict ? "red" : "yellow", text: "extra".padEnd(9) }, ` ${path}`);
  terminal.line(
    `${wanted.name}: ${same} of ${files.length} files as wanted${extra.length === 0 ? "" : `, ${extra.length} extra`}`,
  );
}

/** Lines of a diff that are shown. */
const MAX_DIFF_LINES = 200;

/** Characters of one of them that people see; an embedded key has some thousands. */
const MAX_SHOWN_CHARACTERS = 200;

function shorten(line: string): string {
  const left = line.length - MAX_SHOWN_CHARACTERS;
  return left <= 0 ? line : `${line.slice(0, MAX_SHOWN_CHARACTERS)}… (${left} more characters)`;
}

/** None where one of the two is no text. */
function diffOf({ path, outcome, wanted, actual }: NodeFileCheck): readonly string[] {
  if (outcome !== "different" || actual === undefined) return [];
  const before = textOf(wanted);
  const after = textOf(actual);
  if (before === undefined || after === undefined) return [];
  const lines = unifiedDiff(before, after, `wanted${path}`, `node${path}`);
  return lines.length <= MAX_DIFF_LINES ? lines : [...lines.slice(0, MAX_DIFF_LINES), "… the rest is left out"];
}

function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
