/** Lints about scopes and transports: what never matches, what is open, what says the same twice. */
import { keyHint, quote } from "../policy-members.ts";
import type { Requirements } from "../policy.ts";
import { explainUnmatchableScope } from "../scope-suggestion.ts";
import type { Lint } from "./lint.ts";
import { governingWithout, type LintedScope } from "./lint-context.ts";
import { hostOf } from "./scope-order.ts";

/** Every transport that a tool of the field has, or had. */
const knownTransports: readonly string[] = [
  "atomic",
  "containers-storage",
  "dir",
  "docker",
  "docker-archive",
  "docker-daemon",
  "oci",
  "oci-archive",
  "ostree",
  "sif",
  "tarball",
];

export const transportUnknown: Lint = {
  name: "transport-unknown",
  severity: "error",
  reason:
    "Transports that are not known parse, so that newer policies can be read; their scopes never match, and the images fall to the default.",
  fix: "Write the name of a transport: docker, docker-daemon, containers-storage, dir, oci, oci-archive, docker-archive, atomic, sif or tarball.",
  *check({ policy }) {
    for (const transport of policy.transports.keys()) {
      if (knownTransports.includes(transport)) continue;
      yield {
        place: { path: ["transports", transport], part: "key" },
        scope: transport,
        what: `${quote(transport)} is no transport; nothing below it is ever looked up`,
        fix: keyHint(transport, knownTransports),
      };
    }
  },
};

export const scopeUnreachable: Lint = {
  name: "scope-unreachable",
  severity: "error",
  reason:
    "No image is ever looked up by this text, so the requirements are dead and the images they were meant for fall to a less specific scope.",
  fix: "Write the scope as images are looked up: the full name with its host (`docker.io/library/busybox`), a folder above it, `host[:port]`, or `*.domain`.",
  isFixable: true,
  *check({ policy, scopes }) {
    // Two scopes that mean the same must not become one name twice.
    const taken = new Set<string>();
    for (const scope of scopes) {
      if (scope.transport === undefined || scope.scope === undefined) continue;
      const found = explainUnmatchableScope(scope.transport, scope.scope);
      if (found === undefined) continue;
      const { problem, suggestion } = found;
      const exists = suggestion !== undefined && policy.transports.get(scope.transport)!.has(suggestion);
      const name = `${scope.transport} ${suggestion}`;
      // A correction must not accept images that are not accepted now.
      const isSafe = !exists && found.isWider !== true && !isOpen(scope.requirements) && !taken.has(name);
      if (isSafe) taken.add(name);
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: `scope ${quote(scope.scope)} of transport ${scope.transport} can never match: ${problem}`,
        ...(suggestion === undefined ? {} : { fix: fixOf(suggestion, exists, found.isWider === true) }),
        ...(isSafe && suggestion !== undefined
          ? { edits: [{ kind: "rename", path: scope.path, key: suggestion }] }
          : {}),
      };
    }
  },
};

function fixOf(suggestion: string, exists: boolean, isWider: boolean): string {
  if (exists) return `${quote(suggestion)} would match and is there already: remove this scope, or merge the two`;
  return isWider ? `${quote(suggestion)} matches, and more than was asked for here` : `write ${quote(suggestion)}`;
}

export const scopeHostCase: Lint = {
  name: "scope-host-case",
  severity: "warning",
  reason: "Hosts compare with their case: an image that is named with the host in lower case does not match.",
  fix: "Write the host in lower case, as image names do.",
  *check({ scopes }) {
    for (const scope of scopes) {
      if (scope.transport !== "docker" || scope.scope === undefined) continue;
      const host = hostOf(scope.scope);
      if (!/[A-Z]/.test(host) || explainUnmatchableScope("docker", scope.scope) !== undefined) continue;
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: `scope ${quote(scope.scope)} matches only image names that write the host as ${quote(host)}`,
        fix: `write ${quote(`${host.toLowerCase()}${scope.scope.slice(host.length)}`)}`,
      };
    }
  },
};

