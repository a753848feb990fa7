import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTempDir } from "./temp-dir.ts";
import { findTool, run } from "./tools.ts";
import type { RunOptions, RunResult } from "./tools.ts";

/**
 * skopeo and podman with a configuration and storage of their own: nothing of the machine's policy, registries.d, credentials or images is read.
 * The exception is a cache of blob locations that both keep below /var/lib/containers when run by root; it can only save work.
 */
export interface ContainersHome extends Disposable {
  /** HOME of both tools. */
  readonly path: string;
  /** `.config/containers/policy.json`; accepts anything until {@link writePolicy}. */
  readonly policyFile: string;
  /** `.config/containers/registries.d`; empty at first. */
  readonly registriesDir: string;
  readonly authFile: string;
  /** Where podman and skopeo look for `certs.d/HOST`. */
  readonly certsDir: string;
  /** The storage that both tools use, as policy.json writes it: `vfs@/path`. */
  readonly store: string;
  /** What podman must be started with; {@link podman} adds it. */
  readonly podmanFlags: readonly string[];
  /** Their environment, for running Signet with the same configuration. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes policy.json from a value, or as it stands from a text. */
  writePolicy(policy: object | string): void;
  /** Adds `FILE.yaml` to registries.d, from a value (JSON is YAML) or a text. */
  writeRegistriesD(file: string, content: object | string): void;
  /** Lets both tools speak http with these registries: `127.0.0.1:PORT`. */
  allowInsecure(...hosts: readonly string[]): void;
  /** Keeps credentials for a registry in {@link authFile}. */
  writeLogin(host: string, user: string, password: string): void;
  skopeo(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** podman on vfs storage: pull, push and save work without a container runtime, cgroups or an overlay file system. */
  podman(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  dispose(): void;
}

/** Makes an isolated home. Tools are looked for when they are run: call `requireTool` first. */
export function makeContainersHome(): ContainersHome {
  const dir = makeTempDir("signet-containers-");
  const configDir = dir.join(".config", "containers");
  const policyFile = join(configDir, "policy.json");
  const registriesDir = join(configDir, "registries.d");
  const authFile = join(configDir, "auth.json");
  const certsDir = join(configDir, "certs.d");
  const runDir = dir.join("run");
  for (const path of [registriesDir, certsDir, runDir, dir.join("tmp")])
    mkdirSync(path, { recursive: true, mode: 0o700 });

  const env = {
    HOME: dir.path,
    XDG_CONFIG_HOME: dir.join(".config"),
    XDG_DATA_HOME: dir.join(".local"),
    XDG_CACHE_HOME: dir.join(".cache"),
    XDG_RUNTIME_DIR: runDir,
    REGISTRY_AUTH_FILE: authFile,
    CONTAINERS_CONF: join(configDir, "containers.conf"),
    CONTAINERS_STORAGE_CONF: join(configDir, "storage.conf"),
    TMPDIR: dir.join("tmp"),
  };
  // Locks in files: the default, a segment of shared memory, is common to every podman of the machine.
  writeFileSync(
    env.CONTAINERS_CONF,
    '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nlock_type = "file"\n' +
      `tmp_dir = ${JSON.stringify(dir.join("libpod-tmp"))}\n`,
  );
  const storage = { driver: "vfs", graphroot: dir.join("storage"), runroot: dir.join("storage-run") };
  const storageLines = Object.entries(storage).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  writeFileSync(env.CONTAINERS_STORAGE_CONF, `[storage]\n${storageLines.join("")}`);

  const insecureHosts = new Set<string>();
  const writeRegistriesConf = (): void => {
    const entries = [...insecureHosts].map(
      (host) => `[[registry]]\nlocation = ${JSON.stringify(host)}\ninsecure = true\n`,
    );
    writeFileSync(join(configDir, "registries.conf"), `unqualified-search-registries = []\n${entries.join("")}`);
  };
  const writePolicy = (policy: object | string): void =>
    writeFileSync(policyFile, typeof policy === "string" ? policy : JSON.stringify(policy, undefined, 2));
  const logins: Record<string, { readonly auth: string }> = {};
  const writeLogins = (): void => writeFileSync(authFile, JSON.stringify({ auths: logins }), { mode: 0o600 });

  writeRegistriesConf();
  writeLogins();
  writePolicy({ default: [{ type: "insecureAcceptAnything" }] });

  const runTool = (name: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> => {
    const executable = findTool(name);
    if (executable === undefined) throw new Error(`${name} is missing; install it with: apt-get install ${name}`);
    return run(executable, args, { ...options, env: { ...env, ...options.env } });
  };
  const podmanFlags = Object.entries({
    "--root": storage.graphroot,
    "--runroot": storage.runroot,
    "--storage-driver": storage.driver,
    "--tmpdir": dir.join("libpod-tmp"),
    "--cgroup-manager": "cgroupfs",
    "--events-backend": "file",
  }).flat();

  const dispose = (): void => dir.dispose();
  return {
    path: dir.path,
    policyFile,
    registriesDir,
    authFile,
    certsDir,
    store: `${storage.driver}@${storage.graphroot}`,
    podmanFlags,
    env,
    writePolicy,
    writeRegistriesD(file, content) {
      const text = typeof content === "string" ? content : JSON.stringify(content, undefined, 2);
      writeFileSync(join(registriesDir, `${file}.yaml`), text);
    },
    allowInsecure(...hosts) {
      for (const host of hosts) insecureHosts.add(host);
      writeRegistriesConf();
    },
    writeLogin(host, user, password) {
      logins[host] = { auth: Buffer.from(`${user}:${password}`).toString("base64") };
      writeLogins();
    },
    skopeo: (args, options) => runTool("skopeo", args, options),
    podman: (args, options) => runTool("podman", [...podmanFlags, ...args], options),
    dispose,
    [Symbol.dispose]: dispose,
  };
}
