/** Where the roll-out of MachineConfigs stands: pools and their nodes, as the operator describes them, in one sentence each. */
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";

/**
 * `done`: all nodes have the pool's configuration. `updating`: on the way. `degraded`: the operator says that something is wrong. `paused`: a new configuration waits, and
 * nothing will happen. `unclear`: the object does not say, or contradicts itself.
 */
export type RolloutState = "done" | "updating" | "degraded" | "paused" | "unclear";

/** One pool. */
export interface PoolStatus {
  readonly name: string;
  readonly state: RolloutState;
  /** For people. May repeat the cluster's own words. */
  readonly sentence: string;
  /** What all nodes are to have; empty when the operator has not rendered any. */
  readonly target: string;
  /** What all nodes had last. */
  readonly current: string;
  readonly counts: PoolCounts;
  /** Nodes that do not have the target yet, or are in trouble. Empty when no nodes were handed in. */
  readonly lagging: readonly LaggingNode[];
}

export interface PoolCounts {
  readonly machines: number;
  readonly updated: number;
  readonly ready: number;
  readonly unavailable: number;
  readonly degraded: number;
}

export interface LaggingNode {
  readonly name: string;
  /** The daemon's word: Done, Working, Degraded, Unreconcilable, …; empty when it says nothing. */
  readonly daemonState: string;
  readonly current: string;
  readonly desired: string;
  /** Why it lags, one clause. */
  readonly reason: string;
}

const ANNOTATION = "machineconfiguration.openshift.io/";

/** Characters of the cluster's words that are repeated. */
const MAX_WORDS = 500;

/**
 * Judges each MachineConfigPool among the objects, in the order of their names, with the help of the Nodes among them.
 * @param wanted names of MachineConfigs that must be in the configuration of every pool that is judged
 */
export function assessPools(
  objects: readonly UntrustedManifestObject[],
  wanted: readonly string[] = [],
): readonly PoolStatus[] {
  const pools = objects
    .filter(({ kind }) => kind === "MachineConfigPool")
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const nodes = objects.filter(({ kind }) => kind === "Node");
  return pools.map((pool) => assessPool(pool, nodesOf(pool, pools, nodes), nodes.length > 0, wanted));
}

function assessPool(
  pool: UntrustedManifestObject,
  nodes: readonly UntrustedManifestObject[],
  knowsNodes: boolean,
  wanted: readonly string[],
): PoolStatus {
  const spec = record(pool.value["spec"]);
  const status = record(pool.value["status"]);
  const target = text(record(spec["configuration"])["name"]);
  const current = text(record(status["configuration"])["name"]);
  const counts: PoolCounts = {
    machines: count(status["machineCount"]),
    updated: count(status["updatedMachineCount"]),
    ready: count(status["readyMachineCount"]),
    unavailable: count(status["unavailableMachineCount"]),
    degraded: count(status["degradedMachineCount"]),
  };
  const lagging = nodes.flatMap((node) => explainLag(node, target, spec));
  const facts = { pool, spec, status, target, current, counts, lagging, knowsNodes, nodes: nodes.length };
  const [state, sentence] = judge(facts, wanted);
  return { name: pool.name, state, sentence: `${pool.name}: ${sentence}`, target, current, counts, lagging };
}

interface Facts {
  readonly pool: UntrustedManifestObject;
  readonly spec: Members;
  readonly status: Members;
  readonly target: string;
  readonly current: string;
  readonly counts: PoolCounts;
  readonly lagging: readonly LaggingNode[];
  readonly knowsNodes: boolean;
  readonly nodes: number;
}

type Members = Readonly<Record<string, unknown>>;

function judge(facts: Facts, wanted: readonly string[]): readonly [RolloutState, string] {
  const { spec, status, target, current, counts, lagging } = facts;
  const conditions = readConditions(status);
  const trouble = findTrouble(conditions, facts);
  if (trouble !== undefined) return ["degraded", trouble];
  const isPaused = spec["paused"] === true;
  const generation = record(facts.pool.value["metadata"])["generation"];
  const observed = status["observedGeneration"];
  if (conditions.size === 0 || target === "")
    return ["unclear", "the operator has not said anything about this pool yet"];
  if (typeof generation === "number" && typeof observed === "number" && observed < generation)
    return isPaused ? paused(facts) : ["updating", "the operator has not seen the latest change of the pool yet"];
  const isPending = target !== current || lagging.length > 0;
  if (isPaused && (isPending || conditions.get("Updated")?.status !== "True")) return paused(facts);
  const missing = wanted.find((name) => !hasSource(record(spec["configuration"]), name));
  if (missing !== undefined)
    return isPaused
      ? [
          "paused",
          `it is paused, and ${missing} is not part of its configuration; nothing will happen until it is resumed`,
        ]
      : ["updating", `${missing} is not part of ${target} yet; the operator has still to render it`];
  const isUpdated = conditions.get("Updated")?.status === "True";
  const isUpdating = conditions.get("Updating")?.status === "True";
  if (isUpdated && isUpdating) return ["unclear", "it says Updated and Updating at the same time"];
  const areCountsEqual =
    counts.updated === counts.machines && counts.ready === counts.machines && counts.unavailable === 0;
  if (isUpdated && !isPending && areCountsEqual) {
    if (counts.machines === 0) return ["done", `it has no nodes; ${target} would be theirs`];
    return ["done", `${counts.machines === 1 ? "the only node has" : `all ${counts.machines} nodes have`} ${target}`];
  }
  const first = lagging[0];
  const others = lagging.length > 1 ? ` (and ${lagging.length - 1} more)` : "";
  const which = first === undefined ? "" : `; ${first.name} ${first.reason}${others}`;
  return ["updating", `${counts.updated} of ${counts.machines} nodes have ${target}${which}`];
}