export const defaultPermissive: Lint = {
  name: "default-permissive",
  severity: "warning",
  reason: "Every image that no scope speaks of is accepted without a signature, from any registry.",
  fix: 'Set "default": [{"type":"reject"}] and name the registries to be accepted as scopes.',
  *check({ scopes, policy }) {
    const docker = policy.transports.get("docker")?.get("");
    for (const scope of scopes) {
      const isDefault = scope.transport === undefined && docker === undefined;
      const isTransport = scope.transport === "docker" && scope.scope === "";
      if ((!isDefault && !isTransport) || !isOpen(scope.requirements)) continue;
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: isDefault
          ? "the default accepts every image"
          : 'scope "" of transport docker accepts every image of every registry',
        ...(isDefault
          ? {}
          : { fix: 'Set it to [{"type":"reject"}] and name the registries to be accepted as scopes.' }),
      };
    }
  },
};

export const scopePermissive: Lint = {
  name: "scope-permissive",
  severity: "warning",
  reason:
    "The most specific scope alone governs: here images are accepted without a signature, while all around them signatures are required.",
  fix: "Remove the scope, or require signatures in it as well.",
  *check({ policy, scopes }) {
    for (const scope of scopes) {
      if (scope.transport === undefined || !isOpen(scope.requirements) || isDead(scope)) continue;
      const without = governingWithout(policy, scope);
      // A default that asks for signatures is a sentence about registries; local transports are opened below it on purpose.
      if (without.label === "default" && scope.scope === "") continue;
      if (!demandsSignature(without.requirements)) continue;
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: `images of this scope are accepted unsigned, while ${without.label} requires signatures`,
      };
    }
  },
};

export const scopeDuplicatesParent: Lint = {
  name: "scope-duplicates-parent",
  severity: "info",
  reason:
    "The scope requires what would be required without it; a change to one of the two is easily forgotten in the other.",
  fix: "Remove the scope, unless it stands there to stay as it is when the other changes.",
  *check({ policy, scopes }) {
    for (const scope of scopes) {
      // That a transport says what the default says is how distributions write it down, to stay when the default changes.
      if (scope.transport === undefined || scope.scope === "" || isDead(scope)) continue;
      const without = governingWithout(policy, scope);
      if (!saysTheSame(scope.requirements, without.requirements)) continue;
      yield {
        place: { path: scope.path, part: "key" },
        scope: scope.label,
        what: `its requirements are the same as those of ${without.label}, which would govern without it`,
      };
    }
  },
};

export const localStorageBlocked: Lint = {
  name: "local-storage-blocked",
  severity: "warning",
  reason:
    "podman push and save, and skopeo copy, read images from local storage under the same policy; an image that was built there has no signature.",
  fix: 'Add "containers-storage": {"": [{"type":"insecureAcceptAnything"}]} to the transports, and the same for "docker-daemon" where it is used.',
  *check({ policy }) {
    const storage = policy.transports.get("containers-storage");
    if (isOpen(policy.default) || (storage !== undefined && storage.size > 0)) return;
    yield {
      place: { path: ["default"], part: "key" },
      scope: "default",
      what: "the default does not accept everything and no scope of containers-storage does: images in local storage cannot be pushed, saved or copied",
    };
  },
};

/** True for a scope that governs no image: of it nothing else needs to be said. */
function isDead({ transport, scope }: LintedScope): boolean {
  return transport !== undefined && scope !== undefined && explainUnmatchableScope(transport, scope) !== undefined;
}

/** True when nothing but `insecureAcceptAnything` is asked for. */
export function isOpen(requirements: Requirements): boolean {
  return requirements.every(({ type }) => type === "insecureAcceptAnything");
}

/** True when a signature can and must be there. */
function demandsSignature(requirements: Requirements): boolean {
  return (
    requirements.some(({ type }) => type === "signedBy" || type === "sigstoreSigned") &&
    !requirements.some(({ type }) => type === "reject")
  );
}

/** Requirements that are made of the same members with the same values. */
function saysTheSame(a: Requirements, b: Requirements): boolean {
  return a === b || (a.length === b.length && describe(a) === describe(b));
}

const described = new WeakMap<object, string>();

/** One text for equal requirements; kept, since many scopes are compared with one parent. */
export function describe(value: Requirements | Requirements[number]): string {
  let text = described.get(value);
  if (text === undefined) {
    text = JSON.stringify(value, (_key, part: unknown) => (part instanceof Uint8Array ? [...part].join() : part));
    described.set(value, text);
  }
  return text;
}
