/** Runs the server for tests of what is done on its data. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { signetEnvironment, signetScript } from "../signet-process.ts";

/** The account of the first start. */
export const testAdmin: { readonly user: string; readonly password: string } = {
  user: "admin",
  password: "only-for-this-test",
};

/** Runs `signet serve` on this data while `work` goes on. @param env settings, as the environment has them */
export async function serveData(
  data: string,
  work: (url: string) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(process.execPath, [signetScript, "serve", "--data", data, "--listen", "127.0.0.1:0"], {
    env: signetEnvironment({ ...env, SIGNET_ADMIN_PASSWORD: testAdmin.password }),
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    await work(/http:\/\/\S+/.exec(line)![0]);
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
  }
}
