/**
 * Where the process starts: `bin/signet.js` calls {@link main} in a checkout and in the published package, and the bundle calls it itself when it is started.
 * Nothing is imported here that is not part of Node's own start, so that all the rest comes out of the compile cache.
 */
import { enableCompileCache } from "node:module";

/** Runs the command line of this process and ends it. */
export async function main(): Promise<void> {
  keepCompiledCode();
  try {
    const { runProgram } = await import("./program.ts");
    await runProgram();
  } catch (error) {
    // Node would end with 1, which says "rejected"; a Signet that cannot start has judged nothing.
    process.stderr.write(
      `error: Signet cannot start: ${String(error)}\nhint: install it again, or run \`npm ci\` in the checkout\n`,
    );
    process.exitCode = 2;
  }
}

/**
 * Keeps compiled code between runs, in the user's own cache folder: Node's default lies in the shared temporary folder, where somebody else could put
 * code in our place first.
 */
function keepCompiledCode(): void {
  const configured = process.env["XDG_CACHE_HOME"];
  const home = process.env["HOME"];
  if (configured?.startsWith("/") === true) enableCompileCache(`${configured}/signet/compile-cache`);
  else if (home?.startsWith("/") === true) enableCompileCache(`${home}/.cache/signet/compile-cache`);
}

if (import.meta.main) await main();
