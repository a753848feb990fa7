/**
 * Loaded into the Node processes that tests start, before anything else: none of them reads or changes the machine's own trust, credentials or containers. A test once
 * edited the real /etc/containers/policy.json, and every pull on the machine went by it until the test was over.
 *
 * Folders that are only ever added to what a test gives (registries.d, registries.conf, certs.d, the default signature store) look as if they were not there when they
 * are read. Everything else ends the process with {@link GUARD_STATUS} and names the path: a policy, credentials, keys and storage that a test forgot to point
 * elsewhere, and whatever is written.
 *
 * Watched are the functions of `node:fs` and `node:fs/promises` by the paths that they are given. Not watched: programs that are no Node processes, and links
 * that lead to those places.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { userInfo } from "node:os";
import { join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Exit status of a process that the guard ended; no command of Signet's has it. */
const GUARD_STATUS = 99;

/** By the user database: HOME says what the test wants it to say. */
const { homedir, uid } = userInfo();

const guarded: readonly string[] = [
  "/etc/containers",
  "/etc/docker",
  "/usr/share/containers",
  "/var/lib/containers",
  "/var/cache/containers",
  "/run/containers",
  `/run/user/${uid}/containers`,
  ...[".config/containers", ".docker", ".gnupg", ".local/share/containers", ".cache/containers"].map((folder) =>
    join(homedir, folder),
  ),
];

/** Within the guarded ones. */
const hidden =
  /\/(?:registries(?:\.rootful|\.rootless)?\.d|registries(?:\.rootful|\.rootless)?\.conf(?:\.d)?|certs\.d|short-name-aliases\.conf|containers\/sigstore)(?:\/|$)/;

/** Functions that only look, without `Sync`. */
const readers = new Set("access exists lstat open opendir readFile readdir readlink realpath stat statfs".split(" "));

/** Functions whose second argument is a path as well. */
const twoPaths = new Set(["copyFile", "cp", "link", "rename", "symlink"]);

type AnyFunction = (...args: readonly unknown[]) => unknown;

function guardedPath(value: unknown): string | undefined {
  const text = value instanceof URL ? fileURLToPath(value) : value;
  if (typeof text !== "string") return undefined;
  const path = resolve(text);
  return guarded.some((folder) => path === folder || path.startsWith(folder + sep)) ? path : undefined;
}

function onlyLooks(name: string, flags: unknown): boolean {
  if (!readers.has(name)) return false;
  if (name !== "open") return true;
  const { O_WRONLY, O_RDWR, O_CREAT } = fs.constants;
  return typeof flags === "number" ? (flags & (O_WRONLY | O_RDWR | O_CREAT)) === 0 : !/[wa+]/.test(String(flags));
}

function refuse(name: string, path: string): never {
  process.stderr.write(
    `test guard: ${name} of ${path}, which belongs to this machine; give the test a path of its own\n`,
  );
  process.exit(GUARD_STATUS);
}

/** Answers as if nothing were there, in the manner of the function that was asked. */
function answerMissing(name: string, path: string, args: readonly unknown[], isPromise: boolean): unknown {
  const syscall = name.replace(/Sync$/, "");
  const error = Object.assign(new Error(`ENOENT: no such file or directory, ${syscall} '${path}'`), {
    code: "ENOENT",
    errno: -2,
    syscall,
    path,
  });
  if (isPromise) return Promise.reject(error);
  const isLenient = (args[1] as { readonly throwIfNoEntry?: boolean } | undefined)?.throwIfNoEntry === false;
  if (name === "existsSync") return false;
  if (name.endsWith("Sync")) {
    if (isLenient) return undefined;
    throw error;
  }
  process.nextTick(args.at(-1) as AnyFunction, syscall === "exists" ? false : error);
  return undefined;
}

function watch(module: object, isPromise: boolean): void {
  const functions = module as Record<string, unknown>;
  for (const [name, original] of Object.entries(functions)) {
    // Capital letters: classes, which take no paths.
    if (typeof original !== "function" || /^[A-Z_]/.test(name)) continue;
    // A proxy keeps what promisify() looks for.
    functions[name] = new Proxy(original as AnyFunction, {
      apply(target, self, args: readonly unknown[]) {
        const verb = name.replace(/Sync$/, "");
        for (const value of args.slice(0, twoPaths.has(verb) ? 2 : 1)) {
          const path = guardedPath(value);
          if (path === undefined) continue;
          const isMissing = hidden.test(path) && onlyLooks(verb, args[1]);
          return isMissing ? answerMissing(name, path, args, isPromise) : refuse(name, path);
        }
        return Reflect.apply(target, self, args);
      },
    });
  }
}

watch(fs, false);
watch(fs.promises, true);
syncBuiltinESMExports();
