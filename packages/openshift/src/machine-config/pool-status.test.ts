import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type UntrustedManifestObject, describeObject } from "../kubernetes/manifests.ts";
import { type PoolStatus, assessPools } from "./pool-status.ts";

const NEW = "rendered-worker-f6819366eb455a401c42f8d96ab25c02";
const OLD = "rendered-worker-d9b3f4ffcfd65c30dcf591a0e8cf9b2e";

interface PoolFacts {
  readonly name?: string;
  readonly conditions?: Readonly<Record<string, string>>;
  readonly words?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly current?: string;
  readonly counts?: readonly [machines: number, updated: number, ready: number, unavailable: number, degraded: number];
  readonly paused?: boolean;
  readonly generation?: number;
  readonly observed?: number;
  readonly sources?: readonly string[];
  readonly selector?: object;
  readonly maxUnavailable?: string;
}

const healthy = {
  Updated: "True",
  Updating: "False",
  Degraded: "False",
  NodeDegraded: "False",
  RenderDegraded: "False",
};
const moving = { ...healthy, Updated: "False", Updating: "True" };

function pool(facts: PoolFacts = {}): UntrustedManifestObject {
  const {
    name = "worker",
    conditions = healthy,
    words = {},
    target = NEW,
    current = NEW,
    counts = [3, 3, 3, 0, 0],
  } = facts;
  const [machineCount, updatedMachineCount, readyMachineCount, unavailableMachineCount, degradedMachineCount] = counts;
  return describeObject({
    apiVersion: "machineconfiguration.openshift.io/v1",
    kind: "MachineConfigPool",
    metadata: { name, generation: facts.generation ?? 3 },
    spec: {
      configuration: { name: target, source: (facts.sources ?? []).map((source) => ({ name: source })) },
      nodeSelector: facts.selector ?? { matchLabels: { [`node-role.kubernetes.io/${name}`]: "" } },
      paused: facts.paused ?? false,
      ...(facts.maxUnavailable === undefined ? {} : { maxUnavailable: facts.maxUnavailable }),
    },
    status: {
      observedGeneration: facts.observed ?? 3,
      configuration: { name: current },
      conditions: Object.entries(conditions).map(([type, status]) => ({
        type,
        status,
        message: words[type] ?? "",
        reason: "",
      })),
      ...{ machineCount, updatedMachineCount, readyMachineCount, unavailableMachineCount, degradedMachineCount },
    },
  });
}

interface NodeFacts {
  readonly current?: string;
  readonly desired?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly ready?: string;
  readonly cordoned?: boolean;
  readonly roles?: readonly string[];
}

function node(name: string, facts: NodeFacts = {}): UntrustedManifestObject {
  const {
    current = NEW,
    desired = NEW,
    state = "Done",
    reason = "",
    ready = "True",
    cordoned = false,
    roles = ["worker"],
  } = facts;
  const annotation = (key: string, value: string): object =>
    value === "" ? {} : { [`machineconfiguration.openshift.io/${key}`]: value };
  return describeObject({
    kind: "Node",
    metadata: {
      name,
      labels: Object.fromEntries(roles.map((role) => [`node-role.kubernetes.io/${role}`, ""])),
      annotations: {
        ...annotation("currentConfig", current),
        ...annotation("desiredConfig", desired),
        ...annotation("state", state),
        ...annotation("reason", reason),
      },
    },
    spec: cordoned ? { unschedulable: true } : {},
    status: { conditions: [{ type: "Ready", status: ready }] },
  });
}

function assess(objects: readonly UntrustedManifestObject[], wanted: readonly string[] = []): PoolStatus {
  const [first, ...others] = assessPools(objects, wanted);
  assert.ok(first !== undefined && others.length === 0);
  return first;
}

