import type { RunningServer, ServerConfig } from "@signet/server";
import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { dataOptions, listenOption, loadServerConfig } from "../server/server-options.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const command: Command = {
  name: "serve",
  summary: "Run the registry",
  description: [
    "Serves images and their signatures: the OCI distribution API with the signatures extension at /v2/, and a lookaside tree at /lookaside/. Without any configuration it listens on loopback and keeps SQLite and files in one folder.",
    "The first start makes the account admin. SIGNET_ADMIN_PASSWORD is its password; without that one is made and printed, this once.",
    "SIGTERM and Ctrl-C let requests in flight end, then stop; a second one stops at once. SIGHUP reads the certificate again. The log is on standard error.",
  ],
  arguments: [],
  options: [...dataOptions, listenOption],
  examples: [
    { line: "signet serve", purpose: "A registry on this machine" },
    { line: "signet serve --data /srv/signet --listen 127.0.0.1:5001", purpose: "Another folder and port" },
    { line: "signet serve --config /etc/signet/signet.yaml", purpose: "As a configuration says" },
  ],
  async run(invocation, runtime) {
    const { env, now, terminal } = runtime;
    const { config } = await loadServerConfig(invocation, runtime, invocation.get(listenOption));
    const { startServer } = await import("@signet/server");
    const { version } = await import("../version.ts");
    // Files that the server makes are for its own user, wherever the configuration puts them.
    process.umask(0o077);
    const isTerminal = process.stderr.isTTY;
    // Empty is unset: what a secret of Kubernetes holds before somebody fills it in.
    const adminPassword = env["SIGNET_ADMIN_PASSWORD"] === "" ? undefined : env["SIGNET_ADMIN_PASSWORD"];
    const server = await startServer(config, { version, now, isTerminal, adminPassword });
    // Whoever reads the greeting may send signals.
    const stopped = untilStopped(server, config.tls === undefined && (isTerminal || process.stdin.isTTY));
    greet(server, config, terminal);
    await stopped;
    return exitCodes.done;
  },
};

function greet(server: RunningServer, config: ServerConfig, terminal: Terminal): void {
  const { url, firstAdmin } = server;
  const host = url.slice(url.indexOf("//") + 2);
  const insecure = config.tls === undefined ? " --tls-verify=false" : "";
  terminal.line(`Signet serves ${url}`);
  if (firstAdmin === null) return;
  if (firstAdmin.madePassword === null) terminal.line(`The account ${firstAdmin.name} was made`);
  else
    terminal.line(`The account ${firstAdmin.name} was made; its password, shown this once: ${firstAdmin.madePassword}`);
  terminal.line("");
  terminal.line("Type next, in another terminal:");
  terminal.line(`  podman login${insecure} --username ${firstAdmin.name} ${host}`);
  terminal.line(`  podman push${insecure} IMAGE docker://${host}/team/app:1`);
  terminal.line(`  signet sign${insecure} --key KEY docker://${host}/team/app:1`);
  terminal.line(`  signet verify${insecure} --key PUBLIC-KEY docker://${host}/team/app:1`);
}

/**
 * Resolves when the server has been asked to stop, and has.
 * @param isHungUp whether SIGHUP asks for it
 */
async function untilStopped(server: RunningServer, isHungUp: boolean): Promise<void> {
  const { promise: stopped, resolve, reject } = Promise.withResolvers<void>();
  let isAsked = false;
  const stop = (status: number): void => {
    if (isAsked) process.exit(status);
    isAsked = true;
    server.drain().then(resolve, reject);
  };
  process.on("SIGTERM", () => stop(exitCodes.terminated));
  process.on("SIGINT", () => stop(exitCodes.interrupted));
  // On a terminal, without a certificate to read again, it is what it is for other commands: the end of the terminal. To a service it means to read again what there is, and never to stop.
  process.on("SIGHUP", () => (isHungUp ? stop(exitCodes.hungUp) : void server.reload()));
  await stopped;
}
