/**
 * A key is replaced without an hour in which nothing can be pulled: the new key beside the old one, then signatures by the new one, then the old key goes. At each step
 * the policy is tried before it counts.
 */
import { copyFileSync, writeFileSync } from "node:fs";
import { buildTestImage, makeTempDir, pushTestImage, startTestRegistry } from "@signet/testkit";
import { Walkthrough } from "./walkthrough.ts";

await using registry = await startTestRegistry({ signaturesExtension: true });
using folder = makeTempDir("signet-rotation-");
const story = new Walkthrough(folder.path);
const insecure = "--tls-verify=false";
const scope = `${registry.host}/team`;
const [first, second] = [`${scope}/app:1`, `${scope}/app:2`];
await pushTestImage(registry, "team/app:1", await buildTestImage({ seed: 1 }));
await pushTestImage(registry, "team/app:2", await buildTestImage({ seed: 2 }));
writeFileSync(folder.join("running.txt"), `${first}\n${second}\n`);
const generate = (year: number): Promise<void> =>
  story.signet(
    0,
    "keys",
    "generate",
    `Team ${year} <team-${year}@example.com>`,
    ...["--output-prefix", `team-${year}`, "--algorithm", "ed25519", "--no-passphrase"],
  );

story.say(`A registry runs on ${registry.host}. Only what the team signed with its key of 2026 may run.`);
await generate(2026);
await story.signet(0, "trust", "default", "reject");
await story.signet(0, "trust", "set", scope, "-f", "team-2026.pub");
await story.signet(0, "sign", "--key", "team-2026.private", insecure, first);
await story.signet(0, "sign", "--key", "team-2026.private", insecure, second);
await story.signet(0, "verify", insecure, "--from", "running.txt");

story.say(
  "The key is to be replaced. Step 1: both keys are trusted, a signature by any of them is enough. First what would change:",
);
await generate(2027);
await story.signet(0, "trust", "set", scope, "-f", "team-2026.pub", "-f", "team-2027.pub", "--dry-run");
await story.signet(0, "trust", "set", scope, "-f", "team-2026.pub", "-f", "team-2027.pub");
await story.signet(0, "verify", insecure, "--from", "running.txt");

story.say("Step 2: what is to stay is signed with the new key as well. One of the two images is forgotten.");
await story.signet(0, "sign", "--key", "team-2027.private", insecure, first);

story.say("Step 3: before the old key goes, the policy without it is tried on what runs. It tells what would stop:");
copyFileSync(folder.join("policy.json"), folder.join("next.json"));
await story.signet(0, "trust", "set", scope, "-f", "team-2027.pub", "--policy", "next.json");
const simulate = [
  "policy",
  "simulate",
  "--policy",
  "next.json",
  "--against",
  "current",
  "--from",
  "running.txt",
  insecure,
];
await story.signet(1, ...simulate);
story.say("The forgotten image is signed, and the next policy stops nothing any more.");
await story.signet(0, "sign", "--key", "team-2027.private", insecure, second);
await story.signet(0, ...simulate);

story.say("Step 4: the old key goes.");
await story.signet(0, "trust", "set", scope, "-f", "team-2027.pub");
await story.signet(0, "trust", "show", "--registries.d", ".");
await story.signet(0, "verify", insecure, "--from", "running.txt");

story.say("Whatever was signed with the old key alone is refused from now on, and the reason is said.");
await pushTestImage(registry, "team/app:3", await buildTestImage({ seed: 3 }));
await story.signet(0, "sign", "--key", "team-2026.private", insecure, `${scope}/app:3`);
await story.signet(1, "policy", "explain", insecure, `${scope}/app:3`);
story.finish();