describe("the state of a pool", () => {
  const cases: readonly (readonly [string, PoolFacts, PoolStatus["state"], RegExp])[] = [
    ["updated", {}, "done", /^worker: all 3 nodes have rendered-worker-f6819/],
    [
      "updating",
      { conditions: moving, current: OLD, counts: [3, 1, 1, 1, 0] },
      "updating",
      /^worker: 1 of 3 nodes have rendered-worker-f6819/,
    ],
    ["said to be updated while counts differ", { counts: [3, 2, 3, 0, 0] }, "updating", /2 of 3 nodes/],
    ["said to be updated while a node is away", { counts: [3, 3, 3, 1, 0] }, "updating", /3 of 3 nodes/],
    ["said to be updated with another configuration", { current: OLD }, "updating", /3 of 3/],
    ["said to be updated while a node is not ready", { counts: [3, 3, 2, 0, 0] }, "updating", /3 of 3 nodes/],
    ["updated and updating at once", { conditions: { ...healthy, Updating: "True" } }, "unclear", /at the same time/],
    ["not seen by the operator yet", { generation: 4 }, "updating", /not seen the latest change/],
    ["without conditions", { conditions: {} }, "unclear", /not said anything/],
    ["without configuration", { target: "" }, "unclear", /not said anything/],
    ["paused and done", { paused: true }, "done", /all 3 nodes/],
    [
      "paused with a configuration waiting",
      { paused: true, current: OLD, conditions: { ...healthy, Updated: "False" }, counts: [3, 0, 3, 0, 0] },
      "paused",
      /paused; rendered-worker-f6819\S* waits, and 0 of 3 nodes have it; nothing will happen/,
    ],
    ["paused before the operator looked", { paused: true, generation: 4 }, "paused", /paused; a change waits/],
    ["without nodes", { counts: [0, 0, 0, 0, 0] }, "done", /it has no nodes/],
    [
      "that cannot be rendered",
      {
        conditions: { ...moving, Degraded: "True", RenderDegraded: "True" },
        words: { RenderDegraded: "parsing Ignition config failed" },
      },
      "degraded",
      /^worker: degraded \(RenderDegraded: parsing Ignition config failed\)$/,
    ],
    [
      "with a degraded node",
      {
        conditions: { ...moving, Degraded: "True", NodeDegraded: "True" },
        words: { NodeDegraded: 'Node w1 is reporting: "content mismatch"', Degraded: "x" },
      },
      "degraded",
      /NodeDegraded: Node w1 is reporting: "content mismatch"/,
    ],
    [
      "degraded for another reason",
      { conditions: { ...healthy, Degraded: "True" } },
      "degraded",
      /degraded \(Degraded\)/,
    ],
    [
      "with an image that cannot be built",
      { conditions: { ...healthy, ImageBuildDegraded: "True" } },
      "degraded",
      /ImageBuildDegraded/,
    ],
    ["with degraded nodes that no condition speaks of", { counts: [3, 3, 3, 0, 1] }, "degraded", /degraded: 1 nodes/],
  ];
  for (const [name, facts, state, sentence] of cases) {
    test(`a pool ${name} is ${state}`, () => {
      const status = assess([pool(facts)]);
      assert.equal(status.state, state, status.sentence);
      assert.match(status.sentence, sentence);
    });
  }

  test("a MachineConfig that is wanted must be part of it", () => {
    assert.equal(assess([pool({ sources: ["99-worker-trust"] })], ["99-worker-trust"]).state, "done");
    const missing = assess([pool()], ["99-worker-trust"]);
    assert.deepEqual([missing.state, /99-worker-trust is not part of/.test(missing.sentence)], ["updating", true]);
    assert.equal(assess([pool({ paused: true })], ["99-worker-trust"]).state, "paused");
  });

  test("pools come in the order of their names", () => {
    assert.deepEqual(
      assessPools([pool(), pool({ name: "infra" })]).map(({ name }) => name),
      ["infra", "worker"],
    );
  });
});

