import { type ErrorCode, SignetError, StoreError } from "@signet/core";

/** Which way the failed operation went. */
export type FileOperation = "read" | "write";

/** The platform's code of a failed file operation, such as `ENOENT`; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * Turns a failed file operation into an error that names the file and the next step. Errors that are Signet's own already pass through unchanged.
 * @param what the thing's name in the message, such as `public key file`; empty for just the path
 * @returns StoreError `file-missing`, `file-unreadable`, `file-unwritable` or `disk-full`
 */
export function fileError(error: unknown, path: string, operation: FileOperation, what: string = ""): SignetError {
  if (error instanceof SignetError) return error;
  const errno = errnoOf(error);
  const { code, hint } = explain(errno, operation);
  const reason = (errno === undefined ? undefined : reasons[errno]) ?? (error as Error)?.message ?? String(error);
  const subject = what === "" ? path : `${what} ${path}`;
  return new StoreError(code, `cannot ${operation} ${subject}: ${reason}`, {
    cause: error,
    side: "local",
    ...(hint === undefined ? {} : { hint }),
  });
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBUSY: "it is in use, for example as a mount point",
  EDQUOT: "the disk quota is used up",
  EEXIST: "it exists already",
  EFBIG: "larger than the file system allows",
  EISDIR: "it is a directory",
  ELOOP: "too many levels of symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "no such file or directory",
  ENOSPC: "no space left on the device",
  ENOTDIR: "a part of its path is not a directory",
  ENOTEMPTY: "the directory is not empty",
  EPERM: "operation not permitted",
  EROFS: "the file system is read-only",
};

function explain(errno: string | undefined, operation: FileOperation): { code: ErrorCode; hint?: string } {
  if (errno === "ENOSPC" || errno === "EDQUOT") return { code: "disk-full", hint: "free some space and try again" };
  if (operation === "write") {
    if (errno === "ENOENT" || errno === "ENOTDIR")
      return { code: "file-unwritable", hint: "create the folder it belongs into first" };
    if (errno === "EACCES" || errno === "EPERM")
      return { code: "file-unwritable", hint: "check who owns the folder and what its mode allows" };
    return { code: "file-unwritable" };
  }
  if (errno === "ENOENT" || errno === "ENOTDIR") return { code: "file-missing", hint: "check the path" };
  if (errno === "EACCES" || errno === "EPERM")
    return { code: "file-unreadable", hint: "check who owns the file and what its mode allows" };
  return { code: "file-unreadable" };
}
