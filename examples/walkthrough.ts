/** Programs that show commands as a person would type them, run them, and notice when one does not end as they say. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../packages/cli/bin/signet.js", import.meta.url));

/** One story. Every line after a `$` is run as it stands. */
export class Walkthrough {
  readonly #folder: string;
  #failures = 0;

  /** @param folder where the commands run, and their home */
  constructor(folder: string) {
    this.#folder = folder;
  }

  say(text: string): void {
    console.log(`\n# ${text}`);
  }

  /** Something did not turn out as the story says. */
  fail(problem: string): void {
    this.#failures++;
    console.log(`(!) ${problem}`);
  }

  /** Runs `signet` and notices when it does not end with `expected`. */
  signet(expected: 0 | 1, ...args: readonly string[]): Promise<void> {
    return this.run(this.#folder, expected, args);
  }

  async run(cwd: string, expected: 0 | 1, args: readonly string[]): Promise<void> {
    console.log(`\n$ signet ${args.map((arg) => (/[\s*<>]/.test(arg) || arg === "" ? `'${arg}'` : arg)).join(" ")}`);
    const status = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(process.execPath, [launcher, ...args], {
        cwd,
        stdio: ["ignore", "inherit", "inherit"],
        // The story's own home: what this machine trusts is neither read nor changed.
        env: {
          ...process.env,
          HOME: this.#folder,
          XDG_CONFIG_HOME: `${this.#folder}/.config`,
          CONTAINERS_POLICY_JSON: `${this.#folder}/policy.json`,
        },
      });
      child.once("error", reject).once("close", resolve);
    });
    if (status !== expected) this.fail(`expected exit status ${expected}, got ${status}`);
  }

  /** Ends the process with a status that says whether all went as it should. */
  finish(): void {
    if (this.#failures === 0) return;
    console.error(`error: ${this.#failures} steps did not end as they should`);
    process.exitCode = 1;
  }
}
