import { StoreError } from "@signet/core";
import type { PoolStatus, RolloutState, UntrustedManifestObject } from "@signet/openshift";
import type { Command, FlagOption, Invocation, ListOption, NumberOption, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { readInput } from "../terminal/input.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";

const name = "machineconfig status";

const kubeconfigOption: TextOption = {
  kind: "text",
  name: "kubeconfig",
  value: "FILE",
  summary: "Ask the cluster of this kubeconfig; only lists of pools and nodes are read",
  completion: "file",
};
const contextOption: TextOption = {
  kind: "text",
  name: "context",
  value: "NAME",
  summary: "The context of the kubeconfig (default: its current one)",
  completion: "nothing",
};
const poolOption: ListOption = {
  kind: "list",
  name: "pool",
  value: "NAME",
  summary: "Only this pool; as often as wanted",
  completion: "nothing",
};
const configOption: ListOption = {
  kind: "list",
  name: "config",
  value: "NAME",
  summary: "A MachineConfig that must be part of the pools' configuration",
  completion: "nothing",
};
const watchOption: FlagOption = {
  kind: "flag",
  name: "watch",
  summary: "Look again until every pool is done, degraded or paused",
};
const intervalOption: NumberOption = {
  kind: "number",
  name: "interval",
  value: "SECONDS",
  minimum: 1,
  maximum: 3600,
  summary: "With --watch: seconds between two looks (default 10)",
};
const timeoutOption: NumberOption = {
  kind: "number",
  name: "timeout",
  value: "SECONDS",
  minimum: 1,
  maximum: 604_800,
  summary: "With --watch: give up after this time (default 7200)",
};

const DEFAULT_INTERVAL_S = 10;
const DEFAULT_TIMEOUT_S = 7200;

/** Looks in a row that may fail while a cluster restarts its own control plane. */
const MAX_FAILED_LOOKS = 30;

export const command: Command = {
  name,
  summary: "Say where the roll-out of MachineConfigs stands, and which node lags why",
  description: [
    "Reads MachineConfigPools, and Nodes beside them, from a file or from a cluster, and says in one sentence for each pool where it stands. Nodes that lag are named with the reason that the machine-config daemon gives.",
    "The exit status is 0 when every pool is done, 1 when one is degraded or paused with a change waiting, and 2 while it cannot be told: the roll-out is under way, or the cluster does not answer.",
    "Of a kubeconfig, tokens and client certificates are used. Programs that it names (exec plugins) are not started, and no proxy is used.",
  ],
  arguments: [
    {
      name: "FILE",
      summary: "Pools and nodes as manifests; - for standard input",
      optional: true,
      completion: "file",
    },
  ],
  options: [
    kubeconfigOption,
    contextOption,
    poolOption,
    configOption,
    watchOption,
    intervalOption,
    timeoutOption,
    outputFormatOption,
  ],
  examples: [
    { line: "oc get mcp,nodes -o yaml | signet machineconfig status -", purpose: "One look" },
    {
      line: "signet machineconfig status --kubeconfig kubeconfig --pool worker --config 99-worker-trust --watch",
      purpose: "Wait until the workers have a new MachineConfig",
    },
  ],
  async run(invocation, runtime) {
    const look = await openLook(invocation);
    try {
      if (!invocation.get(watchOption)) {
        const pools = await assess(await look.read(), invocation);
        print(pools, invocation, runtime.terminal);
        return exitCodeOf(pools);
      }
      return await watch(look, invocation, runtime);
    } finally {
      look.close();
    }
  },
};

/** Where the objects come from. */
interface Look {
  read(): Promise<readonly UntrustedManifestObject[]>;
  close(): void;
}

async function openLook(invocation: Invocation): Promise<Look> {
  const [file] = invocation.arguments;
  const kubeconfig = invocation.get(kubeconfigOption);
  const context = invocation.get(contextOption);
  if ((file === undefined) === (kubeconfig === undefined))
    throw usage("name a file, or a cluster with --kubeconfig", name);
  if (context !== undefined && kubeconfig === undefined) throw usage("--context goes with --kubeconfig", name);
  const isWatching = invocation.get(watchOption);
  if (!isWatching && (invocation.get(intervalOption) ?? invocation.get(timeoutOption)) !== undefined)
    throw usage("--interval and --timeout go with --watch", name);
  if (isWatching && file === "-") throw usage("standard input cannot be watched", name, "use --kubeconfig");
  if (kubeconfig !== undefined) return openCluster(kubeconfig, context);
  const { MAX_MANIFEST_FILE_BYTES, parseManifestObjects } = await import("@signet/openshift");
  return {
    read: async () => {
      const bytes = await readInput(file!, MAX_MANIFEST_FILE_BYTES, "file of manifests");
      return parseManifestObjects(bytes, file === "-" ? "standard input" : file!);
    },
    close: () => {},
  };
}

async function openCluster(kubeconfig: string, context: string | undefined): Promise<Look> {
  const openshift = await import("@signet/openshift");
  const access = await openshift.loadKubeconfig(kubeconfig, context);
  const cluster = openshift.openCluster(access);
  return {
    read: async () => {
      const pools = await cluster.list("/apis/machineconfiguration.openshift.io/v1/machineconfigpools");
      const nodes = await cluster.list("/api/v1/nodes");
      // Items of a list do not say what they are.
      return [
        ...pools.map((value) => openshift.describeObject({ ...value, kind: "MachineConfigPool" })),
        ...nodes.map((value) => openshift.describeObject({ ...value, kind: "Node" })),
      ];
    },
    close: () => cluster.close(),
  };
}

async function assess(
  objects: readonly UntrustedManifestObject[],
  invocation: Invocation,
): Promise<readonly PoolStatus[]> {
  const { assessPools } = await import("@signet/openshift");
  const names = invocation.get(poolOption);
  const all = assessPools(objects, invocation.get(configOption));
  const unknown = names.find((wanted) => !all.some((pool) => pool.name === wanted));
  const problem =
    unknown === undefined ? (all.length === 0 ? "no MachineConfigPool" : undefined) : `no pool ${unknown}`;
  if (problem !== undefined)
    throw new StoreError(
      "pool-missing",
      `${problem} is there${all.length === 0 ? "" : `; there are ${all.map((pool) => pool.name).join(", ")}`}`,
      {
        side: "source",
        hint: "`oc get mcp,nodes -o yaml` prints what is needed",
      },
    );
  return names.length === 0 ? all : all.filter((pool) => names.includes(pool.name));
}

async function watch(look: Look, invocation: Invocation, { terminal, progress, now }: Runtime): Promise<ExitCode> {
  const intervalMs = (invocation.get(intervalOption) ?? DEFAULT_INTERVAL_S) * 1000;
  const endsAt = now() + (invocation.get(timeoutOption) ?? DEFAULT_TIMEOUT_S) * 1000;
  let shown = "";
  let failures = 0;
  for (;;) {
    let pools: readonly PoolStatus[] | undefined;
    try {
      pools = await assess(await look.read(), invocation);
      failures = 0;
    } catch (error) {
      // An API server that restarts is part of many roll-outs.
      failures++;
      const isPassing = error instanceof StoreError && error.retryable && failures <= MAX_FAILED_LOOKS;
      if (!isPassing || now() >= endsAt) throw error;
      progress.step(`${error.message}; trying again`);
    }
    if (pools !== undefined) {
      const isOver = pools.every(({ state }) => state === "done") || pools.some(({ state }) => stuck.includes(state));
      const text = pools.map(({ sentence }) => sentence).join("; ");
      if (isOver || now() >= endsAt) {
        print(pools, invocation, terminal);
        if (!isOver) terminal.note("error: not done in time");
        return exitCodeOf(pools);
      }
      const updated = pools.reduce((sum, { counts }) => sum + counts.updated, 0);
      const machines = pools.reduce((sum, { counts }) => sum + counts.machines, 0);
      if (text !== shown) progress.step(text);
      else progress.count(updated, machines, text);
      shown = text;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(intervalMs, endsAt - now()))));
  }
}

