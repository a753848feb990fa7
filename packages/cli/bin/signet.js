#!/usr/bin/env node
// Starts Signet. Plain JavaScript that an old Node can still read, so that it can say which one is needed.
// Statements run from top to bottom and nothing heavy is imported: this file is part of every cold start.
import { existsSync } from "node:fs";
import * as nodeModule from "node:module"; // an old Node lacks registerHooks, which a named import would not survive
import { fileURLToPath } from "node:url";

const REQUIRED_NODE_MAJOR = 24;

/** @param {string} path relative to this file */
const beside = (path) => new URL(path, import.meta.url);

// A published package has dist/ alone. A checkout has src/, which wins: a forgotten dist/ must not hide an edit.
const isCheckout = existsSync(beside("../src/main.ts"));

if (Number.parseInt(process.versions.node, 10) < REQUIRED_NODE_MAJOR) {
  await startOtherNode();
} else {
  if (isCheckout) useSources();
  try {
    const program = await import(isCheckout ? "../src/main.ts" : "../dist/signet.js");
    await program.main();
  } catch (error) {
    // Node would end with 1, which says "rejected"; a Signet that cannot start has judged nothing.
    process.stderr.write(
      `error: Signet cannot start: ${error instanceof Error ? error.message : String(error)}\nhint: install it again, or run \`npm ci\` in the checkout\n`,
    );
    process.exitCode = 2;
  }
}

/** Lets the workspace's packages resolve to their TypeScript sources, as `node --conditions=@signet/source` does. */
function useSources() {
  nodeModule.registerHooks({
    resolve: (specifier, context, nextResolve) =>
      nextResolve(specifier, { ...context, conditions: [...context.conditions, "@signet/source"] }),
  });
}

/** Runs this file again with the Node that the checkout brings, and ends as that process ends. */
async function startOtherNode() {
  const own = fileURLToPath(beside("../../../node_modules/.bin/node"));
  // A Node in the checkout that is too old itself would start itself for ever.
  if (!isCheckout || !existsSync(own) || process.env["SIGNET_STARTED_AGAIN"] === "1") {
    const hint = isCheckout ? "run `npm ci` in the checkout, which brings the right Node" : "install Node.js 24";
    process.stderr.write(
      `error: Signet needs Node.js ${REQUIRED_NODE_MAJOR} or newer; this is ${process.version}\nhint: ${hint}\n`,
    );
    process.exitCode = 2;
    return;
  }
  const { spawn } = await import("node:child_process");
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, SIGNET_STARTED_AGAIN: "1" },
  });
  // A terminal sends Ctrl-C to both processes; the child decides what to do with it, and this one waits for it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT") child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`error: cannot start ${own}: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exitCode = code ?? 2;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}
