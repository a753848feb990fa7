/**
 * How long does one `standalone-verify` take from a cold process: Signet's bundle, skopeo and gpgv on the same RSA-4096 signature? Needs `npm run build` before. The
 * processes run in turn, so that all meet the same machine.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatReference } from "@signet/core";
import { findTool, makeTempDir } from "@signet/testkit";
import { makeCorpus } from "./corpus.ts";
import { median } from "./measure.ts";

/** Runs of each command; the first few fill caches and do not count. */
const RUNS = 25;
const WARM_UP = 3;

const bundle = fileURLToPath(new URL("../packages/cli/dist/signet.js", import.meta.url));
const skopeo = findTool("skopeo");
const gpgv = findTool("gpgv");
if (!existsSync(bundle)) throw new Error("packages/cli/dist/signet.js is missing: run npm run build");

using folder = makeTempDir("signet-benchmark-");
const corpus = makeCorpus("rsa-4096");
const [manifest, signature, key] = [folder.join("manifest.json"), folder.join("signature-1"), folder.join("key.gpg")];
writeFileSync(manifest, corpus.manifest);
writeFileSync(signature, corpus.items[0]!.message);
writeFileSync(key, corpus.certificate);
const reference = formatReference(corpus.reference);

interface Command {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Debian's skopeo knows no `--public-key-file` yet: its key comes from a keyring. */
const gpgHome = folder.join("gpg");
spawnSync("mkdir", ["-m", "700", gpgHome]);
spawnSync("gpg", ["--homedir", gpgHome, "--batch", "--quiet", "--import", key]);

const commands: readonly Command[] = [
  ...(skopeo === undefined
    ? []
    : [
        {
          name: "skopeo standalone-verify",
          command: skopeo,
          args: ["standalone-verify", manifest, reference, corpus.key.fingerprint, signature],
          env: { GNUPGHOME: gpgHome },
        },
      ]),
  {
    name: "signet standalone-verify (bundle)",
    command: process.execPath,
    args: [bundle, "standalone-verify", manifest, reference, "any", signature, "--public-key-file", key],
  },
  ...(gpgv === undefined
    ? []
    : [{ name: "gpgv (signature alone)", command: gpgv, args: ["--keyring", key, signature] }]),
  { name: "node -e 0 (the floor)", command: process.execPath, args: ["-e", "0"] },
];

const times = commands.map((): number[] => []);
for (let run = -WARM_UP; run < RUNS; run++) {
  for (const [index, { name, command, args, env }] of commands.entries()) {
    const started = performance.now();
    const { status, stderr } = spawnSync(command, args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder.path, ...env },
    });
    const elapsed = performance.now() - started;
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr.toString()}`);
    if (run >= 0) times[index]!.push(elapsed);
  }
}
console.log("\none cold standalone-verify, RSA-4096, milliseconds (median, least) and ratio to the first");
for (const [index, { name }] of commands.entries()) {
  const ratios = times[index]!.map((time, run) => time / times[0]![run]!);
  console.log(
    `  ${name.padEnd(34)} ${median(times[index]!).toFixed(1).padStart(6)}  ${Math.min(...times[index]!)
      .toFixed(1)
      .padStart(6)}   × ${median(ratios).toFixed(2)}`,
  );
}