/** States that do not pass by themselves. */
const stuck: readonly RolloutState[] = ["degraded", "paused"];

function exitCodeOf(pools: readonly PoolStatus[]): ExitCode {
  return exitCodeOfMany({
    isRejected: pools.some(({ state }) => stuck.includes(state)),
    isUndetermined: pools.some(({ state }) => state !== "done"),
  });
}

const colours: Readonly<Record<RolloutState, Painted["colour"]>> = {
  done: "green",
  updating: "yellow",
  degraded: "red",
  paused: "red",
  unclear: "yellow",
};

function print(pools: readonly PoolStatus[], invocation: Invocation, terminal: Terminal): void {
  if (invocation.get(outputFormatOption) === "json") {
    terminal.json({ pools });
    return;
  }
  for (const { state, sentence, lagging } of pools) {
    terminal.line({ colour: colours[state], text: state.padEnd(8) }, ` ${sentence}`);
    for (const { name: node, reason } of lagging) terminal.line(`  ${node} ${reason}`);
  }
  const isBlind = pools.some(({ state, lagging }) => state !== "done" && lagging.length === 0);
  if (isBlind && invocation.get(kubeconfigOption) === undefined)
    terminal.note(
      "hint: with the nodes beside the pools (`oc get mcp,nodes -o yaml`) it is said which one lags, and why",
    );
}
