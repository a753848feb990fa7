import type { Interruption } from "./interruption.ts";
import type { Progress } from "./terminal/progress.ts";
import type { SecretPrompt } from "./terminal/prompt.ts";
import type { Terminal } from "./terminal/terminal.ts";

/** What a command gets besides its arguments; chosen once, in `program.ts`. */
export interface Runtime {
  readonly terminal: Terminal;
  readonly progress: Progress;
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970 UTC. Read once for each thing that is judged or signed. */
  readonly now: () => number;
  readonly interruption: Interruption;
  readonly askSecret: SecretPrompt;
}