function paused({ target, current, counts }: Facts): readonly [RolloutState, string] {
  const to = target === current ? "a change" : target;
  return [
    "paused",
    `it is paused; ${to} waits, and ${counts.updated} of ${counts.machines} nodes have it; nothing will happen until it is resumed`,
  ];
}

interface Condition {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

function readConditions(status: Members): ReadonlyMap<string, Condition> {
  const list = status["conditions"];
  const conditions = new Map<string, Condition>();
  for (const item of Array.isArray(list) ? (list as readonly unknown[]) : []) {
    const { type, status: value, reason, message } = record(item);
    conditions.set(text(type), { status: text(value), reason: text(reason), message: text(message) });
  }
  return conditions;
}

/** What explains `Degraded`, the most telling first; then the rest. */
const troubles = [
  "RenderDegraded",
  "NodeDegraded",
  "ImageBuildDegraded",
  "BuildDegraded",
  "PinnedImageSetsDegraded",
  "Degraded",
];

function findTrouble(conditions: ReadonlyMap<string, Condition>, { counts, lagging }: Facts): string | undefined {
  const type = troubles.find((name) => conditions.get(name)?.status === "True");
  const broken = lagging.find(({ daemonState }) => daemonState === "Degraded" || daemonState === "Unreconcilable");
  if (type === undefined && broken === undefined && counts.degraded === 0) return undefined;
  const condition = type === undefined ? undefined : conditions.get(type);
  const words = [condition?.message, condition?.reason].find((part) => part !== undefined && part !== "");
  const said = type === undefined ? "" : `${type}${words === undefined ? "" : `: ${words.slice(0, MAX_WORDS)}`}`;
  const node = broken === undefined ? "" : `${broken.name} ${broken.reason}`;
  const both = [said, node].filter((part) => part !== "").join("; ");
  return `degraded${both === "" ? `: ${counts.degraded} nodes` : ` (${both})`}`;
}

function hasSource(configuration: Members, name: string): boolean {
  const source = configuration["source"];
  return Array.isArray(source) && source.some((item) => record(item)["name"] === name);
}

/** Empty for a node that has the target and is well. */
function explainLag(node: UntrustedManifestObject, target: string, pool: Members): readonly LaggingNode[] {
  const read = (name: string): string => node.annotations[`${ANNOTATION}${name}`] ?? "";
  const current = read("currentConfig");
  const desired = read("desiredConfig");
  const daemonState = read("state");
  const isReady = conditionOf(node, "Ready") === "True";
  const isCordoned = record(node.value["spec"])["unschedulable"] === true;
  if (current === target && desired === target && daemonState === "Done" && isReady) return [];
  const lag = (reason: string): readonly LaggingNode[] => [{ name: node.name, daemonState, current, desired, reason }];
  const said = read("reason").slice(0, MAX_WORDS);
  if (daemonState === "Degraded" || daemonState === "Unreconcilable")
    return lag(`is ${daemonState.toLowerCase()}${said === "" ? "" : `: ${said}`}`);
  if (current === "" && desired === "" && daemonState === "")
    return lag("has no word of the machine-config daemon yet");
  if (desired !== target) {
    const most = pool["maxUnavailable"];
    const limit = typeof most === "number" || typeof most === "string" ? most : 1;
    return lag(`has ${current || "nothing"} and waits for its turn (maxUnavailable ${limit})`);
  }
  if (current !== target) {
    const step = isCordoned ? "is being drained or restarted" : "is being updated";
    return lag(`${step}${isReady ? "" : ", and is not ready"}`);
  }
  if (daemonState !== "Done") return lag(`has ${target}, and its daemon is still ${daemonState || "silent"}`);
  return lag("has the configuration and is not ready");
}

function conditionOf(node: UntrustedManifestObject, type: string): string {
  const list = record(node.value["status"])["conditions"];
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  const found = items.map(record).find((item) => item["type"] === type);
  return text(found?.["status"]);
}

/** Pools that every cluster has; a node of one of them and of another pool belongs to the other one. */
const builtIn: readonly string[] = ["worker", "master"];

function nodesOf(
  pool: UntrustedManifestObject,
  pools: readonly UntrustedManifestObject[],
  nodes: readonly UntrustedManifestObject[],
): readonly UntrustedManifestObject[] {
  return nodes.filter((node) => {
    const fitting = pools.filter((candidate) => isSelected(node, record(candidate.value["spec"])["nodeSelector"]));
    // A master that also takes work stays with the masters, whatever else fits.
    const own =
      fitting.find(({ name }) => name === "master") ??
      fitting.find(({ name }) => !builtIn.includes(name)) ??
      fitting.find(({ name }) => name === "worker");
    return own === pool;
  });
}

/** Label selectors of Kubernetes. An absent one selects nothing. */
function isSelected({ labels }: UntrustedManifestObject, selector: unknown): boolean {
  if (!isRecord(selector)) return false;
  const exact = Object.entries(record(selector["matchLabels"]));
  const expressions = Array.isArray(selector["matchExpressions"]) ? (selector["matchExpressions"] as unknown[]) : [];
  if (exact.length + expressions.length === 0) return false;
  return (
    exact.every(([key, value]) => labels[key] === value) &&
    expressions.every((expression) => {
      const { key, operator, values } = record(expression);
      const value = labels[text(key)];
      const isListed = Array.isArray(values) && values.includes(value);
      if (operator === "In") return value !== undefined && isListed;
      if (operator === "NotIn") return !isListed;
      if (operator === "Exists") return value !== undefined;
      return operator === "DoesNotExist" && value === undefined;
    })
  );
}

function record(value: unknown): Members {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : 0;
}
