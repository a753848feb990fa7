/** `npm run bench`: all benchmarks, one after the other, each beside its baseline. */
import { cpus, totalmem } from "node:os";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [cpu] = cpus();
console.log(
  `${cpu?.model ?? "unknown processor"} × ${cpus().length}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
);
for (const name of ["verify", "policy", "command", "simulate", "release", "registry"]) {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, ["--conditions=@signet/source", file], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
