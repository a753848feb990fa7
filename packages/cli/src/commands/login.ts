import type { Command, FlagOption, Invocation, TextOption } from "../command-line/command.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { asUsage, notLoggedIn } from "../registry/registry-argument.ts";
import { readSecretFile } from "../terminal/input.ts";

const name = "login";

const usernameOption: TextOption = {
  kind: "text",
  name: "username",
  short: "u",
  value: "USER",
  summary: "User name at the registry (default: asks)",
  completion: "nothing",
};
const passwordOption: TextOption = {
  kind: "text",
  name: "password",
  short: "p",
  value: "PASSWORD",
  summary: "Password; others on this machine can see it while the command runs: prefer --password-stdin",
  completion: "nothing",
};
const passwordStdinOption: FlagOption = {
  kind: "flag",
  name: "password-stdin",
  summary: "The password is the first line of standard input",
};
const getLoginOption: FlagOption = {
  kind: "flag",
  name: "get-login",
  summary: "Print the user name that is kept for the registry, and do nothing else",
};

export const command: Command = {
  name,
  summary: "Keep credentials for a registry, where podman and skopeo look for them",
  description: [
    "Asks the registry whether it accepts the credentials, and only then keeps them, in $XDG_RUNTIME_DIR/containers/auth.json unless --authfile or REGISTRY_AUTH_FILE names another file.",
    "A registry may be followed by a path: the credentials are then used for that part of it.",
  ],
  arguments: [{ name: "REGISTRY", summary: "host, host:port or host/path", completion: "nothing" }],
  options: [
    usernameOption,
    passwordStdinOption,
    passwordOption,
    getLoginOption,
    registryOptions.authFile,
    registryOptions.certDir,
    registryOptions.tlsVerify,
  ],
  examples: [
    {
      line: "signet login registry.example.com --username ci --password-stdin < token",
      purpose: "Credentials from a file",
    },
    { line: "signet login registry.example.com --get-login", purpose: "Who am I there?" },
  ],
  async run(invocation, runtime) {
    if (invocation.get(getLoginOption)) return printLogin(invocation, runtime);
    return logIn(invocation, runtime);
  },
};

async function printLogin(invocation: Invocation, { terminal }: Runtime): Promise<ExitCode> {
  const { currentHost, findCredentials } = await import("@signet/images");
  const [registry] = invocation.arguments as [string];
  const authFile = invocation.get(registryOptions.authFile);
  const found = await asUsage(
    findCredentials(registry, { host: currentHost(), ...(authFile === undefined ? {} : { authFile }) }),
  );
  if (found === undefined) throw notLoggedIn(registry);
  terminal.line(found.credentials.kind === "password" ? found.credentials.username : "<token>");
  return exitCodes.done;
}

async function logIn(invocation: Invocation, runtime: Runtime): Promise<ExitCode> {
  const { RegistryClients, checkCredentialKey, currentHost, storeCredentials } = await import("@signet/images");
  const { terminal, interruption } = runtime;
  const [registry] = invocation.arguments as [string];
  await asUsage(Promise.resolve().then(() => checkCredentialKey(registry)));
  const credentials = await readCredentials(invocation, runtime, registry);
  const host = currentHost();
  const authFile = invocation.get(registryOptions.authFile);
  const certDir = invocation.get(registryOptions.certDir);
  const tlsVerify = invocation.get(registryOptions.tlsVerify);
  await using clients = new RegistryClients({
    host,
    credentials: async () => credentials,
    ...(certDir === undefined ? {} : { certDir }),
    ...(tlsVerify === undefined ? {} : { tlsVerify }),
    log: (level, message) => {
      if (level === "warning") terminal.warn(message);
    },
  });
  await clients.clientFor(registry.split("/", 1)[0]!).checkLogin();
  const search = { host, ...(authFile === undefined ? {} : { authFile }) };
  const { location } = await interruption.finish(storeCredentials(registry, credentials, search));
  terminal.line("Login Succeeded!");
  terminal.note(`credentials are kept in ${location}`);
  return exitCodes.done;
}

async function readCredentials(
  invocation: Invocation,
  { terminal, askSecret }: Runtime,
  registry: string,
): Promise<{ readonly kind: "password"; readonly username: string; readonly password: string }> {
  const username = invocation.get(usernameOption);
  const given = invocation.get(passwordOption);
  const fromStdin = invocation.get(passwordStdinOption);
  if (given !== undefined && fromStdin) throw usage("use --password-stdin or --password, not both", name);
  if (given !== undefined) terminal.warn("--password can be seen by others on this machine; use --password-stdin");
  if (fromStdin && username === undefined) throw usage("--password-stdin needs --username", name);
  const user = username ?? (await askVisible(`Username for ${registry}`));
  if (user === "" || user.includes(":"))
    throw usage(
      "a user name must not be empty and must not hold a colon",
      name,
      "the colon separates it from the password",
    );
  const password =
    given ?? (fromStdin ? await readSecretFile("-", "password") : await askSecret(`Password for ${user}`));
  if (password === "") throw usage("the password must not be empty", name);
  return { kind: "password", username: user, password };
}

async function askVisible(question: string): Promise<string> {
  const { askText } = await import("../terminal/prompt.ts");
  return askText(question);
}