describe("nodes that lag", () => {
  const lagOf = (facts: NodeFacts, poolFacts: PoolFacts = { conditions: moving, current: OLD }): readonly string[] =>
    assess([pool(poolFacts), node("w1", facts)]).lagging.map(({ name, reason }) => `${name} ${reason}`);

  test("are named with the reason", () => {
    assert.deepEqual(lagOf({}), []);
    assert.deepEqual(lagOf({ current: OLD, desired: OLD }), [
      `w1 has ${OLD} and waits for its turn (maxUnavailable 1)`,
    ]);
    assert.deepEqual(lagOf({ current: OLD, desired: OLD }, { conditions: moving, maxUnavailable: "10%" }), [
      `w1 has ${OLD} and waits for its turn (maxUnavailable 10%)`,
    ]);
    assert.deepEqual(lagOf({ current: OLD, state: "Working" }), ["w1 is being updated"]);
    assert.deepEqual(lagOf({ current: OLD, state: "Working", cordoned: true, ready: "False" }), [
      "w1 is being drained or restarted, and is not ready",
    ]);
    assert.deepEqual(lagOf({ state: "Working" }), [`w1 has ${NEW}, and its daemon is still Working`]);
    assert.deepEqual(lagOf({ ready: "Unknown" }), ["w1 has the configuration and is not ready"]);
    assert.deepEqual(lagOf({ current: "", desired: "", state: "" }), [
      "w1 has no word of the machine-config daemon yet",
    ]);
    const reason =
      'unexpected on-disk state validating against rendered-x: content mismatch for file "/etc/containers/policy.json"';
    assert.deepEqual(lagOf({ current: OLD, state: "Degraded", reason }), [`w1 is degraded: ${reason}`]);
    assert.deepEqual(lagOf({ current: OLD, state: "Unreconcilable", reason: "kernel" }), [
      "w1 is unreconcilable: kernel",
    ]);
  });

  test("keep a pool from being done, and make it degraded where they are", () => {
    const lagging = assess([
      pool(),
      node("w1"),
      node("w2", { current: OLD, state: "Working" }),
      node("w3", { current: OLD, desired: OLD }),
    ]);
    assert.equal(lagging.state, "updating");
    assert.match(lagging.sentence, /; w2 is being updated \(and 1 more\)$/);
    const degraded = assess([pool(), node("w1", { state: "Degraded", reason: "disk" })]);
    assert.deepEqual([degraded.state, degraded.sentence], ["degraded", "worker: degraded (w1 is degraded: disk)"]);
    const paused = assess([pool({ paused: true }), node("w1", { current: OLD, desired: OLD })]);
    assert.equal(paused.state, "paused");
  });

  test("belong to one pool: that of their own before that of all workers, and masters to theirs", () => {
    const infra = { matchExpressions: [{ key: "node-role.kubernetes.io/infra", operator: "Exists" }] };
    const statuses = assessPools([
      pool(),
      pool({ name: "infra", selector: infra }),
      pool({ name: "master" }),
      node("i", { roles: ["worker", "infra"], current: OLD }),
      node("m", { roles: ["master", "worker"], current: OLD }),
      node("w", { roles: ["worker"], current: OLD }),
      node("x", { roles: ["other"], current: OLD }),
    ]);
    assert.deepEqual(
      statuses.map(({ name, lagging }) => [name, lagging.map((one) => one.name)]),
      [
        ["infra", ["i"]],
        ["master", ["m"]],
        ["worker", ["w"]],
      ],
    );
  });

  test("selectors follow the rules of Kubernetes", () => {
    const lags = (selector: object): boolean =>
      assess([pool({ selector }), node("w", { current: OLD })]).lagging.length > 0;
    const key = "node-role.kubernetes.io/worker";
    const expression = (operator: string, values?: readonly string[]): object => ({
      matchExpressions: [{ key, operator, values }],
    });
    assert.deepEqual(
      [
        lags(expression("In", [""])),
        lags(expression("In", ["x"])),
        lags(expression("NotIn", ["x"])),
        lags(expression("NotIn", [""])),
      ],
      [true, false, true, false],
    );
    assert.deepEqual(
      [lags(expression("Exists")), lags(expression("DoesNotExist")), lags(expression("Gt")), lags({})],
      [true, false, false, false],
    );
  });
});

test("objects of any shape are judged without a fault, and never as done", () => {
  const odd: readonly unknown[] = [
    null,
    1,
    "x",
    [],
    {},
    { configuration: 1, conditions: "x" },
    { conditions: [null, 1, { type: 1 }], machineCount: -1 },
  ];
  for (const spec of odd)
    for (const status of odd) {
      const statuses = assessPools([
        describeObject({ kind: "MachineConfigPool", metadata: { name: "p" }, spec, status }),
      ]);
      assert.equal(statuses[0]?.state, "unclear");
    }
});
