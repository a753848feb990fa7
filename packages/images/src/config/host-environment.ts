import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** What the search for configuration files depends on. Injected, so that a search can be made for another user, root folder or in a test. */
export interface HostEnvironment {
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Effective user id; inside a rootless user namespace that of the user outside. */
  readonly uid: number;
  /** The user's home folder. */
  readonly home: string;
  /** Put before the system's own absolute paths (`/etc`, `/usr/share`), never before paths that somebody named. Default none. */
  readonly root?: string;
}

/** The environment of this process. */
export function currentHost(): HostEnvironment {
  const env = process.env;
  // podman sets this when it re-enters itself as "root" of a user namespace; configuration stays that of the user outside.
  const outside = Number(env["_CONTAINERS_ROOTLESS_UID"] ?? "");
  const uid = Number.isInteger(outside) && outside > 0 ? outside : (process.geteuid?.() ?? 0);
  return { env, uid, home: homedir() };
}

/**
 * The file tree of another machine, such as a node's or an image's: what root would find there. This process's user and environment have no say in it.
 * @param root its folder; a path that a file in it names lies below it as well, see {@link systemPath}
 */
export function fileTreeHost(root: string): HostEnvironment {
  // Not absolute, so there is no user's own folder.
  return { env: { XDG_CONFIG_HOME: "" }, uid: 0, home: "/root", root };
}

/**
 * `$XDG_CONFIG_HOME/containers`, or `~/.config/containers` when the variable is not set. Undefined when it is set to something that is not an
 * absolute path: the XDG specification ignores such a value, and a path below the working directory must not decide what is trusted.
 */
export function userConfigFolder(host: HostEnvironment): string | undefined {
  const configured = host.env["XDG_CONFIG_HOME"];
  const base = configured ?? join(host.home, ".config");
  return isAbsolute(base) ? join(base, "containers") : undefined;
}

/** A system path below the host's root folder. */
export function systemPath(host: HostEnvironment, path: string): string {
  return host.root === undefined ? path : join(host.root, path);
}
