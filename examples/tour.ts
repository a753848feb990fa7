/**
 * `npm start`: the main job from end to end, without network access. A throw-away registry on loopback, a signed image under a policy that rejects by default, four
 * refusals, and genuine Red Hat signatures. Every line after a `$` is run as it stands.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { makeKeyring, parseKeyring, parseSimpleSigningPayload, verifySignedMessage } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { buildTestImage, makeTempDir, pushTestImage, startTestRegistry } from "@signet/testkit";
import { Walkthrough } from "./walkthrough.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const redhat = fileURLToPath(new URL("../vectors/redhat/", import.meta.url));

await using registry = await startTestRegistry({ signaturesExtension: true });
using folder = makeTempDir("signet-tour-");
const tour = new Walkthrough(folder.path);
const say = (text: string): void => tour.say(text);
const signet = (expected: 0 | 1, ...args: readonly string[]): Promise<void> => tour.signet(expected, ...args);
const insecure = "--tls-verify=false";
const app = `${registry.host}/team/app:1`;

say(
  `A registry runs on ${registry.host}. An image is in it, nobody has signed it, and the policy rejects what is not signed.`,
);
const image = await buildTestImage({ seed: 1 });
await pushTestImage(registry, "team/app:1", image);
const signedBy = (keyPath: string, identity?: object): object => ({
  type: "signedBy",
  keyType: "GPGKeys",
  keyPath,
  ...(identity === undefined ? {} : { signedIdentity: identity }),
});
const write = (file: string, policy: object): void =>
  writeFileSync(folder.join(file), `${JSON.stringify(policy, undefined, 2)}\n`);
write("policy.json", {
  default: [{ type: "reject" }],
  transports: {
    docker: { [registry.host]: [signedBy("release.pub")] },
    dir: {
      [folder.path]: [
        signedBy("release.pub", { type: "exactRepository", dockerRepository: `${registry.host}/team/app` }),
      ],
    },
  },
});
const generate = (userId: string, prefix: string): Promise<void> =>
  signet(0, "keys", "generate", userId, "--output-prefix", prefix, "--algorithm", "ed25519", "--no-passphrase");
await generate("Release <release@example.com>", "release");
await signet(1, "verify", "--policy", "policy.json", insecure, app);

say(
  "Signed, it is accepted. The signature lies in the registry, which offers the signatures API; no other set-up was needed.",
);
await signet(0, "sign", "--key", "release.private", insecure, app);
await signet(0, "verify", "--policy", "policy.json", insecure, app);

say("Refusal 1: the manifest was changed after it was signed.");
await signet(
  0,
  "copy",
  "--quiet",
  "--policy",
  "policy.json",
  "--src-tls-verify=false",
  `docker://${app}`,
  "dir:tampered",
);
const manifest = folder.join("tampered/manifest.json");
writeFileSync(manifest, `${readFileSync(manifest, "utf8")} `);
await signet(1, "verify", "--policy", "policy.json", "dir:tampered");

say("Refusal 2: a good signature, for another name. Whoever may push can move an image together with its signature.");
const moved = `${registry.host}/team/payments:1`;
await signet(
  0,
  "copy",
  "--quiet",
  "--insecure-policy",
  "--src-tls-verify=false",
  "--dest-tls-verify=false",
  `docker://${app}`,
  `docker://${moved}`,
);
await signet(1, "verify", "--policy", "policy.json", insecure, moved);

say("Refusal 3: signed by a key that the policy does not trust.");
await generate("Somebody <somebody@example.net>", "somebody");
await signet(1, "verify", "--key", "somebody.pub", insecure, app);

say("Genuine Red Hat data. An operator bundle with four signatures of packet version 3, judged by Red Hat's own key:");
writeFileSync(
  folder.join("redhat.json"),
  JSON.stringify({
    default: [{ type: "reject" }],
    transports: {
      dir: {
        [`${redhat}albo-bundle`]: [
          signedBy("vectors/redhat/keys/RPM-GPG-KEY-redhat9-release", {
            type: "exactRepository",
            dockerRepository: "registry.redhat.io/albo/aws-load-balancer-operator-bundle",
          }),
        ],
      },
    },
  }),
);
await tour.run(root, 0, ["verify", "--policy", folder.join("redhat.json"), "dir:vectors/redhat/albo-bundle"]);

say("The signature of the OpenShift 4.15.0 release image (packet version 4), through the library:");
const keyring = makeKeyring(
  parseKeyring(readFileSync(`${redhat}keys/RPM-GPG-KEY-redhat10-release`), nodeEngine).certificates,
);
const outcome = verifySignedMessage(readFileSync(`${redhat}signatures/ocp-4.15.0-release-v4`), keyring, {
  engine: nodeEngine,
  now: Date.now(),
});
if (outcome.verdict === "accepted") {
  const payload = parseSimpleSigningPayload(outcome.content);
  console.log(
    `accepted  ${payload.dockerReference}\n  digest   ${payload.manifestDigest}\n  signer   ${outcome.certificate.fingerprint}  ${outcome.certificate.userIds.join(", ")}`,
  );
} else {
  tour.fail(`rejected: ${outcome.reasons.map(({ message }) => message).join("; ")}`);
}

say(
  "Red Hat's post-quantum release key (version 6, ML-DSA-87 with Ed448): it is read, and its self-signatures verify.",
);
await tour.run(root, 0, ["keys", "show", "vectors/redhat/keys/RPM-GPG-KEY-redhat9-PQC-release"]);

say("The tour is over and its registry is gone. Try next, from this folder:");
console.log(`
  npx signet keys show vectors/redhat/keys/RPM-GPG-KEY-redhat10-release
  npx signet verify --key vectors/redhat/keys/RPM-GPG-KEY-redhat9-release --identity registry.redhat.io/albo/aws-load-balancer-operator-bundle:0.0.1 dir:vectors/redhat/albo-bundle
  npx signet signature inspect vectors/redhat/signatures/ocp-4.15.0-release-v4
`);
tour.finish();
