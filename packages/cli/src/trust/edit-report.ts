/** How an edit of trust is told: files, diffs, and what governs now. */
import { backupOf, type FileChange, type TrustEdit } from "@signet/images";
import type { Terminal } from "../terminal/terminal.ts";

/** What is told of an edit beside its files. */
export interface EditReport {
  /** The place in the policy: `{transport, scope}`, or `{default: true}`. */
  readonly target: Readonly<Record<string, unknown>>;
  /** The last line: what now governs which images. */
  readonly outcome: string;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly isDryRun: boolean;
  readonly isJson: boolean;
  /** More members for the JSON form. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Prints an edit that was made, or would be made. */
export async function printEdit(edit: TrustEdit, report: EditReport, terminal: Terminal): Promise<void> {
  const warnings = [...warningsOf(edit), ...report.warnings];
  const notes = [...notesOf(edit, report.isDryRun), ...report.notes];
  if (report.isJson) {
    terminal.json({
      policy: edit.policyPath,
      ...report.target,
      ...report.more,
      changed: edit.files.length > 0,
      dryRun: report.isDryRun,
      files: edit.files.map(describeFile),
      outcome: report.outcome,
      warnings,
      notes,
    });
    return;
  }
  for (const warning of warnings) terminal.warn(warning);
  for (const file of edit.files) {
    if (report.isDryRun) await printDiff(file, terminal);
    else terminal.line(lineOf(file));
  }
  const isSame = edit.files.length === 0;
  const start = isSame ? "already so: " : report.isDryRun ? "would be so: " : "";
  // The result of a dry run is the diff alone, so that it can be piped to other tools.
  if (report.isDryRun && !isSame) terminal.note(`${start}${report.outcome}`);
  else terminal.line(`${start}${report.outcome}`);
  for (const note of notes) terminal.note(`note: ${note}`);
}

function warningsOf({ after, policyPath }: TrustEdit): readonly string[] {
  if (after.refusal === undefined) return [];
  return [`strict readers such as podman and skopeo refuse ${policyPath}: ${after.refusal.message}`];
}

function notesOf({ files, newUserFolder }: TrustEdit, isDryRun: boolean): readonly string[] {
  const copied = files.flatMap(({ copiedFrom, path }) =>
    copiedFrom === undefined
      ? []
      : [
          `${copiedFrom.path} is left as it is; ${path}, which counts before it, ${isDryRun ? "would take" : "took"} its content over`,
        ],
  );
  if (newUserFolder === undefined) return copied;
  const old = "containers/image before 5.40 reads only the first registries.d folder that exists";
  return [...copied, `${newUserFolder} is new: ${old}, so that it hides the one in /etc from older tools`];
}

function actionOf({ before, after }: FileChange): "created" | "changed" | "removed" {
  if (after === undefined) return "removed";
  return before === undefined ? "created" : "changed";
}

function lineOf(change: FileChange): string {
  const action = actionOf(change);
  const link = change.path === change.target ? "" : ` (${change.target})`;
  const backup = change.before === undefined ? "" : `; the old content is in ${backupOf(change.target)}`;
  return `${change.path}${link}: ${action}${backup}`;
}

function describeFile(change: FileChange): Record<string, unknown> {
  return {
    path: change.path,
    target: change.target,
    action: actionOf(change),
    backup: change.before === undefined ? null : backupOf(change.target),
    copiedFrom: change.copiedFrom?.path ?? null,
  };
}

async function printDiff(change: FileChange, terminal: Terminal): Promise<void> {
  // Loaded for a dry run only.
  const { paintDiffLine, unifiedDiff } = await import("../terminal/unified-diff.ts");
  const old = change.before ?? change.copiedFrom?.bytes;
  const oldName = change.before === undefined ? (change.copiedFrom?.path ?? "/dev/null") : change.path;
  const newName = change.after === undefined ? "/dev/null" : change.path;
  for (const line of unifiedDiff(decode(old), decode(change.after), oldName, newName))
    terminal.line(paintDiffLine(line));
}

function decode(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}
